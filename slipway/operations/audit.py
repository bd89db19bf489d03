"""The record against reality, both ways: what the ledger says is there, and what every driver says it holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from slipway.drivers.registry import Drivers
from slipway.errors import RecordDamaged, StoreError
from slipway.flows.tasks import arguments_of
from slipway.model.machine import ENDED, Claim, DhcpService, Nic, PowerState, Vif
from slipway.model.network import Port
from slipway.model.neutron import ADMIN, DHCP_OWNER
from slipway.model.record import Effect, EffectState, Instance
from slipway.model.request import Host
from slipway.operations.addresses import served_port
from slipway.states import codec, effects, hosts, instances
from slipway.states.hosts import HostUsage
from slipway.states.machines import State
from slipway.states.store import Store

_PAGE = 1000
"""Ports that are asked for at once."""


class Difference(StrEnum):
    """How the record and reality differ."""

    MISSING = "missing"
    """On record as done, and not there."""
    ORPHANED = "orphaned"
    """There, with our tag, and not on record."""
    DIFFERENT = "different"
    """There and on record, but not alike."""
    STUCK = "stuck"
    """Could not be undone; the record says why."""
    UNREACHABLE = "unreachable"
    """Could not be asked, so nothing is known of it."""
    DAMAGED = "damaged"
    """On record in a row that cannot be read."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference: of which kind of thing, which one, on which host, of whose instance, and in words."""

    difference: Difference
    kind: str
    name: str
    host: str | None
    instance_id: str | None
    detail: str


@dataclass(frozen=True, slots=True)
class _Thing:
    """Something a driver holds, as found there or as the ledger expects it; all four tell it from others."""

    kind: str
    host: str | None
    instance_id: str
    name: str


@dataclass(frozen=True, slots=True)
class _Record:
    """The record at one moment."""

    instances: Mapping[str, Instance]
    effects: Sequence[Effect]
    usages: Sequence[HostUsage]
    claims: Sequence[Claim]
    damaged_hosts: Mapping[str, str]


def audit(store: Store, drivers: Drivers) -> tuple[Finding, ...]:
    """All differences. Instances that are worked on, or were while the drivers were asked, are left out.

    Safe at any time: it changes nothing.
    """
    before = _read(store)
    held, silent = _held(before, drivers)
    after = _read(store)
    moving = _moving(before, after)
    expected_before, damaged_before = _expected(before)
    expected, damaged_after = _expected(after)
    damaged = dict.fromkeys([*damaged_before, *damaged_after])
    unasked = {(finding.kind, finding.host) for finding in (*silent, *damaged)}
    findings = [*silent, *damaged, *_stuck(after), *_counters(after)]
    findings += _effects(after, expected_before, expected, held, unasked, drivers, moving)
    findings += _claims(after, moving)
    return tuple(sorted(findings, key=lambda f: (f.difference, f.kind, f.host or "", f.name)))


def _read(store: Store) -> _Record:
    with store.read() as tx:
        known = {instance.id: instance for instance in instances.listed(tx)}
        standing, usages, claims = effects.standing(tx), hosts.usages(tx), hosts.all_claims(tx)
        return _Record(known, standing, usages, claims, hosts.damaged(tx))


def _moving(before: _Record, after: _Record) -> set[str]:
    """The instances that were not at rest all the time."""

    def moment(record: _Record, instance_id: str) -> tuple[str, str | None, int] | None:
        found = record.instances.get(instance_id)
        return (found.vm_state, found.task_state, found.generation) if found else None

    def resting(record: _Record, instance_id: str) -> bool:
        found = record.instances.get(instance_id)
        return found is None or State(found.vm_state, found.task_state).at_rest

    return {
        i
        for i in {*before.instances, *after.instances}
        if moment(before, i) != moment(after, i) or not resting(after, i)
    }


def _expected(record: _Record) -> tuple[dict[_Thing, Effect], list[Finding]]:
    """What the ledger says is there, and the rows that cannot be read."""
    expected: dict[_Thing, Effect] = {}
    damaged = [
        Finding(Difference.DAMAGED, "instance", instance.name, instance.host, instance.id, instance.damage)
        for instance in record.instances.values()
        if instance.damage
    ]
    for effect in record.effects:
        try:
            if thing := _thing(effect):
                expected[thing] = effect
        except RecordDamaged as error:
            kind, host = _place(effect)
            text = f"{effect.key}: {error}"
            damaged.append(Finding(Difference.DAMAGED, kind, effect.key, host, effect.instance_id, text))
    return expected, damaged


