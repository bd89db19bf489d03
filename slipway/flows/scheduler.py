"""Which hosts an instance may go to: filters that each can say why, then a weigher. No look-ups, no effects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from msgspec import Struct

from slipway.errors import FlavorDiskTooSmall, FlavorMemoryTooSmall, ImageNotActive, NoValidHost
from slipway.model.machine import Candidate, Room, Weights
from slipway.model.numa import cells_of, cpus_text, guest_cells
from slipway.model.request import InstanceRequest
from slipway.states.candidates import Wanted
from slipway.states.hosts import HostUsage

Members: TypeAlias = Mapping[str, int]
"""How many of the server group's other members are on each host where any is."""

Filter: TypeAlias = Callable[[InstanceRequest, HostUsage, Members], str | None]
"""Says why the host will not do, or None."""


class Refusal(Struct, frozen=True):
    """Which filter a host did not pass, and why."""

    filter: str
    reason: str


def check_request(request: InstanceRequest) -> None:
    """What no host could help with, checked before anything is made.

    Nova: `ImageNotActive`, `FlavorDiskSmallerThanImage`, `FlavorDiskSmallerThanMinDisk`, `FlavorMemoryTooSmall`.
    """
    flavor, image = request.flavor, request.image
    if image.status != "active":
        raise ImageNotActive(f"image {image.name} is not active: its status is {image.status}")
    if flavor.memory < image.min_memory:
        raise FlavorMemoryTooSmall(
            f"flavor {flavor.name} has {size(flavor.memory)} of memory, image {image.name} needs "
            f"{size(image.min_memory)}"
        )
    needed = max(image.min_disk, image.size)
    if flavor.disk < needed:
        raise FlavorDiskTooSmall(
            f"flavor {flavor.name} has {size(flavor.disk)} of disk, image {image.name} needs {size(needed)}"
        )


def disk_total(request: InstanceRequest) -> int:
    """Bytes of disk that the instance takes from its host; volumes that were brought along are there already."""
    return request.flavor.disk + sum(disk for disk in request.disks if isinstance(disk, int))


def wanted(request: InstanceRequest) -> Wanted:
    """What the database can look for."""
    flavor = request.flavor
    labels, room = required(request), (flavor.vcpus, flavor.memory, disk_total(request))
    return Wanted(*room, request.host, request.zone, labels, flavor.pin_cpus)


def required(request: InstanceRequest) -> tuple[tuple[str, str], ...]:
    """The labels that the host must have, by the flavor and by the instance."""
    return tuple({**dict(request.flavor.requires), **dict(request.requires)}.items())


def select(request: InstanceRequest, usages: Iterable[HostUsage], members: Members) -> Sequence[Candidate]:
    """The hosts that pass every filter, best first. Raises `NoValidHost` with why each was refused."""
    refused: list[tuple[HostUsage, Refusal]] = []
    fitting: list[Candidate] = []
    for usage in usages:
        refusal = next(refusals(request, usage, members), None)
        if refusal is None:
            fitting.append(Candidate(weigh(request, usage, members), usage.free))
        else:
            refused.append((usage, refusal))
    if not fitting:
        raise NoValidHost(_none_fits(request, refused, members))
    return sorted(fitting, key=lambda one: one.weights.key)


def refusals(request: InstanceRequest, usage: HostUsage, members: Members) -> Iterator[Refusal]:
    """Every reason why the host will not do; none where it will."""
    for name, check in FILTERS.items():
        if reason := check(request, usage, members):
            yield Refusal(name, reason)


def weigh(request: InstanceRequest, usage: HostUsage, members: Members) -> Weights:
    """Soft group policies, fewer failed builds, then more memory and vCPUs free (Nova spreads)."""
    here = members.get(usage.host.name, 0)
    return Weights(
        here * group_order(request),
        usage.failed_builds,
        # In doubles throughout, as the database has them.
        float(usage.memory_used - usage.memory_limit) / float(max(usage.memory_limit, 1)),
        float(usage.vcpus_used - usage.vcpus_limit) / float(max(usage.vcpus_limit, 1)),
        usage.host.name,
    )


