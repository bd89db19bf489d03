"""Which hosts an instance may go to: filters that each can say why, then a weigher. No look-ups, no effects."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from slipway.errors import FlavorDiskTooSmall, FlavorMemoryTooSmall, ImageNotActive, NoValidHost
from slipway.model.request import InstanceRequest
from slipway.states.hosts import HostUsage

Filter = Callable[[InstanceRequest, HostUsage, Sequence[str]], str | None]
"""Says why the host will not do, or None; the sequence holds the hosts of the server group's other members."""


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


def select(request: InstanceRequest, usages: Sequence[HostUsage], members: Sequence[str]) -> tuple[str, ...]:
    """The names of the hosts that pass every filter, best first. Raises `NoValidHost` with each host's refusal."""
    refusals: dict[str, str] = {}
    fitting: list[HostUsage] = []
    for usage in usages:
        reason = next((r for check in FILTERS if (r := check(request, usage, members))), None)
        if reason is None:
            fitting.append(usage)
        else:
            refusals[usage.host.name] = reason
    if not fitting:
        listed = "; ".join(f"{name}: {reason}" for name, reason in refusals.items())
        raise NoValidHost(f"no host fits {request.name}: {listed or 'there are no hosts'}")
    fitting.sort(key=lambda usage: weigh(request, usage, members))
    return tuple(usage.host.name for usage in fitting)


def weigh(request: InstanceRequest, usage: HostUsage, members: Sequence[str]) -> tuple[float, ...]:
    """Smaller is better: soft group policies, fewer failed builds, then more memory and vCPUs free (Nova spreads)."""
    here = members.count(usage.host.name)
    policy = request.group.policy if request.group else ""
    soft = {"soft-affinity": -here, "soft-anti-affinity": here}.get(policy, 0)
    free_vcpus = (usage.vcpus_limit - usage.vcpus_used) / max(usage.vcpus_limit, 1)
    free_memory = (usage.memory_limit - usage.memory_used) / max(usage.memory_limit, 1)
    return (soft, usage.failed_builds, -free_memory, -free_vcpus)


def _enabled(_request: InstanceRequest, usage: HostUsage, _members: Sequence[str]) -> str | None:
    return None if usage.host.enabled else "it is disabled"


def _here(_request: InstanceRequest, usage: HostUsage, _members: Sequence[str]) -> str | None:
    return usage.elsewhere or None


def _asked_for(request: InstanceRequest, usage: HostUsage, _members: Sequence[str]) -> str | None:
    return None if request.host in (None, usage.host.name) else f"host {request.host} was asked for"


def _zone(request: InstanceRequest, usage: HostUsage, _members: Sequence[str]) -> str | None:
    return None if request.zone in (None, usage.host.zone) else f"it is in zone {usage.host.zone}, not {request.zone}"


def _vcpus(request: InstanceRequest, usage: HostUsage, _members: Sequence[str]) -> str | None:
    if request.flavor.vcpus > usage.host.vcpus:
        return f"it has {usage.host.vcpus} vCPUs, {request.flavor.vcpus} are needed at once"
    free = usage.vcpus_limit - usage.vcpus_used
    return None if request.flavor.vcpus <= free else f"{free} of {usage.vcpus_limit} vCPUs are free"


def _memory(request: InstanceRequest, usage: HostUsage, _members: Sequence[str]) -> str | None:
    free = usage.memory_limit - usage.memory_used
    if request.flavor.memory <= free:
        return None
    return f"{size(free)} of {size(usage.memory_limit)} memory are free, {size(request.flavor.memory)} needed"


def _disk(request: InstanceRequest, usage: HostUsage, _members: Sequence[str]) -> str | None:
    free = usage.disk_limit - usage.disk_used
    if disk_total(request) <= free:
        return None
    return f"{size(free)} of {size(usage.disk_limit)} disk are free, {size(disk_total(request))} needed"


def _pins(request: InstanceRequest, usage: HostUsage, _members: Sequence[str]) -> str | None:
    return pins_refusal(request.flavor.pin_cpus, usage.pinned_cpus)


def pins_refusal(wanted: Collection[int], pinned: Collection[int]) -> str | None:
    """Why a host will not do whose CPUs are pinned already; None if it will. Nova: a dedicated CPU is one guest's."""
    taken = sorted({*wanted} & {*pinned})
    if not taken:
        return None
    cpus = ", ".join(map(str, taken))
    return f"its CPU {cpus} is pinned already" if len(taken) == 1 else f"its CPUs {cpus} are pinned already"


def _group(request: InstanceRequest, usage: HostUsage, members: Sequence[str]) -> str | None:
    if request.group is None:
        return None
    return group_refusal(request.group.name, request.group.policy, usage.host.name, members)


def group_refusal(group: str, policy: str, host: str, members: Sequence[str]) -> str | None:
    """Why the group's policy forbids this host, given where its other members are; None where it does not."""
    if policy == "anti-affinity" and host in members:
        return f"another member of group {group} (anti-affinity) is on it"
    if policy == "affinity" and members and host not in members:
        return f"the other members of group {group} (affinity) are on {', '.join(sorted(set(members)))}"
    return None


FILTERS: tuple[Filter, ...] = (_here, _enabled, _asked_for, _zone, _vcpus, _memory, _disk, _pins, _group)


def size(count: int) -> str:
    """Bytes for a person: `512MiB`, `1.5GiB`."""
    for unit, factor in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if abs(count) >= factor:
            return f"{count / factor:.4g}{unit}"
    return f"{count}B"
