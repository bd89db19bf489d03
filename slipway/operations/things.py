"""What the ledger expects of the drivers, and what they hold: things that have a kind, a host, an owner and a name."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence
from hashlib import sha256
from uuid import UUID

from msgspec import Struct

from slipway.drivers.deadline import within
from slipway.drivers.disk.base import DiskDriver, keeps_snapshots
from slipway.drivers.registry import Drivers
from slipway.errors import RecordDamaged, StoreError
from slipway.flows.tasks.catalog import arguments_of
from slipway.flows.tasks.change_snapshots import aside_of
from slipway.model.machine import DhcpService, Disk, Domain, Nic, PowerState, Vif
from slipway.model.network import Port
from slipway.model.neutron import ADMIN, DHCP_OWNER
from slipway.model.record import Effect
from slipway.model.request import Host
from slipway.operations.addresses import served_port
from slipway.states import codec
from slipway.texts import named

_PAGE = 1000
"""Ports that are asked for at once."""
_FEW = 100
"""For how many instances ports are asked for one by one, rather than all that there are."""


class Thing(Struct, frozen=True):
    """Something a driver holds, as found there or as the ledger expects it; all four tell it from others."""

    kind: str
    host: str | None
    instance_id: str
    name: str


class Held(Struct, frozen=True):
    """What a driver says of a thing that it holds: what is wrong with it, and what a domain does.

    `of`: whose it is by the thing itself, where its name does not say it. `joined`: whether a guest has the tap open,
    and of a domain whether it would.
    """

    fault: str = ""
    state: PowerState | None = None
    of: str = ""
    joined: bool = True
    text: str | None = None
    """What a definition says, as a digest."""
    lacks: tuple[str, ...] = ()
    """The files that a domain's start would read and that are gone."""
    brought: tuple[str, ...] = ()
    """The disks that somebody else has attached to a domain that runs."""


class Silence(Struct, frozen=True):
    """Who could not be asked for things of a kind, and why; None: the network service."""

    kind: str
    host: str | None
    why: str


def _port_name(effect: Effect) -> str:
    return codec.decode(effect.result, Nic).port.id if effect.result else effect.key


def _binding_name(effect: Effect) -> str:
    return codec.decode(effect.result, Vif).port_id if effect.result else effect.key


def _server(effect: Effect) -> str | None:
    if not effect.result:
        return effect.key
    server = codec.decode(effect.result, DhcpService).server
    return server.id if server else None


def snapshot_name(slot: int, snapshot: str) -> str:
    """What a disk's snapshot is called where there are others of its instance."""
    return f"{slot}/{snapshot}"


NAMED: Mapping[str, Callable[[Effect], str | None]] = {
    "domain": lambda effect: effect.instance_id,
    "definition": lambda effect: effect.instance_id,
    "disk": lambda effect: str(effect.slot),
    "seed": lambda effect: str(arguments_of(effect).request.slot),
    "snapshot": lambda effect: snapshot_name(arguments_of(effect).of.slot, arguments_of(effect).of.snapshot),
    "aside": lambda effect: snapshot_name(arguments_of(effect).of.slot, aside_of(effect)),
    "port": _port_name,
    "binding": _binding_name,
    "vif": lambda effect: arguments_of(effect).vif.devname,
    "filter": lambda effect: arguments_of(effect).vif.port_id,
    "dhcp": served_port,
    "dhcp-port": _server,
}
"""The kinds that a driver lists, and by which name."""


WIRED = frozenset({"vif", "filter", "dhcp", "dhcp-port"})


_LISTED_AS = {"seed": "disk", "aside": "snapshot"}


def place_of(effect: Effect) -> tuple[str, str | None]:
    """As what a driver would list the effect, and on which host. Ports belong to none."""
    kind = _LISTED_AS.get(effect.kind, effect.kind)
    return kind, None if effect.kind in ("port", "dhcp-port") else effect.host


