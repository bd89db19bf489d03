"""The steps by which an instance that was built gets another size."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from slipway.errors import ComputeError, RecordDamaged, StepTimeout
from slipway.flows.tasks.base import BuildWork
from slipway.flows.tasks.domain import ComputeTask
from slipway.model.change import Change
from slipway.model.machine import ENDED, Disk, DiskRole, PowerState
from slipway.model.record import Effect, EffectState
from slipway.states import codec
from slipway.states.effects import effects_of


class Halt(ComputeTask):
    """Stop the guest for what cannot be done while it runs: it is asked to shut down, and ended when it does not."""

    name = "halt"
    kind = "halted-domain"
    in_build_only = True
    passing = True
    uses = frozenset({"claim", "more-claimed", "binding", "disk", "vif", "filter", "dhcp", "definition"})

    def do(self, work: BuildWork) -> None:
        """Raises `ComputeError`, `StepTimeout`."""
        compute, patience = work.on_host.compute, work.tools.settings.shutdown_timeout
        if _state(work) is PowerState.RUNNING:
            compute.stop(work.instance.id, force=False)
        if not _becomes(work, ENDED, work.tools.monotonic() + patience):
            compute.stop(work.instance.id, force=True)
        if not _becomes(work, ENDED, work.deadline):
            raise StepTimeout(f"the domain of {work.instance.name} did not end in time")

    def undo(self, work: BuildWork, result: None) -> None:
        """Start it as it was."""
        work.on_host.compute.start(work.instance.id)


class Launch(ComputeTask):
    """Start the guest again as it is defined by now, and see that it runs."""

    name = "launch"
    kind = "launched-domain"
    in_build_only = True
    passing = True
    uses = Halt.uses

    def do(self, work: BuildWork) -> None:
        """Raises `ComputeError`, `StepTimeout`."""
        work.on_host.compute.start(work.instance.id)
        if not _becomes(work, (PowerState.RUNNING, *ENDED), work.deadline):
            raise StepTimeout(f"the domain of {work.instance.name} did not run in time")
        if (state := _state(work)) in ENDED:
            raise ComputeError(f"the domain of {work.instance.name} is {state} instead of running")

    def undo(self, work: BuildWork, result: None) -> None:
        """End it: it is to be started as it was."""
        work.on_host.compute.stop(work.instance.id, force=True)


class GrowDisk(ComputeTask):
    """Have the disk be as large as is asked, and a guest that runs see that; the last step.

    Needs no undo: a disk never shrinks, for its guest may have written where it is larger. It is safe to repeat.
    """

    name = "grow-disk"
    kind = "grown-disk"
    in_build_only = True
    uses = Halt.uses

    def do(self, work: BuildWork) -> None:
        """Raises `ComputeError`, `DiskError`."""
        assert work.change is not None
        with work.tools.store.read() as tx:
            disk, wanted = _to_grow(effects_of(tx, work.instance.id), work.change)
        if disk is None or disk.size >= wanted:
            return
        if not work.on_host.compute.block_resize(work.instance.id, disk.path, wanted):
            work.on_host.disk.grow_disk(work.instance.id, disk.slot, wanted)


OF_SIZE = (Halt, Launch, GrowDisk)


def root_disk(effects: Sequence[Effect]) -> Disk | None:
    """The root disk as it is on record; None where there is none. Raises `RecordDamaged`."""
    for effect in effects:
        if effect.kind == "disk" and effect.state is EffectState.DONE:
            if effect.result is None:
                raise RecordDamaged(f"the record does not say what {effect.key} is")
            disk = codec.decode(effect.result, Disk)
            if disk.role is DiskRole.ROOT:
                return disk
    return None


def _to_grow(effects: Sequence[Effect], change: Change) -> tuple[Disk | None, int]:
    """The disk that a change makes larger, and how large: the data disk that it names, else the root disk."""
    if not change.disks:
        return root_disk(effects), change.request.flavor.disk
    size = next(disk for disk in change.disks if isinstance(disk, int))
    there = (e for e in effects if e.kind == "disk" and e.slot == change.slot and e.state is EffectState.DONE)
    return next((codec.decode(effect.result or b"", Disk) for effect in there), None), size


def as_grown(effects: Sequence[Effect], change: Change) -> list[Effect]:
    """The disk's effect as it is once a change has made the disk larger."""
    if not any(effect.kind == GrowDisk.kind for effect in effects):
        return []
    disk, size = _to_grow(effects, change)
    if disk is None or disk.size >= size:
        return []
    grown = codec.encode(replace(disk, size=size))
    return [
        replace(effect, result=grown)
        for effect in effects
        if effect.kind == "disk" and effect.slot == disk.slot and effect.state is EffectState.DONE
    ]


def _state(work: BuildWork) -> PowerState:
    return work.on_host.compute.power_state(work.instance.id)


def _becomes(work: BuildWork, wanted: tuple[PowerState, ...], give_up: float) -> bool:
    tools = work.tools
    while _state(work) not in wanted:
        if tools.monotonic() >= min(give_up, work.deadline):
            return False
        work.check()
        tools.sleep(tools.settings.poll_interval)
    return True