def group_order(request: InstanceRequest) -> int:
    """-1 where a host is better for each member of the server group on it, 1 where it is worse, else 0."""
    return {"soft-affinity": -1, "soft-anti-affinity": 1}.get(request.group.policy if request.group else "", 0)


def largest(request: InstanceRequest, usages: Iterable[HostUsage], members: Members) -> Sequence[tuple[str, Room]]:
    """The largest that would fit in place of the request, all else being as asked, each with its host: none of them
    has as much of everything as another. The one with most memory first."""
    rooms: list[tuple[str, Room]] = []
    for usage in usages:
        free = usage.free
        others = (one for one in refusals(request, usage, members) if one.filter not in CAPACITY)
        if free.vcpus > 0 and free.memory > 0 and free.disk >= 0 and next(others, None) is None:
            rooms.append((usage.host.name, free))
    rooms.sort(key=lambda one: (-one[1].memory, -one[1].vcpus, -one[1].disk, one[0]))
    front: list[tuple[str, Room]] = []
    for name, room in rooms:
        if not any(other.vcpus >= room.vcpus and other.disk >= room.disk for _, other in front):
            front.append((name, room))
    return front


def room_text(room: Room) -> str:
    """For a person: `4 vCPUs, 12GiB of memory and 80GiB of disk`."""
    vcpus = "1 vCPU" if room.vcpus == 1 else f"{room.vcpus} vCPUs"
    return f"{vcpus}, {size(room.memory)} of memory and {size(room.disk)} of disk"


MOST_NAMED = 8
"""Hosts of which an error says by name why they will not do."""


def _none_fits(request: InstanceRequest, refused: Sequence[tuple[HostUsage, Refusal]], members: Members) -> str:
    """Why each host was refused; of many, those that came nearest, and how many for what."""
    names = [*FILTERS]
    many = len(refused) > MOST_NAMED
    nearest = sorted(refused, key=lambda one: -names.index(one[1].filter)) if many else refused
    fits: Sequence[tuple[str, Room]] = ()
    if any(refusal.filter in CAPACITY for _, refusal in refused):
        fits = largest(request, (usage for usage, _ in refused), members)
    counted = Counter(refusal.filter for _, refusal in refused)
    return none_fits(request, nearest[:MOST_NAMED], counted, fits)


def none_fits(
    request: InstanceRequest,
    told: Sequence[tuple[HostUsage, Refusal]],
    counted: Mapping[str, int],
    fits: Sequence[tuple[str, Room]],
) -> str:
    """That no host fits: why those that are `told` do not, and of how many hosts in all which filter is the reason."""
    listed = [f"{usage.host.name}: {refusal.reason}" for usage, refusal in told]
    more = Counter(counted)
    more.subtract(refusal.filter for _, refusal in told)
    if (rest := sum(more.values())) > 0:
        listed.append(f"{rest} more: " + ", ".join(f"{more[n]} {_OF_MANY[n]}" for n in FILTERS if more[n] > 0))
    text = f"no host fits {request.name}: {'; '.join(listed) or 'there are no hosts'}"
    return f"{text}. The largest that would fit: {room_text(fits[0][1])} (on {fits[0][0]})" if fits else text


def _enabled(_request: InstanceRequest, usage: HostUsage, _members: Members) -> str | None:
    if usage.enabled:
        return None
    return f"it is disabled: {usage.disabled}" if usage.disabled else "it is disabled"


def _here(_request: InstanceRequest, usage: HostUsage, _members: Members) -> str | None:
    return usage.elsewhere or None


def _asked_for(request: InstanceRequest, usage: HostUsage, _members: Members) -> str | None:
    return None if request.host in (None, usage.host.name) else f"host {request.host} was asked for"


def _zone(request: InstanceRequest, usage: HostUsage, _members: Members) -> str | None:
    return None if request.zone in (None, usage.host.zone) else f"it is in zone {usage.host.zone}, not {request.zone}"


def _labels(request: InstanceRequest, usage: HostUsage, _members: Members) -> str | None:
    labels = dict(usage.host.labels)
    for key, value in required(request):
        if key not in labels:
            return f"it has no label {key}, which must be {value}"
        if labels[key] != value:
            return f"its label {key} is {labels[key]}, not {value}"
    return None


