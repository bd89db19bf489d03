"""On which hosts instances would be built one after the other, as the scheduler says; nothing is claimed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from slipway import errors
from slipway.flows import scheduler
from slipway.model.machine import Claim
from slipway.model.record import Instance
from slipway.model.request import Host, InstanceRequest
from slipway.stacks.words import shown
from slipway.states.hosts import HostUsage
from slipway.texts import some


class Place(Struct, frozen=True):
    """The host that an instance would be built on, and why; None with the reason why there is none."""

    host: Host | None
    why: str


class Placing:
    """The hosts as they would be after each instance that was placed or has left.

    What each host says to a kind of request is kept until something is placed on it or leaves it.
    """

    def __init__(self, usages: Sequence[HostUsage], members: Mapping[str, Sequence[str]]) -> None:
        """`members`: the hosts of each server group's members, by the group's name."""
        self._usages = {usage.host.name: usage for usage in usages}
        self._members = {group: Counter(hosts) for group, hosts in members.items()}
        self._weights: dict[InstanceRequest, dict[str, tuple[float | str, ...]]] = {}
        self._refusals: dict[InstanceRequest, dict[str, str]] = {}

    def place(self, request: InstanceRequest) -> Place:
        """Where it would be built, which counts for those that follow."""
        try:
            scheduler.check_request(request)
        except errors.SlipwayError as error:
            return Place(None, f"{type(error).__name__}: {error}")
        kind = _kind(request)
        if kind not in self._weights:
            self._weights[kind], self._refusals[kind] = {}, {}
            for name in self._usages:
                self._look(kind, name)
        weights, refusals = self._weights[kind], self._refusals[kind]
        if not weights:
            return Place(None, f"NoValidHost: {self._none_fits(request)}")
        best = min(weights, key=weights.__getitem__)
        why = self._why(request, best, len(weights), refusals)
        if request.flavor.pin_cpus:
            pinned = self._usages[best].pinned_cpus | {*request.flavor.pin_cpus}
            self._usages[best] = replace(self._usages[best], pinned_cpus=pinned)
        self._moved(best, claim_of(request, best), +1)
        self._moved_member(request, best, +1)
        return Place(self._usages[best].host, why)

    def leave(self, request: InstanceRequest, claim: Claim | None) -> None:
        """Have what an instance claims free again."""
        if claim is not None and claim.host in self._usages:
            self._moved(claim.host, claim, -1)
            self._moved_member(request, claim.host, -1)

    def grow(self, found: Instance, wanted: InstanceRequest) -> str:
        """Have an instance take what it is to have of its host; gives why its host has not that much left, if so."""
        if found.host not in self._usages:
            return ""
        usage, have, want = self._usages[found.host], claim_of(found.request, found.host), claim_of(wanted, found.host)
        more = {name: getattr(want, name) - getattr(have, name) for name in ("vcpus", "memory", "disk")}
        free = {name: getattr(usage, f"{name}_limit") - getattr(usage, f"{name}_used") for name in more}
        short = [name for name in more if 0 < more[name] > free[name]]
        self._moved(found.host, Claim(found.id, found.host, **more), +1)
        if not short:
            return ""
        what = "; ".join(f"{shown(more[n], n)} more of {n} wanted, {shown(max(0, free[n]), n)} free" for n in short)
        return f"{errors.ComputeResourcesUnavailable.__name__}: host {found.host} has not enough left: {what}"

    def _moved(self, name: str, claim: Claim, sign: int) -> None:
        usage = self._usages[name]
        self._usages[name] = replace(
            usage,
            vcpus_used=usage.vcpus_used + sign * claim.vcpus,
            memory_used=usage.memory_used + sign * claim.memory,
            disk_used=usage.disk_used + sign * claim.disk,
        )
        for kind in self._weights:
            self._look(kind, name)

    def _moved_member(self, request: InstanceRequest, name: str, sign: int) -> None:
        if request.group is None:
            return
        group = request.group.name
        self._members.setdefault(group, Counter())[name] += sign
        for kind in [kind for kind in self._weights if kind.group and kind.group.name == group]:
            for host in self._usages:
                self._look(kind, host)

    def _look(self, kind: InstanceRequest, name: str) -> None:
        """Ask the scheduler anew what it says of a host."""
        usage, members = self._usages[name], self._members_of(kind)
        refusal = next(scheduler.refusals(kind, usage, members), None)
        if refusal is None:
            self._weights[kind][name] = scheduler.weigh(kind, usage, members).key
            self._refusals[kind].pop(name, None)
        else:
            self._refusals[kind][name] = refusal.reason
            self._weights[kind].pop(name, None)

    def _members_of(self, request: InstanceRequest) -> scheduler.Members:
        if request.group is None:
            return {}
        return {name: number for name, number in self._members.get(request.group.name, Counter()).items() if number}

    def _none_fits(self, request: InstanceRequest) -> str:
        """As the build will say it."""
        try:
            scheduler.select(request, self._usages.values(), self._members_of(request))
        except errors.NoValidHost as error:
            return str(error)
        raise AssertionError("a host was refused that the scheduler takes")

    def _why(self, request: InstanceRequest, best: str, fitting: int, refusals: Mapping[str, str]) -> str:
        if request.host is not None:
            return "it was asked for"
        if fitting == 1:
            return "the only host that fits" + (f" ({_some(refusals)})" if refusals else "")
        usage = self._usages[best]
        free = scheduler.size(usage.memory_limit - usage.memory_used)
        group = f", by group {request.group.name} ({request.group.policy})" if request.group else ""
        return f"the best of {fitting} hosts that fit{group}: {free} of memory free"


_MOST_NAMED = 3


def _some(refusals: Mapping[str, str]) -> str:
    named = [f"{name}: {reason}" for name, reason in refusals.items()]
    return some(named, _MOST_NAMED, between="; ", last="; and")


def claim_of(request: InstanceRequest, host: str) -> Claim:
    """What an instance takes from its host."""
    return Claim(request.name, host, request.flavor.vcpus, request.flavor.memory, scheduler.disk_total(request))


def _kind(request: InstanceRequest) -> InstanceRequest:
    """A request without all that a scheduler does not look at: many are of one kind."""
    return InstanceRequest(
        name="",
        flavor=request.flavor,
        image=request.image,
        project=request.project,
        group=request.group,
        zone=request.zone,
        host=request.host,
        disks=request.disks,
        requires=request.requires,
    )
