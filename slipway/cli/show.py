"""`slipway show`: one instance with everything on record about it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

import click

from slipway.cli import power
from slipway.cli.options import Options, common_options, example, orchestrator
from slipway.cli.say import say
from slipway.cli.selecting import Chosen, find, selectors

if TYPE_CHECKING:
    from slipway.cli.output import Cell
    from slipway.model.machine import Disk, Nic, Vif
    from slipway.operations.addresses import NicAddresses, SeenAddresses
    from slipway.states.details import Details


@click.command(
    "show",
    epilog=example(
        "slipway show web-1", "slipway show web-1 --project demo --output json", "slipway show --label tier=web"
    ),
)
@power.names
@power.project
@selectors()
@common_options(selects=True)
@click.pass_obj
def command(options: Options, chosen: Chosen) -> None:
    """Show the instances called NAME (or with this id): claim, ports, disks, effects, fault and timeline.

    Its host is asked which addresses the guest has: by its DHCP server's leases, and by the agent in the guest.
    An instance that was deleted is found by its id. Instead of names there may be selectors.
    """
    from slipway.cli.output import print_array, print_json

    chosen.check()
    with orchestrator(options) as slipway:
        silent = slipway.silent_hosts()
        found = ((slipway.show(one.id), slipway.addresses(one.id)) for one in list(find(slipway, chosen)))
        if not options.json:
            for number, one in enumerate(found):
                if number:
                    say("\n")
                _write(*one, silent)
        elif len(chosen.names) == 1:
            print_json(_json(*next(found), silent))
        else:
            print_array(_json(*one, silent) for one in found)


def _json(details: Details, seen: SeenAddresses, silent: Collection[str]) -> dict[str, Any]:
    from slipway.cli.entries import entry_json, timeline
    from slipway.cli.output import effect_json, instance_json
    from slipway.states.secrets import to_keep

    return {
        **instance_json(details.instance),
        "known": details.instance.host not in silent,
        "request": to_keep(details.instance.request),
        "claim": details.claim,
        "ports": [
            {
                **_port_json(nic, addresses),
                "brought_along": nic.request.port_id is not None,
                "interface": vif.devname if vif else None,
                "leases": _leases_json(addresses),
                "guest_addresses": addresses.guest if addresses else None,
            }
            for nic, vif, addresses in _nics(details, seen)
        ],
        "unasked": seen.unasked,
        "disks": list(_disks(details)),
        "effects": [effect_json(effect) for effect in details.effects],
        "timeline": [entry_json(entry) for entry in timeline(details)],
    }


def _port_json(nic: Nic, addresses: NicAddresses | None) -> dict[str, Any]:
    port = nic.port
    return {
        "id": port.id,
        "name": port.name,
        "network_id": port.network_id,
        "network": nic.request.network.name,
        "mac_address": port.mac_address,
        "addresses": _own(nic, addresses),
    }


def _own(nic: Nic, addresses: NicAddresses | None) -> list[str]:
    """The port's addresses, those of the build where it cannot be asked for them."""
    if addresses is not None and addresses.port is not None:
        return list(addresses.port)
    return [ip.ip_address for ip in nic.port.fixed_ips]


def _leases_json(addresses: NicAddresses | None) -> list[dict[str, Any]] | None:
    if addresses is None or addresses.leases is None:
        return None
    return [{"ip_address": lease.ip_address, "expires_at": lease.expires_at} for lease in addresses.leases]


def _nics(details: Details, seen: SeenAddresses) -> Iterator[tuple[Nic, Vif | None, NicAddresses | None]]:
    """The ports that the instance has, each with its interface and what is seen of it where it is bound."""
    from slipway.model.machine import Nic
    from slipway.operations.addresses import bound

    interfaces = {vif.port_id: vif for vif in bound(details.effects)}
    addresses = {nic.port_id: nic for nic in seen.nics}
    for nic in _results(details, "port", Nic):
        yield nic, interfaces.get(nic.port.id), addresses.get(nic.port.id)


def _disks(details: Details) -> Iterator[Disk]:
    from slipway.model.machine import Disk

    yield from _results(details, "disk", Disk)
    yield from _results(details, "seed", Disk)


