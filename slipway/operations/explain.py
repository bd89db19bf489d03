"""Why an instance is where it is, or nowhere: what was seen when it was scheduled, and what is true now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from slipway import errors
from slipway.flows import choosing, scheduler
from slipway.flows.scheduler import Refusal
from slipway.flows.tasks.base import Tools
from slipway.model.machine import Claim, Placement, Room, Weights
from slipway.model.record import Fault, Instance, Stack
from slipway.model.request import Host, InstanceRequest
from slipway.states import codec, hosts, instances, stacks
from slipway.states.details import Details, details_of
from slipway.states.hosts import HostUsage
from slipway.states.store import Transaction


class Verdict(Struct, frozen=True):
    """What the scheduler says of one host: every reason why it will not do, or by what it is weighed."""

    host: str
    free: Room
    refusals: tuple[Refusal, ...] = ()
    weights: Weights | None = None


class Fit(Struct, frozen=True):
    """A host, and the largest request that would fit on it."""

    host: str
    room: Room


class Then(Struct, frozen=True):
    """What is on record of the moment when the instance was scheduled: the hosts that were chosen, each as it was."""

    at: datetime
    placement: Placement


class Explanation(Struct, frozen=True):
    """Why an instance is where it is, or would be.

    `instance` None: it is in a run file only. `then` None: it was never scheduled with success; `fault` is what its
    build failed with. `now` was asked for this explanation: every host, those that fit first and best first, as if the
    instance claimed nothing yet. `largest`: what would fit in place of the request, all else being as asked.
    `problem`: why no host could help.
    """

    request: InstanceRequest
    now: tuple[Verdict, ...]
    largest: tuple[Fit, ...]
    problem: str = ""
    instance: Instance | None = None
    then: Then | None = None

    @property
    def fault(self) -> Fault | None:
        """Why its build failed."""
        return self.instance.fault if self.instance else None


def explain(name: str, project: str | None, tools: Tools) -> Explanation:
    """Of an instance on record, by name or id. Changes nothing. Raises `InstanceNotFound`."""
    with tools.store.read() as tx:
        return _of_record(tx, details_of(tx, name, project), tools)


def explain_stack(
    stack: Stack, wanted: Sequence[Host], requests: Sequence[InstanceRequest], tools: Tools
) -> tuple[Explanation, ...]:
    """Of each instance that a run file asks for, in order: as one on record, or as it would be built now, after those
    before it have taken their places and with the hosts that are `wanted`. Changes nothing."""
    found = []
    with tools.store.read() as tx:
        future = _Hosts(tx, stack, wanted, tools)
        for request in requests:
            if instance := instances.find(tx, request.name, stack.project):
                found.append(_of_record(tx, details_of(tx, instance.id, None), tools))
            else:
                found.append(future.place(request))
    return tuple(found)


def _of_record(tx: Transaction, details: Details, tools: Tools) -> Explanation:
    instance = details.instance
    seen = choosing.usages(tx, instance.request, tools.drivers, instance.id)
    members = choosing.members_of(tx, instance.request, instance.id)
    freed = [_given_back(usage, details.claim) for usage in seen]
    return replace(_judge(instance.request, freed, members), instance=instance, then=_then(details))


def _given_back(usage: HostUsage, claim: Claim | None) -> HostUsage:
    """The host as if what the instance claims of it was free."""
    if claim is None or claim.host != usage.host.name:
        return usage
    return replace(
        usage,
        vcpus_used=usage.vcpus_used - claim.vcpus,
        memory_used=usage.memory_used - claim.memory,
        disk_used=usage.disk_used - claim.disk,
    )


def _then(details: Details) -> Then | None:
    placements = [effect for effect in details.effects if effect.kind == "placement" and effect.result]
    if not placements or placements[-1].result is None:
        return None
    with suppress(errors.RecordDamaged):
        return Then(
            placements[-1].started_at or details.instance.created_at, codec.decode(placements[-1].result, Placement)
        )
    return None


def _judge(request: InstanceRequest, usages: Sequence[HostUsage], members: scheduler.Members) -> Explanation:
    """What the scheduler says of all hosts."""
    fitting: list[Verdict] = []
    refused: list[Verdict] = []
    for usage in usages:
        refusals = tuple(scheduler.refusals(request, usage, members))
        if refusals:
            refused.append(Verdict(usage.host.name, usage.free, refusals))
        else:
            weights = scheduler.weigh(request, usage, members)
            fitting.append(Verdict(usage.host.name, usage.free, weights=weights))
    fitting.sort(key=lambda verdict: verdict.weights.key if verdict.weights else ())
    largest = tuple(Fit(name, room) for name, room in scheduler.largest(request, usages, members))
    try:
        scheduler.check_request(request)
        problem = ""
    except errors.SlipwayError as error:
        problem = str(error)
    return Explanation(request, (*fitting, *refused), largest, problem)


class _Hosts:
    """The hosts as they would be once a run file was run, and what its instances would take of them in turn."""

    def __init__(self, tx: Transaction, stack: Stack, wanted: Sequence[Host], tools: Tools) -> None:
        self._tx, self._tools = tx, tools
        self._usages = {usage.host.name: usage for usage in hosts.usages(tx)}
        for host in wanted:
            known = self._usages.get(host.name)
            if known is None:
                self._usages[host.name] = _fresh(host)
            elif stacks.stack_of(tx, stacks.Kind.HOST, host.name) == stack:
                self._usages[host.name] = _changed(known, host)
        self._members: dict[str, Counter[str]] = {}
        self._pins: dict[str, frozenset[int]] = dict(hosts.all_pins(tx, besides=""))

    def place(self, request: InstanceRequest) -> Explanation:
        """Where it would go; it takes its place there."""
        members = self._members_of(request)
        seen = [
            replace(usage, pinned_cpus=self._pins.get(name, frozenset()))
            for name, usage in sorted(choosing.here(self._usages, self._tools.drivers).items())
        ]
        judged = _judge(request, seen, members)
        if not judged.problem and judged.now and not judged.now[0].refusals:
            self._take(judged.now[0].host, request, members)
        return judged

    def _members_of(self, request: InstanceRequest) -> Counter[str]:
        if request.group is None:
            return Counter()
        if request.group.name not in self._members:
            there = choosing.members_of(self._tx, request, "")
            self._members[request.group.name] = Counter(there)
        return self._members[request.group.name]

    def _take(self, name: str, request: InstanceRequest, members: Counter[str]) -> None:
        usage, flavor = self._usages[name], request.flavor
        self._usages[name] = replace(
            usage,
            vcpus_used=usage.vcpus_used + flavor.vcpus,
            memory_used=usage.memory_used + flavor.memory,
            disk_used=usage.disk_used + scheduler.disk_total(request),
        )
        self._pins[name] = self._pins.get(name, frozenset()) | frozenset(flavor.pin_cpus)
        members[name] += 1


def _fresh(host: Host) -> HostUsage:
    room = hosts.limits(host)
    return HostUsage(host, room.vcpus, room.memory, room.disk, 0, 0, 0, 0)


def _changed(known: HostUsage, host: Host) -> HostUsage:
    """A host of the file's own stack: it becomes what the file says, and what is claimed of it stays claimed."""
    room = hosts.limits(host)
    new: Mapping[str, int] = {"vcpus_limit": room.vcpus, "memory_limit": room.memory, "disk_limit": room.disk}
    return replace(known, host=replace(host, place=known.host.place), **new)