def _effects(
    record: _Record,
    expected_before: Mapping[_Thing, Effect],
    expected: Mapping[_Thing, Effect],
    held: Mapping[_Thing, str],
    unasked: set[tuple[str, str | None]],
    drivers: Drivers,
    moving: set[str],
) -> Iterator[Finding]:
    # A host that could not be asked may have no driver at all.
    hosts_asked = [usage.host for usage in record.usages if ("vif", usage.host.name) not in unasked]
    local_wiring = {host.name for host in hosts_asked if drivers.on(host).wiring.local}
    for thing, effect in expected.items():
        asked = not unasked & {(thing.kind, thing.host), (thing.kind, None)}
        skipped = not asked or (thing.kind in _WIRED and thing.host in local_wiring)
        if effect.state is not EffectState.DONE or effect.instance_id in moving or skipped:
            continue
        if thing not in held:
            yield _finding(Difference.MISSING, thing, f"{effect.key} is done, and it is not there", effect.instance_id)
        elif wrong := _wrong(thing, held[thing], record.instances[effect.instance_id]):
            yield _finding(Difference.DIFFERENT, thing, f"{effect.key} is done, and {wrong}", effect.instance_id)
    for thing in held.keys() - expected.keys() - expected_before.keys():
        if thing.instance_id not in moving and (thing.kind, thing.host) not in unasked:
            yield _finding(Difference.ORPHANED, thing, "it bears our tag and is not on record", thing.instance_id)


def _wrong(thing: _Thing, said: str, instance: Instance) -> str:
    """What is wrong with a thing of an instance at rest, by what its driver says of it."""
    if thing.kind != "domain":
        return said
    stopped = State(instance.vm_state, instance.task_state).stopped
    right = ENDED if stopped else (PowerState.RUNNING,)
    return "" if said in right else f"the domain is {said}"


def _finding(difference: Difference, thing: _Thing, detail: str, instance_id: str) -> Finding:
    return Finding(difference, thing.kind, thing.name, thing.host, instance_id or None, detail)


def _port_name(effect: Effect) -> str:
    return codec.decode(effect.result, Nic).port.id if effect.result else effect.key


def _binding_name(effect: Effect) -> str:
    return codec.decode(effect.result, Vif).port_id if effect.result else effect.key


def _server(effect: Effect) -> str | None:
    if not effect.result:
        return effect.key
    server = codec.decode(effect.result, DhcpService).server
    return server.id if server else None


_NAMED: Mapping[str, Callable[[Effect], str | None]] = {
    "domain": lambda effect: effect.instance_id,
    "definition": lambda effect: effect.instance_id,
    "disk": lambda effect: str(effect.slot),
    "seed": lambda effect: str(arguments_of(effect).request.slot),
    "port": _port_name,
    "binding": _binding_name,
    "vif": lambda effect: arguments_of(effect).vif.devname,
    "filter": lambda effect: arguments_of(effect).vif.port_id,
    "dhcp": served_port,
    "dhcp-port": _server,
}
"""The kinds that a driver lists, and by which name."""


_WIRED = frozenset({"vif", "filter", "dhcp", "dhcp-port"})


def _place(effect: Effect) -> tuple[str, str | None]:
    """As what a driver would list the effect, and on which host. Ports belong to none."""
    kind = "disk" if effect.kind == "seed" else effect.kind
    return kind, None if effect.kind in ("port", "dhcp-port") else effect.host


def _thing(effect: Effect) -> _Thing | None:
    """What a driver would list for the effect, None where it came to nothing or is nothing that drivers list.

    What is wired says nothing of its instance. Raises `RecordDamaged`.
    """
    name = _NAMED[effect.kind](effect) if effect.kind in _NAMED else None
    owner = "" if effect.kind in _WIRED else effect.instance_id
    return None if name is None else _Thing(*_place(effect), owner, name)


def _held(record: _Record, drivers: Drivers) -> tuple[dict[_Thing, str], list[Finding]]:
    """What every driver holds, each with its state or what is wrong with it, and who could not be asked."""
    things: dict[_Thing, str] = {}
    silent = [
        Finding(Difference.UNREACHABLE, kind, host, host, None, damage)
        for host, damage in record.damaged_hosts.items()
        for kind, _ in _ON_HOSTS
    ]
    for kinds, host, answer in _questions(record, drivers):
        try:
            things.update(answer)
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a driver raises is "cannot be asked", never "absent"
            text = f"{type(error).__name__}: {error}"
            silent += [Finding(Difference.UNREACHABLE, kind, host or "network", host, None, text) for kind in kinds]
    return things, silent


def _questions(
    record: _Record, drivers: Drivers
) -> Iterator[tuple[tuple[str, ...], str | None, Iterator[tuple[_Thing, str]]]]:
    """Each question to a driver: the kinds that it answers for, the host, and the answer, asked when it is read."""
    yield ("port", "binding", "dhcp-port"), None, _ports(record, drivers)
    for host in (usage.host for usage in record.usages):
        for kind, answer in _ON_HOSTS:
            yield (kind,), host.name, answer(host, drivers)


