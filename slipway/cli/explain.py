"""`slipway explain`: why instances are where they are, or nowhere."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from slipway.cli.options import Options, common_options, default_state, example, orchestrator

if TYPE_CHECKING:
    from slipway.model.machine import Room, Weights
    from slipway.operations.explain import Explanation, Verdict


@click.command(
    "explain",
    epilog=example("slipway explain web-1", "slipway explain demo.yaml", "slipway explain web-1 --output json"),
)
@click.argument("what", metavar="NAME|FILE")
@click.option("--project", metavar="PROJECT", help="The project in which the name is looked up. [default: all]")
@click.option(
    "--limit", metavar="N", type=click.IntRange(min=1), default=20, show_default=True, help="Hosts that are shown."
)
@common_options()
@click.pass_obj
def command(options: Options, what: str, project: str | None, limit: int) -> None:
    """Say why an instance is on its host, or on none; of a run FILE, where each of its instances would go.

    What was seen when it was scheduled is on record; what is true of each host now is asked again. Each is said apart,
    with every reason why a host is passed over, by what the others are weighed, and the largest request that would
    fit. Nothing is changed.
    """
    from slipway.cli.output import print_json, write

    if _is_file(what):
        if project is not None:
            raise click.UsageError("a file says itself which project it is of: --project is for a name")
        found = _of_file(options, Path(what))
    else:
        with orchestrator(options) as slipway:
            found = (slipway.explain(what, project=project),)
    if options.json:
        said = [_json(one) for one in found]
        print_json(said if _is_file(what) else said[0])
        return
    for number, one in enumerate(found):
        write(*(("",) if number else ()), *_text(one, limit))


def _is_file(what: str) -> bool:
    """Whether it is a file's path and no name: names have no `/`, and no instance is called `.yaml`."""
    return "/" in what or what.endswith((".yaml", ".yml"))


def _of_file(options: Options, path: Path) -> tuple[Explanation, ...]:
    from tempfile import TemporaryDirectory

    from slipway.runfile import load

    file = load(path, state=options.directory)
    with ExitStack() as stack:
        if options.db is None and not (Path(options.state or default_state()) / "slipway.db").exists():
            # Nothing is on record yet, and to explain makes no record.
            options.state = stack.enter_context(TemporaryDirectory(prefix="slipway-"))
            slipway = stack.enter_context(orchestrator(options, file, new=True))
        else:
            slipway = stack.enter_context(orchestrator(options, file))
        return slipway.explain_file(file)


def _json(one: Explanation) -> dict[str, Any]:
    request, flavor = one.request, one.request.flavor
    then = one.then and {"at": one.then.at, "hosts": one.then.placement.hosts, "seen": one.then.placement.seen}
    return {
        "name": request.name,
        "project": request.project,
        "id": one.instance.id if one.instance else None,
        "vm_state": one.instance.vm_state if one.instance else None,
        "host": one.instance.host if one.instance else None,
        "asked": {"vcpus": flavor.vcpus, "memory": flavor.memory, "disk": _disk(one)},
        "fault": one.fault,
        "then": then,
        "problem": one.problem or None,
        "now": one.now,
        "largest": one.largest,
    }


def _disk(one: Explanation) -> int:
    from slipway.flows.scheduler import disk_total

    return disk_total(one.request)


