"""Snapshots of an instance's disks: made, listed, had again and let go; each of the three is a run."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial

from msgspec import Struct

from slipway import errors
from slipway.checks import check
from slipway.drivers.deadline import within
from slipway.drivers.disk.base import keeps_snapshots
from slipway.flows.scheduler import size
from slipway.flows.tasks.base import Tools
from slipway.flows.tasks.catalog import arguments_of
from slipway.flows.tasks.change_snapshots import CreateSnapshot, KeptDisk
from slipway.model.change import Change
from slipway.model.machine import Disk, DiskSnapshot, PowerState
from slipway.model.record import Effect, EffectState, Event, Instance
from slipway.model.request import InstanceRequest
from slipway.operations.changes.clones import WORKFLOW, clone_of
from slipway.operations.changes.disks import aside_keys
from slipway.operations.hosts import check_here
from slipway.operations.lifecycle import Builder
from slipway.states import codec, hosts, instances
from slipway.states.effects import results
from slipway.states.machines import State, VmState
from slipway.yamlfile.mistakes import did_you_mean, quoted

Listener = Callable[[Event], None]
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


class Snapshot(Struct, frozen=True):
    """A snapshot on record: when it was made, of which disks (their slots), what they took together in bytes.

    `state`: what the guest did then. `consistent`: the disks are as after a shutdown, else as after a power cut.
    """

    name: str
    at: datetime
    disks: tuple[int, ...]
    size: int
    state: PowerState
    consistent: bool


class Snapshots:
    """The snapshots of instances. Each verb takes the instance's name or id, and raises as those of `changes` do."""

    def __init__(self, builder: Builder, tools: Tools) -> None:
        self._builder = builder
        self._tools = tools

    def list(self, name: str, *, project: str | None = None) -> tuple[Snapshot, ...]:
        """Those of an instance, oldest first. Raises `InstanceNotFound`."""
        return tuple(
            sorted(_snapshots(self._builder.look(name, project)[1]).values(), key=lambda one: (one.at, one.name))
        )

    def show(self, name: str, snapshot: str, *, project: str | None = None) -> Snapshot:
        """One of them. Raises `InstanceNotFound`, `SnapshotNotFound`."""
        instance, standing = self._builder.look(name, project)
        known = _snapshots(standing)
        if snapshot not in known:
            _of_name(instance, standing, snapshot)
            raise errors.SnapshotNotFound(f"snapshot {snapshot} of instance {name} is deleted but for a part of it")
        return known[snapshot]

    def create(
        self,
        name: str,
        snapshot: str | None = None,
        *,
        project: str | None = None,
        on_event: Listener = lambda _event: None,
    ) -> Instance:
        """Copy each disk as it is; a guest that runs stands still meanwhile. Its name is by default the time.

        Consistent through the guest's agent where one answers, else as after a power cut. Raises `InvalidRequest`,
        `SnapshotExists`, `SnapshotRefused` for want of room and where a disk cannot be copied, before anything is done.
        """
        named = self._tools.clock().strftime("%Y%m%d-%H%M%S") if snapshot is None else snapshot
        if not _NAME.fullmatch(named):
            text = f"{quoted(named)} is no name of a snapshot: at most 63 letters, digits, dots, dashes and underscores"
            raise errors.InvalidRequest((text,))
        instance, standing = self._builder.look(name, project)
        if State(instance.vm_state, instance.task_state).at_rest:
            self._check_room(create_snapshot(instance, standing, named), instance)
        return self._builder.change(instance.id, None, partial(create_snapshot, snapshot=named), on_event)

    def restore(
        self,
        name: str,
        snapshot: str,
        *,
        force: bool = False,
        project: str | None = None,
        on_event: Listener = lambda _event: None,
    ) -> Instance:
        """Have the disks be what they were; a guest that runs is shut down for it (`force`: ended), and started again.

        Where that fails they are what they are now. Raises `SnapshotNotFound`, `SnapshotRefused`.
        """
        return self._builder.change(name, project, partial(restore, snapshot=snapshot, force=force), on_event)

    def delete(
        self, name: str, snapshot: str, *, project: str | None = None, on_event: Listener = lambda _event: None
    ) -> Instance:
        """Delete the copies. Raises `SnapshotNotFound`."""
        return self._builder.change(name, project, partial(delete_snapshot, snapshot=snapshot), on_event)

    def clone(
        self, name: str, new: str, *, project: str | None = None, on_event: Listener = lambda _event: None
    ) -> Instance:
        """Build another instance of the same request under the name `new`, whose disks are copies. Gives it; see
        `InstanceChanges.clone`."""
        instance, standing = self._builder.look(name, project)
        state = State(instance.vm_state, instance.task_state)
        if instance.vm_state not in (VmState.ACTIVE, VmState.PAUSED, VmState.STOPPED):
            raise errors.UnexpectedState(f"instance {instance.name} is {state}: only what was built can be cloned")
        request = clone_of(instance, standing, new)
        check(request, InstanceRequest, f"instance {new}")
        with self._tools.store.read() as tx:
            if instances.find(tx, new, instance.project) is not None:
                raise errors.InstanceExists(f"project {instance.project} has an instance {new} already")
        if state.at_rest:
            self._check_room(create_snapshot(instance, standing, "clone"), instance, copies=2)
        return self._builder.create(request, on_event, workflow=WORKFLOW)

    def _check_room(self, change: Change, instance: Instance, *, copies: int = 1) -> None:
        assert instance.host is not None
        with self._tools.store.read() as tx:
            check_here(tx, {instance.host}, self._tools.drivers)
            host = hosts.get(tx, instance.host)
        disks = self._tools.drivers.on(host).disk
        if not keeps_snapshots(disks):
            raise errors.SnapshotRefused(f"the driver of the disks of host {host.name} keeps no snapshots")
        with within(self._tools.settings.step_timeout):
            there = {(one.instance_id, one.slot, one.snapshot) for one in disks.list_snapshots()}
            space = disks.snapshot_space(instance.id, [one.slot for one in change.snapshots])
        for one in change.snapshots:
            if (one.instance_id, one.slot, one.snapshot) in there:
                text = f"a copy of disk {one.slot} of instance {instance.name} as {one.snapshot} is left over"
                raise errors.SnapshotExists(f"{text}: slipway repair {instance.name} --yes takes it away")
        if (needed := space.needed * copies) > space.free:
            raise errors.SnapshotRefused(
                f"host {host.name} has no room for it: {size(needed)} are needed, {size(space.free)} are free"
            )