def _ports(record: _Record, drivers: Drivers) -> Iterator[tuple[_Thing, str]]:
    for port in _all_ports(drivers):
        # One that was brought along bears no tag, but the id of an instance of ours while that has it.
        if not drivers.network.is_ours(port) and port.device_id not in record.instances:
            continue
        if port.device_id and port.device_owner.partition(":")[0] in ("", "compute"):
            # One that was given to somebody who cannot be an instance is not ours any more.
            if not _is_id(port.device_id):
                continue
            yield _Thing("port", None, port.device_id, port.id), ""
            if port.binding_host_id:
                yield _Thing("binding", port.binding_host_id, port.device_id, port.id), ""
        elif port.binding_host_id and port.device_owner.startswith("compute:"):
            # Bound for an instance that has it no more: a worker that was replaced came late.
            yield _Thing("binding", port.binding_host_id, "", port.id), ""
        elif port.device_owner == DHCP_OWNER and port.device_id.startswith("dhcp-"):
            yield _Thing("dhcp-port", None, "", port.id), ""


def _is_id(text: str) -> bool:
    """Whether an instance may have this id."""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def _all_ports(drivers: Drivers) -> Iterator[Port]:
    """Every port, a page at a time: there may be very many."""
    marker: str | None = None
    while page := drivers.network.list_ports(ADMIN, sort_key="id", limit=_PAGE, marker=marker):
        yield from page
        marker = page[-1].id


def _domains(host: Host, drivers: Drivers) -> Iterator[tuple[_Thing, str]]:
    for domain in drivers.on(host).compute.list_domains():
        yield _Thing("domain", host.name, domain.instance_id, domain.instance_id), domain.state


def _definitions(host: Host, drivers: Drivers) -> Iterator[tuple[_Thing, str]]:
    for instance_id in drivers.on(host).compute.list_definitions():
        yield _Thing("definition", host.name, instance_id, instance_id), ""


def _disks(host: Host, drivers: Drivers) -> Iterator[tuple[_Thing, str]]:
    for disk in drivers.on(host).disk.list_disks():
        yield _Thing("disk", host.name, disk.instance_id, str(disk.slot)), ""


def _taps(host: Host, drivers: Drivers) -> Iterator[tuple[_Thing, str]]:
    for tap in drivers.on(host).wiring.list_taps():
        yield _Thing("vif", host.name, "", tap.name), tap.fault


def _filters(host: Host, drivers: Drivers) -> Iterator[tuple[_Thing, str]]:
    for filtered in drivers.on(host).wiring.list_filters():
        yield _Thing("filter", host.name, "", filtered.name), filtered.fault


def _dhcp(host: Host, drivers: Drivers) -> Iterator[tuple[_Thing, str]]:
    for served in drivers.on(host).wiring.list_dhcp():
        yield _Thing("dhcp", host.name, "", served.name), served.fault


_ON_HOSTS: Sequence[tuple[str, Callable[[Host, Drivers], Iterator[tuple[_Thing, str]]]]] = (
    ("domain", _domains),
    ("definition", _definitions),
    ("disk", _disks),
    ("vif", _taps),
    ("filter", _filters),
    ("dhcp", _dhcp),
)
"""The kinds that a host's drivers list."""


def _stuck(record: _Record) -> Iterator[Finding]:
    for effect in record.effects:
        if effect.state is EffectState.STUCK:
            text = f"{effect.key}: {effect.error}"
            yield Finding(Difference.STUCK, effect.kind, effect.key, effect.host, effect.instance_id, text)


def _counters(record: _Record) -> Iterator[Finding]:
    """The hosts' counters against the sum of the claims."""
    sums: dict[str, Counter[str]] = {}
    for claim in record.claims:
        sums.setdefault(claim.host, Counter()).update(vcpus=claim.vcpus, memory=claim.memory, disk=claim.disk)
    for usage in record.usages:
        total = sums.get(usage.host.name, Counter())
        counted = {"vcpus": usage.vcpus_used, "memory": usage.memory_used, "disk": usage.disk_used}
        for what, value in counted.items():
            if value != total[what]:
                detail = f"{what} counted as {value}, the claims' sum is {total[what]}"
                yield Finding(Difference.DIFFERENT, "counter", what, usage.host.name, None, detail)


def _claims(record: _Record, moving: set[str]) -> Iterator[Finding]:
    expected = {(e.instance_id, e.host) for e in record.effects if e.kind == "claim"}
    there = {(claim.instance_id, claim.host) for claim in record.claims}
    for difference, pairs, detail in (
        (Difference.MISSING, expected - there, "on record as done, and not claimed"),
        (Difference.ORPHANED, there - expected, "claimed, and not on record"),
    ):
        for instance_id, host in pairs:
            if instance_id not in moving:
                yield Finding(difference, "claim", instance_id, host, instance_id, detail)