def _vcpus(request: InstanceRequest, usage: HostUsage, _members: Members) -> str | None:
    if request.flavor.vcpus > usage.host.vcpus:
        return f"it has {usage.host.vcpus} vCPUs, {request.flavor.vcpus} are needed at once"
    free = usage.vcpus_limit - usage.vcpus_used
    return None if request.flavor.vcpus <= free else f"{free} of {usage.vcpus_limit} vCPUs are free"


def _memory(request: InstanceRequest, usage: HostUsage, _members: Members) -> str | None:
    free = usage.memory_limit - usage.memory_used
    if request.flavor.memory <= free:
        return None
    return f"{size(free)} of {size(usage.memory_limit)} memory are free, {size(request.flavor.memory)} needed"


def _disk(request: InstanceRequest, usage: HostUsage, _members: Members) -> str | None:
    free = usage.disk_limit - usage.disk_used
    if disk_total(request) <= free:
        return None
    return f"{size(free)} of {size(usage.disk_limit)} disk are free, {size(disk_total(request))} needed"


def _pins(request: InstanceRequest, usage: HostUsage, _members: Members) -> str | None:
    return pins_refusal(request.flavor.pin_cpus, usage.pinned_cpus)


def _numa(request: InstanceRequest, usage: HostUsage, _members: Members) -> str | None:
    """Each cell of a guest, or the whole of one that sees none, is pinned within one cell of its host."""
    numa, flavor = usage.host.numa, request.flavor
    if not numa or not flavor.pin_cpus:
        return None
    for cpus in guest_cells(flavor.pin_cpus, flavor.numa_cells):
        cells = cells_of(numa, cpus)
        if -1 in cells:
            return f"not all of CPUs {cpus_text(cpus)} are in its NUMA cells ({'; '.join(numa)})"
        if len(cells) > 1:
            found = " and ".join(f"{cell} ({numa[cell]})" for cell in cells)
            return f"CPUs {cpus_text(cpus)} are in its NUMA cells {found}, and not in one"
    return None


def pins_refusal(wanted: Collection[int], pinned: Collection[int]) -> str | None:
    """Why a host will not do whose CPUs are pinned already; None if it will. Nova: a dedicated CPU is one guest's."""
    taken = sorted({*wanted} & {*pinned})
    if not taken:
        return None
    cpus = ", ".join(map(str, taken))
    return f"its CPU {cpus} is pinned already" if len(taken) == 1 else f"its CPUs {cpus} are pinned already"


def _group(request: InstanceRequest, usage: HostUsage, members: Members) -> str | None:
    if request.group is None:
        return None
    return group_refusal(request.group.name, request.group.policy, usage.host.name, members)


def group_refusal(group: str, policy: str, host: str, members: Collection[str]) -> str | None:
    """Why the group's policy forbids this host, given where its other members are; None where it does not."""
    if policy == "anti-affinity" and host in members:
        return f"another member of group {group} (anti-affinity) is on it"
    if policy == "affinity" and members and host not in members:
        return f"the other members of group {group} (affinity) are on {', '.join(sorted(set(members)))}"
    return None


FILTERS: Mapping[str, Filter] = {
    "place": _here,
    "enabled": _enabled,
    "host": _asked_for,
    "zone": _zone,
    "labels": _labels,
    "vcpus": _vcpus,
    "memory": _memory,
    "disk": _disk,
    "pins": _pins,
    "numa": _numa,
    "group": _group,
}
CAPACITY = ("vcpus", "memory", "disk")
"""The filters that a smaller request may pass."""

_OF_MANY = {
    "place": "belong to another place",
    "enabled": "are disabled",
    "host": "were not asked for",
    "zone": "are in another zone",
    "labels": "lack a label",
    "vcpus": "have too few vCPUs",
    "memory": "have too little memory",
    "disk": "have too little disk",
    "pins": "have its CPUs pinned",
    "numa": "have its CPUs in several NUMA cells",
    "group": "break its group's policy",
}


def size(count: int) -> str:
    """Bytes for a person: `512MiB`, `1.5GiB`."""
    for unit, factor in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if abs(count) >= factor:
            return f"{count / factor:.4g}{unit}"
    return f"{count}B"