def create_snapshot(instance: Instance, standing: Sequence[Effect], snapshot: str) -> Change:
    """A copy of each disk that Slipway made. Raises `SnapshotExists`, `SnapshotRefused`."""
    if any(arguments_of(effect).of.snapshot == snapshot for effect in _held(standing)):
        raise errors.SnapshotExists(f"instance {instance.name} has a snapshot {snapshot} already")
    disks = results(standing, "disk", Disk)
    for disk in disks:
        if disk.volume:
            text = f"disk {disk.slot} of instance {instance.name} is the volume {disk.path}, which was brought along"
            raise errors.SnapshotRefused(f"{text}: no snapshot is made of what is not Slipway's; copy it yourself")
    if not disks:
        raise errors.SnapshotRefused(f"instance {instance.name} has no disk of which there could be a snapshot")
    wanted = tuple(DiskSnapshot(instance.id, disk.slot, snapshot) for disk in disks)
    slots = [effect.slot for effect in standing if effect.kind == CreateSnapshot.kind]
    slot = max(slots, default=-1) + 1
    return Change("snapshot-create", f"snapshot {snapshot}", instance.request, slot=slot, snapshots=wanted)


def restore(instance: Instance, standing: Sequence[Effect], snapshot: str, *, force: bool = False) -> Change:
    """Its disks as they were then. Raises `SnapshotNotFound`, `SnapshotRefused`."""
    found = _of_name(instance, standing, snapshot)
    if snapshot not in _snapshots(standing):
        raise errors.SnapshotRefused(f"snapshot {snapshot} of instance {instance.name} is deleted but for a part of it")
    wanted = tuple(arguments_of(effect).of for effect in found)
    if instance.vm_state == VmState.PAUSED:
        raise errors.SnapshotRefused(f"instance {instance.name} is paused: start or stop it first")
    there = {disk.slot for disk in results(standing, "disk", Disk)}
    if gone := [one.slot for one in wanted if one.slot not in there]:
        text = f"disk {gone[0]} of snapshot {snapshot} is no disk of instance {instance.name} any more"
        raise errors.SnapshotRefused(text)
    aside = aside_keys(instance, len(wanted))
    what = f"its disks as in snapshot {snapshot}"
    return Change("snapshot-restore", what, instance.request, snapshots=wanted, retired=aside, force=force)


def delete_snapshot(instance: Instance, standing: Sequence[Effect], snapshot: str) -> Change:
    """Without that snapshot. Raises `SnapshotNotFound`."""
    retired = tuple(effect.key for effect in _of_name(instance, standing, snapshot))
    return Change("snapshot-delete", f"snapshot {snapshot}", instance.request, retired=retired)


def _of_name(instance: Instance, standing: Sequence[Effect], snapshot: str) -> list[Effect]:
    """The effects of a snapshot, also where a part of it could not be taken back. Raises `SnapshotNotFound`."""
    found = [effect for effect in _held(standing) if arguments_of(effect).of.snapshot == snapshot]
    if not found:
        known = _snapshots(standing)
        there = f"it has {', '.join(known)}" if known else "it has none"
        text = f"instance {instance.name} has no snapshot {quoted(snapshot)}{did_you_mean(snapshot, known)}"
        raise errors.SnapshotNotFound(f"{text}; {there}")
    return found


def _snapshots(standing: Sequence[Effect]) -> Mapping[str, Snapshot]:
    """Those that are whole, by their names, in the order in which they were made."""
    by_name: dict[str, list[Effect]] = {}
    for effect in _held(standing):
        by_name.setdefault(arguments_of(effect).of.snapshot, []).append(effect)
    return {
        name: _snapshot(name, [codec.decode(effect.result or b"", KeptDisk) for effect in disks])
        for name, disks in by_name.items()
        if all(effect.state is EffectState.DONE for effect in disks)
    }


def _snapshot(name: str, disks: Sequence[KeptDisk]) -> Snapshot:
    return Snapshot(
        name,
        min(disk.at for disk in disks),
        tuple(sorted(disk.of.slot for disk in disks)),
        sum(disk.size for disk in disks),
        disks[0].state,
        all(disk.consistent for disk in disks),
    )


def _held(standing: Sequence[Effect]) -> list[Effect]:
    held = (EffectState.DONE, EffectState.STUCK)
    return [effect for effect in standing if effect.kind == CreateSnapshot.kind and effect.state in held]
