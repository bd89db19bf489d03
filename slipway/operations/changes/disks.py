"""One disk more, one less, or a larger one: what an instance is to become, checked against what stands of it.

A disk keeps its slot, and with it the guest's name for it, for as long as it is there; no other one ever gets that.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from slipway import errors
from slipway.flows.scheduler import size
from slipway.flows.tasks.catalog import arguments_of
from slipway.flows.tasks.change_snapshots import SetAside
from slipway.model.change import Change
from slipway.model.machine import Disk, DiskRole
from slipway.model.record import Effect, Instance
from slipway.model.request import Volume
from slipway.operations.changes.words import checked
from slipway.states.effects import done, key_of, result_of, results


def attach_disk(instance: Instance, effects: Sequence[Effect], disk: int | Volume) -> Change:
    """One more disk, behind those that it has. Raises `InvalidRequest`, as for the 26th."""
    what = f"volume {disk.path}" if isinstance(disk, Volume) else f"a disk of {size(disk)}"
    slot = free_slot(effects)
    request = checked(replace(instance.request, disks=(*instance.request.disks, disk)), instance)
    return Change("attach-disk", what, request, slot=slot, disks=(disk,))


def detach_disk(instance: Instance, effects: Sequence[Effect], disk: str) -> Change:
    """Without the disk that the guest has by this name, such as `vdb`, that has this slot, or that is this volume.

    Raises `DiskNotFound` with those that there are, also for the root disk and the seed, which stay.
    """
    index, found = _meant(instance, effects, disk)
    asked = instance.request.disks
    left = (*asked[:index], *asked[index + 1 :])
    retired = tuple(effect.key for effect in done(effects, "disk") if effect.slot == found.slot)
    what = f"disk {found.device}" + (f", volume {found.path}" if found.volume else "")
    return Change("detach-disk", what, replace(instance.request, disks=left), retired=retired)


def grow_disk(instance: Instance, effects: Sequence[Effect], disk: str, size_: int) -> Change | None:
    """With that many bytes of the disk that the guest has by this name, or that has this slot; None where it has them.

    Raises `DiskNotFound`, also for the root disk, and `InvalidRequest` for a smaller one and for a volume.
    """
    index, found = _meant(instance, effects, disk)
    what = f"disk {found.device} of instance {instance.name}"
    if found.volume:
        raise errors.InvalidRequest((f"{what} is volume {found.path}, whose size is its owner's affair",))
    if size_ < found.size:
        raise errors.InvalidRequest((f"{what} has {size(found.size)}, more than {size(size_)}: a disk never shrinks",))
    if size_ == found.size:
        return None
    asked = instance.request.disks
    request = checked(replace(instance.request, disks=(*asked[:index], size_, *asked[index + 1 :])), instance)
    said = f"disk {found.device} from {size(found.size)} to {size(size_)}"
    return Change("grow-disk", said, request, slot=found.slot, disks=(size_,))


def data_disks(instance: Instance, effects: Sequence[Effect]) -> dict[int, Disk]:
    """The disks that it has besides the root disk and the seed, by their slots and in that order, as they were asked
    for. Raises `RecordDamaged`.
    """
    disks, asked = _disks(effects), instance.request.disks
    if len(asked) != len(disks):
        text = f"instance {instance.name} was asked for with {len(asked)} disks and has {len(disks)}"
        raise errors.RecordDamaged(f"{text}: `slipway audit` says what is wrong")
    return disks


def _meant(instance: Instance, effects: Sequence[Effect], disk: str) -> tuple[int, Disk]:
    """The disk that is meant, and which of those that were asked for it is."""
    disks = _disks(effects)
    named = {disk, os.path.realpath(disk)} if disk.startswith("/") else {disk}
    meant = [slot for slot, one in disks.items() if named & _names(one)]
    if len(meant) != 1:
        raise errors.DiskNotFound(_not_found(instance, effects, disks, disk))
    return list(data_disks(instance, effects)).index(meant[0]), disks[meant[0]]


def aside_keys(instance: Instance, number: int) -> tuple[str, ...]:
    """The keys of what the step `aside` of a change keeps of so many disks until others are in their places."""
    of = (instance.attempt, instance.host)
    return tuple(key_of(instance.id, "aside", slot, SetAside.scope, *of) for slot in range(number))


def free_slot(effects: Sequence[Effect]) -> int:
    """The slot behind those that its disks and seeds have, or ever had."""
    return max((_slot(effect) for effect in effects if effect.kind in ("disk", "seed")), default=-1) + 1


def _slot(effect: Effect) -> int:
    return int(arguments_of(effect).request.slot) if effect.kind == "seed" else effect.slot


def _disks(effects: Sequence[Effect]) -> dict[int, Disk]:
    return {disk.slot: disk for disk in results(effects, "disk", Disk) if disk.role is DiskRole.DATA}


def _names(disk: Disk) -> set[str]:
    return {disk.device, str(disk.slot), disk.path}


def _not_found(instance: Instance, effects: Sequence[Effect], disks: Mapping[int, Disk], disk: str) -> str:
    for one in (result_of(effect, Disk) for effect in done(effects, "disk", "seed")):
        if one.role is not DiskRole.DATA and disk in _names(one):
            return (
                f"disk {one.device} of instance {instance.name} is its {one.role} disk, which stays as long as it does"
            )
    there = ", ".join(f"{one.device} ({one.path if one.volume else size(one.size)})" for one in disks.values())
    return f"instance {instance.name} has no disk {disk} beside its root disk, but {there or 'none at all'}"
