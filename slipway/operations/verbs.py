"""The verbs on instances as tasks of a run call them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any

from msgspec.structs import replace

from slipway import errors
from slipway.flows.tasks.base import Tools
from slipway.model.machine import DiskSnapshot
from slipway.model.record import Effect, Event, Instance
from slipway.model.request import GRACEFUL, InstanceRequest, Shutdown
from slipway.operations.addresses import see_addresses
from slipway.operations.changes.snapshots import Snapshots
from slipway.operations.lifecycle import Builder
from slipway.states import instances
from slipway.states.details import details_of
from slipway.states.history import power_changed_since
from slipway.states.machines import Move, VmState
from slipway.states.outbox import begun
from slipway.states.store import Transaction


class Verbs:
    """What `slipway.flows.tasks.base.InstanceVerbs` says."""

    def __init__(
        self,
        builder: Builder,
        tools: Tools,
        request: Callable[..., InstanceRequest],
        workflow: Callable[[], str],
    ) -> None:
        """`request` makes a request of a name and an entry; `workflow` gives the one by which instances are built,
        checked."""
        self._builder = builder
        self._tools = tools
        self._request = request
        self._workflow = workflow

    def fenced(self, fence: Callable[[Transaction], None]) -> Verbs:
        """See `InstanceVerbs`."""
        return Verbs(self._builder.fenced(fence), self._tools, self._request, self._workflow)

    def build(
        self, name: str, entry: Mapping[str, Any], *, project: str, key: str, going_on: Callable[[], None]
    ) -> Instance:
        """See `InstanceVerbs`."""
        request = self._request(name, entry, project=project)
        workflow = self._workflow()
        for own in _keys(key):
            earlier = self._by_key(project, own)
            if earlier is not None and earlier.vm_state == VmState.ERROR:
                earlier = self._gone(earlier, None)
            if earlier is None or earlier.vm_state != VmState.DELETED:
                return self._built(replace(request, idempotency_key=own), workflow, going_on)
        raise AssertionError("keys do not end")

    def _built(self, request: InstanceRequest, workflow: str, going_on: Callable[[], None]) -> Instance:
        halted: list[BaseException] = []

        def stopping() -> bool:
            try:
                going_on()
            except BaseException as error:  # noqa: BLE001 - it is raised again, when the build has stopped
                halted.append(error)
                return True
            return False

        with _let_go(halted):
            built = self._builder.create(request, _nobody, workflow=workflow, stopping=stopping)
        if built.vm_state == VmState.DELETED:
            raise errors.InstanceDeleted(f"instance {built.name} was deleted while it was built")
        if built.vm_state == VmState.ERROR:
            raise errors.InstanceFailed(f"building instance {built.name} failed: {_fault(built)}")
        return built

    def take_back(self, *, project: str, key: str, timeout: float) -> None:
        """See `InstanceVerbs`."""
        for own in _keys(key):
            built = self._by_key(project, own)
            if built is None:
                return
            if built.vm_state != VmState.DELETED:
                self._gone(built, timeout)

    def find(self, name: str, *, project: str, then: Effect | None) -> Instance:
        """See `InstanceVerbs`."""
        with self._tools.store.read() as tx:
            found = instances.find_of_then(tx, name, project, begun(tx, then) if then else None)
        if found is None:
            raise errors.InstanceNotFound(f"no instance {name} in project {project}")
        return found

    def delete(self, instance_id: str, *, timeout: float) -> Instance:
        """See `InstanceVerbs`."""
        with self._tools.store.read() as tx:
            found = instances.get(tx, instance_id)
        return found if found.vm_state == VmState.DELETED else self._gone(found, timeout)

    def stop(self, instance_id: str, *, force: bool, timeout: float | None) -> Instance:
        """See `InstanceVerbs`."""
        with _let_go():
            return self._builder.change_power(Move.STOP, instance_id, None, _nobody, Shutdown(force, timeout))

    def start(self, instance_id: str) -> Instance:
        """See `InstanceVerbs`."""
        with _let_go():
            return self._builder.change_power(Move.START, instance_id, None, _nobody, GRACEFUL)

    def snapshot(self, instance_id: str, snapshot: str) -> tuple[DiskSnapshot, ...]:
        """See `InstanceVerbs`."""
        snapshots = Snapshots(self._builder, self._tools)
        with _let_go(), suppress(errors.SnapshotExists):
            made = snapshots.create(instance_id, snapshot)
            if made.fault is not None:
                raise errors.InstanceFailed(f"no snapshot of {made.name} was made: {_fault(made)}")
        found = snapshots.show(instance_id, snapshot)
        return tuple(DiskSnapshot(instance_id, slot, snapshot) for slot in found.disks)

    def drop_snapshot(self, instance_id: str, snapshot: str) -> None:
        """See `InstanceVerbs`."""
        snapshots = Snapshots(self._builder, self._tools)
        with suppress(errors.InstanceNotFound, errors.SnapshotNotFound), _let_go():
            after = snapshots.delete(instance_id, snapshot)
            if after.fault is not None:
                raise errors.UndoFailed(f"snapshot {snapshot} of {after.name} stays: {_fault(after)}")

    def power_changed(self, instance_id: str, since: Effect) -> bool:
        """See `InstanceVerbs`."""
        with self._tools.store.read() as tx:
            return power_changed_since(tx, instance_id, begun(tx, since))

    def leases(self, instance_id: str) -> tuple[str, ...]:
        """See `InstanceVerbs`."""
        tools = self._tools
        with tools.store.read() as tx:
            details = details_of(tx, instance_id, None)
        seen = see_addresses(details, tools.store, tools.drivers)
        return tuple(lease.ip_address for nic in seen.nics for lease in nic.leases or ())

    def _by_key(self, project: str, key: str) -> Instance | None:
        with self._tools.store.read() as tx:
            return instances.find_by_key(tx, project, key)

    def _gone(self, instance: Instance, timeout: float | None) -> Instance:
        with _let_go():
            gone = self._builder.delete(instance.id, None, _nobody, timeout)
        if gone.vm_state == VmState.ERROR:
            raise errors.UndoFailed(f"instance {gone.name} cannot be deleted: {_fault(gone)}")
        return gone


@contextmanager
def _let_go(halted: Sequence[BaseException] = ()) -> Iterator[None]:
    """What keeps an instance from coming to rest here, such as a record that cannot be written, is no failure of the
    step: the run is let go with it, and goes on with `resume`. `halted`: why it was to stop, where it was."""
    try:
        yield
    except errors.NotFinished as error:
        if halted:
            raise halted[0] from None
        raise errors.BuildInterrupted(str(error)) from error


def _keys(key: str) -> Any:
    """An idempotency key makes one instance for good: after a delete the next key follows."""
    return (key if number == 1 else f"{key}#{number}" for number in count(1))


def _fault(instance: Instance) -> str:
    fault = instance.fault
    return f"{fault.type}: {fault.message}" if fault else "no fault is on record"


def _nobody(_event: Event) -> None:
    """The run tells of its steps itself."""
