"""The steps by which disks are copied as they are, and had again as they were."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from slipway.flows.tasks.base import BuildWork, Tools
from slipway.flows.tasks.disks import DiskTask
from slipway.flows.tasks.domain import ComputeTask
from slipway.model.machine import ENDED, DiskSnapshot, PowerState
from slipway.model.record import Effect
from slipway.model.request import Host
from slipway.states.intent import Durability
from slipway.states.machines import VmState


class Stillness(Struct, frozen=True):
    """What a guest did when it was made to write nothing; `frozen`: its file systems were made whole by its agent."""

    state: PowerState
    frozen: bool


class KeptDisk(Struct, frozen=True):
    """A disk's copy; `size`: the bytes that it took then. `consistent`: as after a shutdown, else as after a power cut.

    `state`: what the guest did.
    """

    of: DiskSnapshot
    at: datetime
    size: int
    state: PowerState
    consistent: bool


class MapSnapshots(DiskTask):
    """List the snapshots of disks that a change is about.

    Needs no undo and no record: it is what the change was begun with.
    """

    name = "map-snapshots"
    kind = "snapshot-mapping"
    in_build_only = True
    vital = True

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """A function of the change alone."""
        return Durability.PURE

    def do(self, work: BuildWork) -> tuple[DiskSnapshot, ...]:
        """One a disk, in the order of their slots."""
        assert work.change is not None
        return work.change.snapshots


class Freeze(ComputeTask):
    """Have a guest that runs write nothing while its disks are copied."""

    name = "freeze"
    kind = "frozen-guest"
    in_build_only = True
    vital = True
    passing = True
    holds_up = True

    def do(self, work: BuildWork) -> Stillness:
        """Raises `ComputeError`."""
        compute, owner = work.on_host.compute, work.instance.id
        if work.instance.vm_state != VmState.ACTIVE:
            return Stillness(compute.power_state(owner), frozen=False)
        frozen = compute.freeze(owner)
        state = compute.power_state(owner)
        return Stillness(state if state in ENDED else PowerState.RUNNING, frozen)

    def undo(self, work: BuildWork, result: Stillness | None) -> None:
        """Let it go on."""
        if work.instance.vm_state == VmState.ACTIVE:
            work.on_host.compute.thaw(work.instance.id, frozen=result is not None and result.frozen)


class Thaw(ComputeTask):
    """Let a guest go on that was frozen.

    Needs no undo: what comes after it is the point of no return, and where it fails the freezing is undone.
    """

    name = "thaw"
    kind = "thawed-guest"
    in_build_only = True
    vital = True

    def do(self, work: BuildWork, still: Stillness) -> None:
        """Raises `ComputeError`."""
        if work.instance.vm_state == VmState.ACTIVE:
            work.on_host.compute.thaw(work.instance.id, frozen=still.frozen)


class CreateSnapshot(DiskTask):
    """Copy one disk as it is."""

    name = "create-snapshot"
    kind = "snapshot"
    in_build_only = True
    vital = True

    def do(self, work: BuildWork, of: DiskSnapshot, still: Stillness) -> KeptDisk:
        """Raises `DiskError`."""
        made = work.on_host.disk.create_snapshot(of.instance_id, of.slot, of.snapshot)
        consistent = still.frozen or still.state is PowerState.SHUTDOWN
        return KeptDisk(of, work.tools.clock(), made.size, still.state, consistent)

    def undo(self, work: BuildWork, result: KeptDisk | None, of: DiskSnapshot) -> None:
        """Delete the copy."""
        work.on_host.disk.delete_snapshot(of.instance_id, of.slot, of.snapshot)


class SetAside(DiskTask):
    """Keep a disk as it is until it is sure that it is not wanted any more."""

    name = "set-aside"
    kind = "aside"
    in_build_only = True
    vital = True

    def do(self, work: BuildWork, of: DiskSnapshot) -> None:
        """Raises `DiskError`."""
        work.on_host.disk.set_aside(of.instance_id, of.slot, aside_of(work.effect))

    def undo(self, work: BuildWork, result: None, of: DiskSnapshot) -> None:
        """Let it go; the disk is another one by now, or the same still."""
        work.on_host.disk.delete_snapshot(of.instance_id, of.slot, aside_of(work.effect))


class RestoreDisk(DiskTask):
    """Have a disk be what its snapshot is."""

    name = "restore-disk"
    kind = "restored-disk"
    in_build_only = True
    vital = True
    passing = True
    uses = frozenset({"aside", "stopped-guest"})

    def do(self, work: BuildWork, of: DiskSnapshot) -> None:
        """Raises `DiskError`."""
        work.on_host.disk.restore_disk(of.instance_id, of.slot, of.snapshot)

    def undo(self, work: BuildWork, result: None, of: DiskSnapshot) -> None:
        """Have it be what was set aside."""
        work.on_host.disk.put_back(of.instance_id, of.slot, aside_of(work.effect))


def aside_of(effect: Effect) -> str:
    """The name of what a run has set aside: no snapshot of a user's begins so."""
    return f"@{effect.run_id}"


OF_SNAPSHOTS = (MapSnapshots, Freeze, Thaw, CreateSnapshot, SetAside, RestoreDisk)
