"""The record against reality, both ways: what the ledger says is there, and what every driver says it holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence
from contextlib import suppress
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from slipway.drivers.deadline import within
from slipway.drivers.registry import Drivers
from slipway.errors import RecordDamaged, SlipwayError
from slipway.flows.tasks.base import Tools
from slipway.model.machine import ENDED, Claim, PowerState
from slipway.model.neutron import ADMIN
from slipway.model.quota import INSTANCE_RESOURCES, InstanceQuota, InstanceUse
from slipway.model.record import Effect, EffectState, Instance
from slipway.operations import words
from slipway.operations.nics import is_free
from slipway.operations.refresh import outdated
from slipway.operations.routers import differing
from slipway.operations.taking import may_be_taken
from slipway.operations.things import (
    ON_HOSTS,
    WIRED,
    Held,
    Silence,
    Thing,
    ask_all,
    expected_thing,
    is_as_recorded,
    place_of,
    role_of,
)
from slipway.states import effects, hosts, instances, quotas
from slipway.states.history import history_of
from slipway.states.hosts import HostUsage
from slipway.states.machines import State, VmState
from slipway.states.store import Transaction


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
    UNFINISHED = "unfinished"
    """Begun with an instance, and whoever was at it is gone."""
    DAMAGED = "damaged"
    """On record in a row that cannot be read."""


GIVEN = "given"


class Finding(Struct, frozen=True):
    """One difference: of which kind of thing, which one, on which host, of whose instance, and in words.

    `state` is what a domain does that does something else than its instance's state says; `loose` that a guest runs and
    has its tap not open. `role`: what a disk is for, `root`, `data` or `seed`, or `volume`;
    `given` of a NIC's port that somebody else has. `untried`: of
    what is stuck, that nobody has tried to take it back: its row is damaged.
    """

    difference: Difference
    kind: str
    name: str
    host: str | None
    instance_id: str | None
    detail: str
    state: PowerState | None = None
    loose: bool = False
    role: str = ""
    untried: bool = False


class _Record(Struct, frozen=True):
    """The record at one moment."""

    instances: Mapping[str, Instance]
    effects: Sequence[Effect]
    usages: Sequence[HostUsage]
    claims: Sequence[Claim]
    damaged_hosts: Mapping[str, str]
    quotas: Sequence[tuple[InstanceQuota, InstanceUse]]
    """The projects whose counters are wrong, and what they should be."""
    left: Collection[str]
    """The ids of instances at which somebody was who is gone."""


def audit(tools: Tools, *, of: Collection[str] | None = None) -> tuple[Finding, ...]:
    """All differences. Of instances that are worked on, or were while the drivers were asked, nothing is said.

    `of`: only those of the instances with these ids, for which their hosts alone are asked; servers of DHCP, which
    belong to no single one, are left out then. Safe at any time: it changes nothing.
    """
    store, drivers = tools.store, tools.drivers
    before = _read(tools, of=of)
    known, seconds = [usage.host for usage in before.usages], tools.settings.step_timeout
    held, unheard = ask_all(before.instances, known, drivers, seconds=seconds, alone=of is not None)
    silent = [*_of_damaged_hosts(before), *map(_unreachable, unheard)]
    told = set(outdated(store, drivers, of=of))
    routers = list(differing(tools, known)) if of is None else []
    after = _read(tools, of=of)
    moving = _moving(before, after)
    expected_before, damaged_before = _expected(before)
    expected, damaged_after = _expected(after)
    damaged = dict.fromkeys([*damaged_before, *damaged_after])
    unasked = {(finding.kind, finding.host) for finding in (*silent, *damaged)}
    if of is not None:
        unasked.add((_SERVER, None))
    findings = [*silent, *damaged, *_stuck(after), *_counters(after), *_quotas(after), *_unfinished(before, after)]
    findings += _effects(after, expected_before, expected, held, unasked, drivers, moving)
    findings += _outdated(expected, held, told, moving)
    findings += _claims(after, moving)
    findings += _routers(after, routers, moving)
    findings = list(_given(findings, tools))
    if of is not None:
        findings = [one for one in findings if one.instance_id in of or one.difference is Difference.UNREACHABLE]
    return tuple(sorted(findings, key=lambda f: (f.difference, f.kind, f.host or "", f.name)))


def never_on_record(tools: Tools, ask: Callable[[], Collection[Thing]], kinds: Sequence[str]) -> Iterator[Thing]:
    """What is held, by the answer that `ask` gives, and was on record neither before nor after it; `kinds`: of effects.

    Of instances that were worked on meanwhile nothing is said.
    """
    before = _read(tools, kinds=kinds)
    held = ask()
    after = _read(tools, kinds=kinds)
    moving, on_record = _moving(before, after), {*_expected(before)[0], *_expected(after)[0]}
    return (thing for thing in held if thing not in on_record and thing.instance_id not in moving)


_SERVER = "dhcp-port"


def _read(tools: Tools, kinds: Sequence[str] | None = None, of: Collection[str] | None = None) -> _Record:
    with tools.store.read() as tx:
        listed = instances.listed(tx) if of is None else instances.those(tx, of)
        known = {instance.id: instance for instance in listed}
        standing, claims = effects.standing(tx, kinds=kinds, of=of), hosts.all_claims(tx, of=of)
        places = None if of is None else {effect.host for effect in standing if effect.host}
        usages = hosts.usages(tx, names=places)
        busy = (instance for instance in known.values() if not State(instance.vm_state, instance.task_state).at_rest)
        left = {i.id for i in busy if may_be_taken(tx, i, tools) and not _just_marked(tx, i, tools)}
        counted = quotas.differing(tx) if of is None else ()
        return _Record(known, standing, usages, claims, hosts.damaged(tx), counted, left)


def _just_marked(tx: Transaction, instance: Instance, tools: Tools) -> bool:
    """Whether it may be that somebody who deletes it is about to take it: what is at rest is marked before that."""
    if instance.worker is not None or not State(instance.vm_state, instance.task_state).deleting:
        return False
    age = tools.clock() - history_of(tx, instance.id)[-1].at
    return age.total_seconds() < tools.settings.takeover_grace


def _moment(record: _Record, instance_id: str) -> tuple[str, str | None, int] | None:
    found = record.instances.get(instance_id)
    return (found.vm_state, found.task_state, found.generation) if found else None


def _moving(before: _Record, after: _Record) -> set[str]:
    """The instances that were not at rest all the time."""

    def resting(record: _Record, instance_id: str) -> bool:
        found = record.instances.get(instance_id)
        return found is None or State(found.vm_state, found.task_state).at_rest

    return {
        i
        for i in {*before.instances, *after.instances}
        if _moment(before, i) != _moment(after, i) or not resting(after, i)
    }


def _unfinished(before: _Record, after: _Record) -> Iterator[Finding]:
    """What nobody is at, and nobody was all the time."""
    for i in before.left:
        if i in after.left and _moment(before, i) == _moment(after, i):
            left = after.instances[i]
            state = State(left.vm_state, left.task_state)
            detail = f"it is {state}, and whoever was at it is gone; `slipway resume` finishes it"
            yield Finding(Difference.UNFINISHED, "instance", left.name, left.host, i, detail)


def _expected(record: _Record) -> tuple[dict[Thing, Effect], list[Finding]]:
    """What the ledger says is there, and the rows that cannot be read."""
    expected: dict[Thing, Effect] = {}
    damaged = [
        Finding(Difference.DAMAGED, "instance", instance.name, instance.host, instance.id, instance.damage)
        for instance in record.instances.values()
        if instance.damage
    ]
    for effect in record.effects:
        try:
            if thing := expected_thing(effect):
                expected[thing] = effect
        except RecordDamaged as error:
            kind, host = place_of(effect)
            text = f"the row of {words.noun(effect.kind, str(effect.slot))} is damaged: {error}"
            damaged.append(Finding(Difference.DAMAGED, kind, effect.key, host, effect.instance_id, text))
    return expected, damaged


def _effects(
    record: _Record,
    expected_before: Mapping[Thing, Effect],
    expected: Mapping[Thing, Effect],
    held: Mapping[Thing, Held],
    unasked: set[tuple[str, str | None]],
    drivers: Drivers,
    moving: set[str],
) -> Iterator[Finding]:
    # A host that could not be asked may have no driver at all.
    hosts_asked = [usage.host for usage in record.usages if ("vif", usage.host.name) not in unasked]
    local_wiring = {host.name for host in hosts_asked if drivers.on(host).wiring.local}
    for thing, effect in expected.items():
        asked = not unasked & {(thing.kind, thing.host), (thing.kind, None)}
        skipped = not asked or (thing.kind in WIRED and thing.host in local_wiring)
        if effect.state is not EffectState.DONE or effect.instance_id in moving or skipped:
            continue
        if thing not in held:
            missing = _finding(Difference.MISSING, thing, words.missing(thing), effect.instance_id)
            yield replace(missing, role=role_of(effect))
            continue
        instance = record.instances[effect.instance_id]
        yield from _beside(thing, held[thing])
        said = _unlike(_with_guest(thing, held, instance), instance)
        if not is_as_recorded(effect, said):
            said = replace(said, fault="it is not as it is on record")
        if wrong := words.different(thing, said, instance):
            found = _finding(Difference.DIFFERENT, thing, wrong, instance.id)
            yield replace(found, state=said.state, loose=not said.joined, role=role_of(effect))
    for thing in held.keys() - expected.keys() - expected_before.keys():
        if thing.instance_id not in moving and (thing.kind, thing.host) not in unasked:
            yield _orphaned(thing)


def _beside(domain: Thing, said: Held) -> Iterator[Finding]:
    """What is wrong beside a domain, and by no definition of it is mended."""
    for name in said.lacks:
        file = Thing("boot-file", domain.host, domain.instance_id, name)
        yield _finding(Difference.MISSING, file, words.missing(file), domain.instance_id)
    for path in said.brought:
        disk = Thing("attached-disk", domain.host, domain.instance_id, path)
        yield _finding(Difference.DIFFERENT, disk, words.brought(path), domain.instance_id)


def _given(findings: Sequence[Finding], tools: Tools) -> Iterator[Finding]:
    """The findings; of a port that is missed, whether somebody else has it, from whom a repair does not take it."""
    missed = {one.name for one in findings if one.kind == "port" and one.difference is Difference.MISSING}
    taken: dict[str, str] = {}
    for port_id in missed:
        with suppress(SlipwayError), within(tools.settings.step_timeout):
            port = tools.drivers.network.show_port(ADMIN, port_id)
            if not is_free(tools, port):
                taken[port_id] = port.device_id
    for one in findings:
        given = one.difference is Difference.MISSING and one.kind in ("port", "binding") and one.name in taken
        yield replace(one, detail=words.given(one.name, taken[one.name]), role=GIVEN) if given else one


def _with_guest(thing: Thing, held: Mapping[Thing, Held], instance: Instance) -> Held:
    """What is said of a thing; wrong with a tap is as well that the guest, which runs, has it not open."""
    said = held[thing]
    domain = held.get(Thing("domain", instance.host, instance.id, instance.id))
    if thing.kind != "vif" or said.joined:
        return replace(said, joined=True)
    if domain is None or not domain.joined or domain.state is not PowerState.RUNNING:
        return replace(said, joined=True)
    return replace(said, fault="; ".join(filter(None, (said.fault, "its guest is not joined to it"))))


def _orphaned(thing: Thing) -> Finding:
    return _finding(Difference.ORPHANED, thing, words.orphaned(thing), thing.instance_id)


def _unreachable(one: Silence) -> Finding:
    return Finding(Difference.UNREACHABLE, one.kind, one.host or "network", one.host, None, one.why)


def _of_damaged_hosts(record: _Record) -> Iterator[Finding]:
    for host, damage in record.damaged_hosts.items():
        for kind, _ in ON_HOSTS:
            yield Finding(Difference.UNREACHABLE, kind, host, host, None, damage)


def _outdated(
    expected: Mapping[Thing, Effect],
    held: Container[Thing],
    told: Container[tuple[str, str, str]],
    moving: Container[str],
) -> Iterator[Finding]:
    """Filters and DHCP entries that could not follow a change, or did not hear of it."""
    for thing, effect in expected.items():
        there = thing in held and effect.state is EffectState.DONE and effect.instance_id not in moving
        if there and thing.host is not None and (thing.kind, thing.host, thing.name) in told:
            yield _finding(Difference.DIFFERENT, thing, words.outdated(thing), effect.instance_id)


def _unlike(said: Held, instance: Instance) -> Held:
    """What a driver says of a thing of an instance at rest, but for what is as it should be."""
    right = _RIGHT.get(instance.vm_state, (PowerState.RUNNING,))
    return replace(said, state=None) if said.state in right else said


_RIGHT: Mapping[str, tuple[PowerState, ...]] = {VmState.STOPPED: ENDED, VmState.PAUSED: (PowerState.PAUSED,)}
"""What a domain does whose instance is in this state; it runs in all others."""


def _finding(difference: Difference, thing: Thing, detail: str, instance_id: str) -> Finding:
    return Finding(difference, thing.kind, thing.name, thing.host, instance_id or None, detail)


def _stuck(record: _Record) -> Iterator[Finding]:
    known = {effect.key: effect for effect in record.effects}
    for effect in record.effects:
        if effect.state is EffectState.STUCK:
            text = words.stuck(effect, known)
            own, untried = effect.instance_id, effect.undone_at is None
            yield Finding(Difference.STUCK, effect.kind, effect.key, effect.host, own, text, untried=untried)


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
                detail = words.counter(what, value, total[what])
                yield Finding(Difference.DIFFERENT, "counter", what, usage.host.name, None, detail)


def _quotas(record: _Record) -> Iterator[Finding]:
    """The projects' counters against what their instances are together."""
    for quota, real in record.quotas:
        for what in INSTANCE_RESOURCES:
            counted, there = getattr(quota.used, what), getattr(real, what)
            if counted != there:
                detail = words.quota(what, counted, there)
                yield Finding(Difference.DIFFERENT, "quota", f"{quota.project}/{what}", None, None, detail)


def _routers(
    record: _Record, differing: Sequence[tuple[str, str, str, str]], moving: Container[str]
) -> Iterator[Finding]:
    """What hosts carry, but for those on which a NIC may just have come or gone."""
    busy = {effect.host for effect in record.effects if effect.instance_id in moving}
    for difference, host, router_id, detail in differing:
        if host not in busy:
            yield Finding(Difference(difference), "router", router_id, host, None, detail)


def _claims(record: _Record, moving: set[str]) -> Iterator[Finding]:
    expected = {(e.instance_id, e.host) for e in record.effects if e.kind == "claim"}
    there = {(claim.instance_id, claim.host) for claim in record.claims}
    for difference, pairs, detail in (
        (Difference.MISSING, expected - there, "the instance is on the host, and nothing is claimed for it"),
        (Difference.ORPHANED, there - expected, "something is claimed for an instance that has not claimed it"),
    ):
        for instance_id, host in pairs:
            if instance_id not in moving:
                yield Finding(difference, "claim", instance_id, host, instance_id, detail)