def _text(one: Explanation, limit: int) -> Sequence[Any]:
    from slipway.cli.output import state_text
    from slipway.flows.scheduler import room_text
    from slipway.model.machine import Room

    request, instance = one.request, one.instance
    if instance is None:
        where = "not on record yet"
    else:
        where = f"{state_text(instance)}, on {f'host {instance.host}' if instance.host else 'no host'}"
    asked = Room(request.flavor.vcpus, request.flavor.memory, _disk(one))
    lines: list[Any] = [f"instance {request.name} of project {request.project}: {where}"]
    lines.append(f"  asks for {room_text(asked)}{_wishes(one)}")
    if instance is not None:
        lines += ["", *_then(one)]
    lines += ["", "Now, asked again" + (", as if it claimed nothing yet:" if instance and instance.host else ":")]
    if one.problem:
        lines.append(f"  no host could help: {one.problem}")
    lines += _verdicts(one.now, limit)
    if one.largest:
        fits = [f"{room_text(fit.room)} (on {fit.host})" for fit in one.largest[:3]]
        lines.append(f"The largest that would fit: {'; or '.join(fits)}")
    elif one.now:
        lines.append("Nothing would fit, however small.")
    return lines


def _wishes(one: Explanation) -> str:
    from slipway.flows.scheduler import required

    request = one.request
    group = f"group {request.group.name} ({request.group.policy})" if request.group else ""
    pins = ", ".join(map(str, request.flavor.pin_cpus))
    wishes = (
        f"host {request.host}" if request.host else "",
        f"zone {request.zone}" if request.zone else "",
        *(f"label {key}={value}" for key, value in required(request)),
        f"CPUs {pins}{_in_cells(request.flavor.numa_cells)}" if pins else "",
        group,
    )
    return "".join(f", {wish}" for wish in wishes if wish)


def _in_cells(cells: int) -> str:
    return f" within {cells} NUMA cells" if cells > 1 else " within a NUMA cell"


def _then(one: Explanation) -> Sequence[Any]:
    from slipway.cli.output import table

    if one.then is None:
        why = f"{one.fault.type}: {one.fault.message}" if one.fault else "it was not scheduled"
        return (f"When it was to be scheduled, by the record: {why}",)
    chosen = one.then.placement
    lines: list[Any] = [f"When it was scheduled, {one.then.at:%Y-%m-%d %H:%M:%S} UTC, by the record:"]
    if not chosen.seen:
        return (*lines, f"  {', '.join(chosen.hosts)}, best first; what they were like is not on record")
    rows = [
        (str(rank), *_weighed(seen.weights.name, seen.free, seen.weights)) for rank, seen in enumerate(chosen.seen, 1)
    ]
    return (*lines, table(_COLUMNS[:-1], rows), *_tried(one))


def _tried(one: Explanation) -> Sequence[str]:
    host = one.instance.host if one.instance else None
    chosen = one.then.placement.hosts if one.then else ()
    if host in chosen[1:]:
        return (f"It is on the alternate {host}: the build failed, or the room was taken, on those before it.",)
    return (f"Its build failed: {one.fault.type}: {one.fault.message}",) if one.fault else ()


_COLUMNS = ("RANK>", "HOST", "VCPUS FREE>", "MEMORY FREE>", "DISK FREE>", "FAILED BUILDS>", "GROUP>", "WHY NOT")


def _verdicts(now: Sequence[Verdict], limit: int) -> Sequence[Any]:
    from slipway.cli.output import table

    if not now:
        return ("  there are no hosts",)
    rows = []
    for rank, verdict in enumerate(now[:limit], 1):
        why = "; ".join(refusal.reason for refusal in verdict.refusals)
        rows.append(("-" if why else str(rank), *_weighed(verdict.host, verdict.free, verdict.weights), why))
    more = now[limit:]
    if not more:
        return (table(_COLUMNS, rows, folded=("WHY NOT",)),)
    fitting = sum(not verdict.refusals for verdict in more)
    note = f"and {len(more)} more, of which {fitting} fit: --limit shows more, --output json all"
    return (table(_COLUMNS, rows, folded=("WHY NOT",)), note)


def _weighed(host: str, free: Room, weights: Weights | None) -> tuple[str, ...]:
    from slipway.flows.scheduler import size

    room = (str(free.vcpus), size(free.memory), size(free.disk))
    return (host, *room, *((str(weights.failed_builds), str(weights.group)) if weights else ("-", "-")))
