"""Hosts as they are shown: tables for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from slipway.cli.say import say

if TYPE_CHECKING:
    from slipway.cli.options import Options
    from slipway.drivers.hostcheck.finding import Finding
    from slipway.model.measured import Measured
    from slipway.operations.hosts import HostDetails
    from slipway.states.hosts import HostUsage


def host_json(usage: HostUsage) -> dict[str, Any]:
    """A host as programs get it; memory and disk in bytes."""
    host = usage.host
    return {
        "name": host.name,
        "zone": host.zone,
        "enabled": usage.enabled,
        "disabled": usage.disabled,
        "vcpus": _share(host.vcpus, usage.vcpus_limit, usage.vcpus_used),
        "memory": _share(host.memory, usage.memory_limit, usage.memory_used),
        "disk": _share(host.disk, usage.disk_limit, usage.disk_used),
        "instances": usage.instances,
        "failed_builds": usage.failed_builds,
        "labels": dict(host.labels),
        "numa": list(host.numa),
        "compute": host.compute,
        "wiring": host.wiring,
        "disks": host.disks,
        "uri": host.uri,
        "place": usage.place,
    }


def _share(total: int, limit: int, used: int) -> dict[str, int]:
    return {"total": total, "limit": limit, "used": used, "free": limit - used}


def tell_hosts(found: Sequence[HostUsage], options: Options) -> None:
    """`host list`."""
    from slipway.cli.output import coloured, print_json, table, write
    from slipway.flows.scheduler import size

    if options.json:
        print_json([host_json(usage) for usage in found])
        return
    if not found:
        say("no hosts")
        return
    columns = ("NAME", "ZONE", "STATE", "VCPUS>", "MEMORY>", "DISK>", "INSTANCES>", "FAILED BUILDS>", "LABELS")
    rows = [
        (
            usage.host.name,
            usage.host.zone,
            coloured(_state(usage), "done" if usage.enabled else "intended"),
            f"{usage.vcpus_used}/{usage.vcpus_limit}",
            f"{size(usage.memory_used)}/{size(usage.memory_limit)}",
            f"{size(usage.disk_used)}/{size(usage.disk_limit)}",
            str(usage.instances),
            str(usage.failed_builds),
            labels_text(usage.host.labels),
        )
        for usage in found
    ]
    write(table(columns, rows, folded=("STATE", "LABELS")))


def _state(usage: HostUsage) -> str:
    return "enabled" if usage.enabled else f"disabled: {usage.disabled}" if usage.disabled else "disabled"


def labels_text(labels: Sequence[tuple[str, str]]) -> str:
    """`gpu=a100, ssd=nvme`."""
    return ", ".join(f"{key}={value}" for key, value in labels) or "-"


def tell_details(details: HostDetails, options: Options) -> None:
    """`host show`."""
    from slipway.cli.output import coloured, instance_json, labelled, print_json, state_text, table, write
    from slipway.flows.scheduler import size

    usage, host = details.usage, details.usage.host
    left = [{"key": e.key, "kind": e.kind, "state": e.state, "error": e.error} for e in details.left]
    if options.json:
        there = [instance_json(instance) for instance in details.instances]
        print_json({**host_json(usage), "measured": details.measured, "instances": there, "left": left})
        return
    drivers = f"{host.compute}, wiring {host.wiring}, disks {host.disks}" + (f", {host.uri}" if host.uri else "")
    place = f"{usage.place.directory} on {usage.place.name}" if usage.place else "whoever uses it first"
    about = [
        ("state", _state(usage)),
        ("zone", host.zone),
        ("labels", labels_text(host.labels)),
        *((("NUMA cells", "; ".join(host.numa)),) if host.numa else ()),
        ("failed builds", str(usage.failed_builds)),
        ("drivers", drivers),
        ("belongs to", place),
        *(_measured(details.measured) if details.measured else ()),
    ]
    rooms = [
        (
            "vCPUs",
            str(host.vcpus),
            *map(str, (usage.vcpus_limit, usage.vcpus_used, usage.vcpus_limit - usage.vcpus_used)),
        ),
        ("memory", *map(size, _share(host.memory, usage.memory_limit, usage.memory_used).values())),
        ("disk", *map(size, _share(host.disk, usage.disk_limit, usage.disk_used).values())),
    ]
    write(f"host {host.name}", labelled(about), "", table(("", "HAS>", "GIVES OUT>", "GIVEN OUT>", "FREE>"), rooms), "")
    if details.instances:
        rows = [
            (
                instance.name,
                instance.project,
                coloured(state_text(instance)),
                str(instance.request.flavor.vcpus),
                size(instance.request.flavor.memory),
            )
            for instance in details.instances
        ]
        write(table(("INSTANCE", "PROJECT", "STATE", "VCPUS>", "MEMORY>"), rows, folded=("STATE",)))
    else:
        write("no instances are on it")
    if left:
        write("", "what is left of others, or may be:")
        effects = [(effect.key, coloured(effect.state), effect.error or "-") for effect in details.left]
        write(table(("EFFECT", "STATE", "WHY"), effects, folded=("WHY",)))


def _measured(found: Measured) -> Iterator[tuple[str, str]]:
    from slipway.cli.output import time_text
    from slipway.operations.registering import text_of

    yield "measured", f"{text_of(found)} ({time_text(found.at)})"


def tell_findings(found: list[Finding], options: Options) -> None:
    """`host check`."""
    from slipway.cli.output import coloured, print_json, table, write
    from slipway.drivers.hostcheck.finding import Result

    if options.json:
        print_json(found)
        return
    colours = {Result.WORKS: "done", Result.FAILS: "stuck", Result.UNTRIED: "intended"}
    rows = [
        (one.name, coloured(one.result, colours[one.result]), "" if one.needed else "optional", one.detail)
        for one in found
    ]
    write(table(("WHAT", "RESULT", "", "WHY"), rows, folded=("WHY",)))
    remedies = [one for one in found if one.result is not Result.WORKS and one.remedy]
    if remedies:
        write("", "To do:")
        for one in remedies:
            write(f"  {one.name}: {one.remedy}")
