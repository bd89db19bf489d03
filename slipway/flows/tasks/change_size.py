"""The steps by which an instance that was built gets another size."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from slipway.flows.tasks.base import BuildWork
from slipway.flows.tasks.domain import ComputeTask
from slipway.model.change import Change
from slipway.model.machine import Disk, DiskRole
from slipway.model.record import Effect
from slipway.states import codec
from slipway.states.effects import done, effects_of, results


class GrowDisk(ComputeTask):
    """Have the disk be as large as is asked, and a guest that runs see that; the last step.

    Needs no undo: a disk never shrinks, for its guest may have written where it is larger. It is safe to repeat.
    """

    name = "grow-disk"
    kind = "grown-disk"
    in_build_only = True

    def do(self, work: BuildWork) -> None:
        """Raises `ComputeError`, `DiskError`."""
        assert work.change is not None
        with work.tools.store.read() as tx:
            disk, wanted = _to_grow(effects_of(tx, work.instance.id), work.change)
        if disk is None or disk.size >= wanted:
            return
        if not work.on_host.compute.block_resize(work.instance.id, disk.path, wanted):
            work.on_host.disk.grow_disk(work.instance.id, disk.slot, wanted)


def root_disk(effects: Sequence[Effect]) -> Disk | None:
    """The root disk as it is on record; None where there is none. Raises `RecordDamaged`."""
    return next((disk for disk in results(effects, "disk", Disk) if disk.role is DiskRole.ROOT), None)


def _to_grow(effects: Sequence[Effect], change: Change) -> tuple[Disk | None, int]:
    """The disk that a change makes larger, and how large: the data disk that it names, else the root disk."""
    if not change.disks:
        return root_disk(effects), change.request.flavor.disk
    size = next(disk for disk in change.disks if isinstance(disk, int))
    return next((disk for disk in results(effects, "disk", Disk) if disk.slot == change.slot), None), size


def as_grown(effects: Sequence[Effect], change: Change) -> list[Effect]:
    """The disk's effect as it is once a change has made the disk larger."""
    if not any(effect.kind == GrowDisk.kind for effect in effects):
        return []
    disk, size = _to_grow(effects, change)
    if disk is None or disk.size >= size:
        return []
    grown = codec.encode(replace(disk, size=size))
    return [replace(effect, result=grown) for effect in done(effects, "disk") if effect.slot == disk.slot]
