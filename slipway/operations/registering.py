"""Hosts register: what their own drivers measure is put on record, and a host that is not there yet with it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from msgspec.structs import asdict, replace

from slipway import errors
from slipway.flows.tasks.base import Tools
from slipway.model.measured import Hypervisor, Measured
from slipway.model.request import Host
from slipway.operations.hosts import add_host, check_here, check_room
from slipway.states import hostmeasures, hosts, stacks
from slipway.states.store import Transaction
from slipway.states.worker import this_worker

REAL = ("libvirt", "qcow2", "linuxbridge")
"""The drivers of a host that its worker puts on record: whoever wants others says so first, by `slipway host add`."""


ROOM = ("vcpus", "memory", "disk", "numa")
"""What of a host's entry can be measured."""


def blank(name: str) -> Host:
    """A host of which nothing is said but its name, to be measured."""
    compute, disks, wiring = REAL
    return Host(name, vcpus=1, memory=1, disk=1, compute=compute, disks=disks, wiring=wiring)


def measure(host: Host, tools: Tools) -> Measured:
    """What the host's drivers measure now. Raises what they do, `UnknownDriver`, and `HostElsewhere`.

    Drivers of other packages need not have the calls for it.
    """
    drivers = tools.drivers.on(host)
    compute: Callable[[], Hypervisor | None] = getattr(drivers.compute, "measure", lambda: None)
    disk: Callable[[], int | None] = getattr(drivers.disk, "capacity", lambda: None)
    nics: Callable[[], Sequence[str]] = getattr(drivers.wiring, "nics", tuple)
    return Measured(tools.clock(), compute(), disk(), tuple(nics()))


def measured_room(measured: Measured) -> dict[str, object]:
    """What of a host's entry was measured, by its name there."""
    found: dict[str, object] = {}
    if (seen := measured.hypervisor) is not None:
        found = {"vcpus": seen.vcpus, "memory": seen.memory, "numa": seen.numa}
    return found if measured.disk is None else {**found, "disk": measured.disk}


def filled(host: Host, missing: Collection[str], tools: Tools) -> tuple[Host, Measured]:
    """The host with what its entry is `missing` as it is measured; what else it says stays.

    Raises `InvalidRequest` where its drivers do not measure that, and as `measure` does.
    """
    measured = measure(host, tools)
    room = measured_room(measured)
    if unknown := sorted({*missing} - {*room, "numa"}):
        raise errors.InvalidRequest(
            (f"host {host.name}: its drivers do not measure {', '.join(unknown)}: say it (--{' --'.join(unknown)})",)
        )
    return replace(host, **{what: room[what] for what in missing if what in room}), measured


def register(name: str, tools: Tools, tell: Callable[[str], None]) -> None:
    """Measure a host, and put it on record where it is not.

    Of one that is, the numbers follow that were what was measured before; what somebody said otherwise stays. One that
    cannot be measured stays as it is on record. Raises `HostElsewhere`, and `HostNotFound` for a new one that cannot be
    measured, or whose machine is on record by another name: its room would be given out twice.
    """
    with tools.store.read() as tx:
        known = hosts.get(tx, name) if hosts.there(tx, name) else None
        check_here(tx, [name], tools.drivers)
        if known is None and (other := _of_this_machine(tx)):
            raise errors.HostNotFound(
                f"host {name} is not on record, and this machine is there as {other}: `slipway worker --host {other}`, "
                f"or `slipway host add {name}` for a part of it"
            )
    try:
        host, measured = (known, measure(known, tools)) if known else filled(blank(name), ROOM, tools)
    except errors.SlipwayError as error:
        if known is None:
            text = f"host {name} is not on record, and cannot be measured: {error}: `slipway host add` says what it has"
            raise errors.HostNotFound(text) from error
        tell(f"{name} cannot be measured: {error}")
        return
    if known is None:
        add_host(host, tools.store, tools.drivers)
        tell(f"{name} is new on record: {text_of(measured)}")
    for line in keep(name, measured, tools):
        tell(line)


def _of_this_machine(tx: Transaction) -> str | None:
    """The host that this machine is by its own hypervisor already."""
    new = blank("")
    for one in hosts.usages(tx):
        same = (one.host.compute, one.host.uri, one.host.netns) == (new.compute, new.uri, new.netns)
        if same and one.host.place is not None and one.host.place.machine == this_worker().machine:
            return one.host.name
    return None


def keep(name: str, measured: Measured, tools: Tools) -> list[str]:
    """Have on record what was measured; gives what is to be told of it."""
    if not (room := measured_room(measured)) and not measured.nics:
        return []
    with tools.store.write() as tx:
        hosts.lock(tx, [name])
        host, before = hosts.get(tx, name), hostmeasures.of(tx, name)
        hostmeasures.keep(tx, name, measured)
        if before is None or stacks.stack_of(tx, stacks.Kind.HOST, name) is not None:
            return []
        return list(_follow(tx, host, measured_room(before), room))


def _follow(tx: Transaction, host: Host, before: dict[str, object], room: dict[str, object]) -> Iterator[str]:
    """Change what was measured of its entry, and is otherwise by now."""
    said = asdict(host)
    news = {what: value for what, value in room.items() if said[what] == before.get(what) != value}
    if not news:
        return
    changed = replace(host, place=None, **news)
    try:
        check_room(tx, changed)
    except errors.HostInUse as error:
        yield str(error)
        return
    hosts.save(tx, changed)
    yield f"{host.name} was measured anew: {', '.join(sorted(news))}"


def text_of(measured: Measured) -> str:
    """In a line."""
    from slipway.flows.scheduler import size

    seen, parts = measured.hypervisor, []
    if seen is not None:
        parts = [f"{seen.vcpus} vCPUs", f"{size(seen.memory)} memory"]
        parts += [f"NUMA cells {'; '.join(seen.numa)}"] if len(seen.numa) > 1 else []
    parts += [] if measured.disk is None else [f"{size(measured.disk)} disk"]
    parts += [f"NICs {', '.join(measured.nics)}"] if measured.nics else []
    parts += [] if seen is None else [seen.version]
    return ", ".join(parts) or "nothing"