def expected_thing(effect: Effect) -> Thing | None:
    """What a driver would list for the effect, None where it came to nothing or is nothing that drivers list.

    What is wired says nothing of its instance. Raises `RecordDamaged`.
    """
    name = NAMED[effect.kind](effect) if effect.kind in NAMED else None
    owner = "" if effect.kind in WIRED else effect.instance_id
    return None if name is None else Thing(*place_of(effect), owner, name)


def digest(text: str) -> str:
    """Stands for a definition where whole ones would be too much to hold, whichever worker wrote it: one that was
    replaced in the middle of that may have come last."""
    return sha256(_GENERATION.sub("", text).encode(errors="replace")).hexdigest()


_GENERATION = re.compile(r"<slipway:generation>\d+</slipway:generation>")


def is_as_recorded(effect: Effect, said: Held) -> bool:
    """Whether a definition says what is on record; of one that nobody can read there, nobody knows."""
    if effect.kind != "definition" or effect.result is None:
        return True
    try:
        return said.text == digest(codec.decode(effect.result, Domain).xml)
    except RecordDamaged:
        return True


def role_of(effect: Effect) -> str:
    """What a disk is for, or that it is a volume; "" for what is no disk, and one of which the record does not say."""
    if effect.kind not in ("disk", "seed") or not effect.result:
        return ""
    disk = codec.decode(effect.result, Disk)
    return "volume" if disk.volume else disk.role


def missing_disks(instance_id: str, done: Sequence[Effect], disk: DiskDriver) -> Iterator[str]:
    """Which of an instance's disks are gone, or cannot be started with, in words. Raises what the driver does."""
    there = {info.slot: info.fault for info in disk.list_disks() if info.instance_id == instance_id}
    for effect in done:
        if effect.kind in ("disk", "seed") and (thing := expected_thing(effect)) is not None:
            fault = there.get(int(thing.name), "it is gone")
            if fault:
                yield f"disk {thing.name}: {fault}"


def ask_all(
    instances: Collection[str],
    known: Sequence[Host],
    drivers: Drivers,
    *,
    seconds: float,
    only: Container[str] | None = None,
    alone: bool = False,
) -> tuple[dict[Thing, Held], list[Silence]]:
    """What every driver holds, each with its state or what is wrong with it, and who could not be asked.

    `instances`: the ids of those on record. `seconds`: for the answers of a host together. `only`: the kinds that are
    asked for. `alone`: of ports only those of these instances. Raises a `StoreError`.
    """
    things: dict[Thing, Held] = {}
    silent: list[Silence] = []
    until: dict[str | None, float] = {}
    for kinds, host, answer in _questions(instances, known, drivers, alone=alone):
        if only is not None and not any(kind in only for kind in kinds):
            continue
        now = time.monotonic()
        try:
            with within(until.setdefault(host, now + seconds) - now):
                things.update(answer)
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a driver raises is "cannot be asked", never "absent"
            silent += [Silence(kind, host, named(error)) for kind in kinds]
    return things, silent


def _questions(
    instances: Collection[str], known: Sequence[Host], drivers: Drivers, *, alone: bool
) -> Iterator[tuple[tuple[str, ...], str | None, Iterator[tuple[Thing, Held]]]]:
    """Each question to a driver: the kinds that it answers for, the host, and the answer, asked when it is read."""
    yield ("port", "binding", "dhcp-port"), None, _ports(instances, drivers, alone=alone)
    yield ("binding",), None, _further_bindings(instances, [host.name for host in known], drivers)
    for host in known:
        for kind, answer in ON_HOSTS:
            yield (kind,), host.name, answer(host, drivers)


def _ports(instances: Collection[str], drivers: Drivers, *, alone: bool) -> Iterator[tuple[Thing, Held]]:
    few = alone and len(instances) <= _FEW
    for port in _ports_of(instances, drivers) if few else _all_ports(drivers):
        # One that was brought along bears no tag, but the id of an instance of ours while that has it.
        if not drivers.network.is_ours(port) and port.device_id not in instances:
            continue
        if port.device_id and port.device_owner.partition(":")[0] in ("", "compute"):
            # One that was given to somebody who cannot be an instance is not ours any more.
            if not _is_id(port.device_id):
                continue
            yield Thing("port", None, port.device_id, port.id), Held()
            if port.binding_host_id:
                yield Thing("binding", port.binding_host_id, port.device_id, port.id), Held()
        elif port.binding_host_id and port.device_owner.startswith("compute:"):
            # Bound for an instance that has it no more: a worker that was replaced came late.
            yield Thing("binding", port.binding_host_id, "", port.id), Held()
        elif port.device_owner == DHCP_OWNER and port.device_id.startswith("dhcp-"):
            yield Thing("dhcp-port", None, "", port.id), Held()