def _results(details: Details, kind: str, type_: Any) -> Iterator[Any]:
    """What the effects of a kind gave that are there now; `audit` names those whose rows are damaged."""
    from slipway.states.effects import legible

    return legible(details.effects, kind, type_)


# --- text ---------------------------------------------------------------------------------------------------------


def _write(details: Details, seen: SeenAddresses, silent: Collection[str]) -> None:
    from slipway.cli.entries import timeline, timeline_rows
    from slipway.cli.output import coloured, labelled, state_text, table, without_owner, write

    instance = details.instance
    state = state_text(instance, silent)
    write(coloured(f"{instance.name}  {state}", instance.vm_state), labelled(list(_facts(details))))
    nics = [
        (
            _own(nic, addresses) or "-",
            nic.port.mac_address,
            nic.request.network.name,
            vif.devname if vif else "-",
            nic.port.name or "-",
            *_seen_texts(addresses),
        )
        for nic, vif, addresses in _nics(details, seen)
    ]
    if nics:
        columns = ("ADDRESS", "MAC", "NETWORK", "INTERFACE", "PORT", "LEASE", "GUEST SAYS")
        # On a simulated host there is nothing to be seen.
        shown = len(columns) if any(row[-2:] != ("-", "-") for row in nics) else len(columns) - 2
        write("", table(columns[:shown], [row[:shown] for row in nics]))
    for line in seen.unasked:
        write("", f"not asked: {line}")
    disks = [(disk.device, disk.role, _size(disk.size), disk.format, disk.path) for disk in _disks(details)]
    if disks:
        write("", table(("DISK", "FOR", "SIZE>", "FORMAT", "PATH"), disks, folded=("PATH",)))
    effects = [
        (
            e.step,
            str(e.slot),
            e.kind,
            coloured(e.state),
            str(e.attempt),
            e.host or "-",
            without_owner(e.error, e.instance_id),
        )
        for e in details.effects
    ]
    if effects:
        columns = ("EFFECT", "SLOT>", "KIND", "STATE", "ATTEMPT>", "HOST", "ERROR")
        errors = any(row[-1] for row in effects)
        write(
            "",
            table(
                columns if errors else columns[:-1], effects if errors else [e[:-1] for e in effects], folded=("ERROR",)
            ),
        )
    write("", table(("TIME>", "EVENT", "TOOK>", "DETAIL"), timeline_rows(timeline(details)), folded=("DETAIL",)))


def _seen_texts(addresses: NicAddresses | None) -> tuple[Cell, Cell]:
    """The leases and what the guest says; `-` where nobody could be asked or answers."""
    if addresses is None:
        return "-", "-"
    leases = None if addresses.leases is None else [lease.ip_address for lease in addresses.leases]
    lease, guest = ("-" if found is None else found or "none" for found in (leases, addresses.guest))
    return lease, guest


def _size(size: int) -> str:
    from slipway.cli.output import size_text

    return size_text(size)


def _facts(details: Details) -> Iterator[tuple[str, str]]:
    from slipway.cli.output import counted, size_text, time_text

    instance, request = details.instance, details.instance.request
    flavor = request.flavor
    yield "id", instance.id
    yield "project", instance.project
    size = f"{counted(flavor.vcpus, 'vCPU')}, {size_text(flavor.memory)} memory, {size_text(flavor.disk)} disk"
    yield "flavor", f"{flavor.name}: {size}"
    yield "image", request.image.name
    if request.group:
        yield "group", f"{request.group.name} ({request.group.policy})"
    yield "host", instance.host or "-"
    if details.claim:
        claim = details.claim
        sizes = f"{size_text(claim.memory)} memory, {size_text(claim.disk)} disk"
        yield "claim", f"{counted(claim.vcpus, 'vCPU')}, {sizes} on {claim.host}"
    yield "addresses", ", ".join(instance.addresses) or "-"
    for key, value in request.metadata:
        yield "metadata", f"{key}={value}"
    yield "created", time_text(instance.created_at)
    if instance.launched_at:
        yield "launched", time_text(instance.launched_at)
    if instance.attempt > 1:
        yield "attempt", str(instance.attempt)
    if instance.fault:
        yield "fault", f"{instance.fault.type}: {instance.fault.message}"
        if instance.fault.step:
            yield "step", instance.fault.step
        for later in instance.fault.later:
            yield "then", later