def _further_bindings(
    instances: Collection[str], hosts: Sequence[str], drivers: Drivers
) -> Iterator[tuple[Thing, Held]]:
    """What a move that died has left: while one is under way its instance is not at rest."""
    network = drivers.network
    if not hosts or not network.binds_twice(ADMIN):
        return
    for port, host in network.further_bindings(ADMIN, hosts):
        if (network.is_ours(port) or port.device_id in instances) and _is_id(port.device_id):
            yield Thing("binding", host, port.device_id, port.id), Held("it is INACTIVE")


def _is_id(text: str) -> bool:
    """Whether an instance may have this id."""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def _ports_of(instances: Collection[str], drivers: Drivers) -> Iterator[Port]:
    for instance_id in instances:
        yield from drivers.network.list_ports(ADMIN, device_id=instance_id)


def _all_ports(drivers: Drivers) -> Iterator[Port]:
    """Every port, a page at a time: there may be very many."""
    marker: str | None = None
    while page := drivers.network.list_ports(ADMIN, sort_key="id", limit=_PAGE, marker=marker):
        yield from page
        marker = page[-1].id


def _domains(host: Host, drivers: Drivers) -> Iterator[tuple[Thing, Held]]:
    for domain in drivers.on(host).compute.list_domains():
        thing = Thing("domain", host.name, domain.instance_id, domain.instance_id)
        yield (
            thing,
            Held(domain.fault, domain.state, joined=domain.opens_taps, lacks=domain.lacks, brought=domain.brought),
        )


def _definitions(host: Host, drivers: Drivers) -> Iterator[tuple[Thing, Held]]:
    compute = drivers.on(host).compute
    for instance_id in compute.list_definitions():
        text = digest(compute.read_definition(instance_id) or "")
        yield Thing("definition", host.name, instance_id, instance_id), Held(text=text)


def _disks(host: Host, drivers: Drivers) -> Iterator[tuple[Thing, Held]]:
    for disk in drivers.on(host).disk.list_disks():
        yield Thing("disk", host.name, disk.instance_id, str(disk.slot)), Held(disk.fault)


def _snapshots(host: Host, drivers: Drivers) -> Iterator[tuple[Thing, Held]]:
    driver = drivers.on(host).disk
    if not keeps_snapshots(driver):
        return
    for one in driver.list_snapshots():
        yield Thing("snapshot", host.name, one.instance_id, snapshot_name(one.slot, one.snapshot)), Held()


def _taps(host: Host, drivers: Drivers) -> Iterator[tuple[Thing, Held]]:
    for tap in drivers.on(host).wiring.list_taps():
        yield Thing("vif", host.name, "", tap.name), Held(tap.fault, of=tap.of, joined=tap.joined)


def _filters(host: Host, drivers: Drivers) -> Iterator[tuple[Thing, Held]]:
    for filtered in drivers.on(host).wiring.list_filters():
        yield Thing("filter", host.name, "", filtered.name), Held(filtered.fault)


def _dhcp(host: Host, drivers: Drivers) -> Iterator[tuple[Thing, Held]]:
    for served in drivers.on(host).wiring.list_dhcp():
        yield Thing("dhcp", host.name, "", served.name), Held(served.fault, of=served.of)


ON_HOSTS: Sequence[tuple[str, Callable[[Host, Drivers], Iterator[tuple[Thing, Held]]]]] = (
    ("domain", _domains),
    ("definition", _definitions),
    ("disk", _disks),
    ("snapshot", _snapshots),
    ("vif", _taps),
    ("filter", _filters),
    ("dhcp", _dhcp),
)
"""The kinds that a host's drivers list."""
