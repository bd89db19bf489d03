"""One instance brought about, gone on with or deleted, by whichever worker may."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta

from msgspec.structs import replace

from slipway import errors
from slipway.flows.engine import Engine
from slipway.flows.tasks.base import Tools
from slipway.model.record import Effect, EffectState, Event, Instance
from slipway.model.request import GRACEFUL, InstanceRequest, Shutdown
from slipway.operations.batch import Ended, Status
from slipway.operations.differences import differences
from slipway.states import effects, instances
from slipway.states.history import last_power_change
from slipway.states.machines import GOALS, Move, State, VmState
from slipway.states.store import Transaction
from slipway.states.worker import is_gone, this_worker

Listener = Callable[[Event], None]


class Builder:
    """Takes instances into this process's hands and has the engine bring them to rest."""

    def __init__(self, engine: Engine, tools: Tools, *, workflow: str, rng: random.Random) -> None:
        """`workflow`: the one for new instances; one that was begun goes on with its own."""
        self._engine = engine
        self._tools = tools
        self._workflow = workflow
        self._rng = rng
        self._dropped: set[str] = set()
        """What this process stopped at because the record could not be written, its name on it or not."""

    # --- bringing about -------------------------------------------------------------------------------------------

    def create(self, request: InstanceRequest, notify: Listener) -> Instance:
        """Build one instance, or give the one of an earlier request with the same idempotency key, gone on with.

        Raises `InstanceExists`, `NotFinished`.
        """
        with self._tools.store.write() as tx:
            earlier = instances.find_by_key(tx, request)
            instance = earlier or self._enter(tx, request)
        if earlier is None:
            return self._to_rest(instance, notify, new=True)
        taken = self._take(instance.id)
        return self._to_rest(taken, notify) if taken is not None else instance

    def bring(
        self, request: InstanceRequest, notify: Listener, stopping: Callable[[], bool], *, replace_failed: bool
    ) -> Ended:
        """Have the instance there: build it, go on with it, or see that it is there already."""
        if stopping():
            return Ended(request.name, Status.INTERRUPTED, message="not begun")
        began = self._tools.clock()
        with self._tools.store.read() as tx:
            found = instances.find(tx, request.name, request.project)
        if found is not None and not _at_rest(found):
            ended = self.go_on(found, notify, stopping)
            if ended.status is not Status.DELETED:
                return ended
            found = None
        if found is not None and found.vm_state == VmState.ERROR and replace_failed:
            gone = self.delete(found.id, None, notify)
            if gone.vm_state == VmState.ERROR:
                return self._ended(gone, Status.FAILED, began)
            found = None
        if found is not None:
            status = Status.FAILED if found.vm_state == VmState.ERROR else Status.UNCHANGED
            kept = (f"instance {found.name}: {found.damage}",) if found.damage else differences(found.request, request)
            return replace(self._ended(found, status, began), kept=kept)
        try:
            with self._tools.store.write() as tx:
                new = self._enter(tx, request)
        except errors.InstanceExists:
            return Ended(request.name, Status.BUSY, message="another run began it at the same time")
        return self._work(new, Status.BUILT, notify, stopping, new=True)

    def go_on(self, instance: Instance, notify: Listener, stopping: Callable[[], bool]) -> Ended:
        """Take an unfinished instance over, if its worker is gone, and bring it to rest."""
        if stopping():
            return Ended(instance.name, Status.INTERRUPTED, instance, "not begun")
        taken = self._take(instance.id)
        if taken is not None:
            return self._work(taken, Status.RESUMED, notify, stopping)
        with self._tools.store.read() as tx:
            worker = instances.worker_of(tx, instance.id)
        message = f"worker {worker} is at it" if worker else "another worker has just brought it to rest"
        return Ended(instance.name, Status.BUSY, instance, message)

    def _enter(self, tx: Transaction, request: InstanceRequest) -> Instance:
        """Put a new instance on record, held by this process."""
        new_id = str(uuid.UUID(int=self._rng.getrandbits(128), version=4))
        at = self._tools.clock()
        return instances.create(tx, new_id, request, workflow=self._workflow, worker=this_worker(), at=at)

    def _take(self, instance_id: str) -> Instance | None:
        """Become the worker of an instance; None where it is at rest, or while another one is, or may be, at it."""
        with self._tools.store.write() as tx:
            instance = instances.get(tx, instance_id)
            if _at_rest(instance):
                return None
            worker = instances.worker_of(tx, instance_id)
            dropped = worker == this_worker() and instance_id in self._dropped
            if not is_gone(worker) and not dropped:
                known = (effects.last_deadline(tx, instance_id), last_power_change(tx, instance_id))
                deadline = max((at for at in known if at), default=instance.created_at)
                if self._tools.clock() < deadline + self._patience:
                    return None
            return replace(instance, generation=instances.take_over(tx, instance, worker=this_worker()))

    @property
    def _patience(self) -> timedelta:
        """How long a worker that cannot be seen is waited for after its last deadline."""
        settings = self._tools.settings
        return timedelta(seconds=settings.step_timeout + settings.takeover_grace)

    def _work(
        self, instance: Instance, status: Status, notify: Listener, stopping: Callable[[], bool], *, new: bool = False
    ) -> Ended:
        began = self._tools.clock()
        try:
            rested = self._engine.build(instance, notify=notify, stopping=stopping, new=new)
        except errors.BuildInterrupted as stop:
            self._drop(instance, stop)
            with self._tools.store.read() as tx:
                instance = instances.get(tx, instance.id)
            return Ended(instance.name, Status.INTERRUPTED, instance, str(stop))
        ends = {VmState.ERROR: Status.FAILED, VmState.DELETED: Status.DELETED}
        failed = Status.FAILED if rested.fault is not None else status
        return self._ended(rested, ends.get(VmState(rested.vm_state), failed), began)

    def _ended(self, instance: Instance, status: Status, began: datetime) -> Ended:
        undone, stuck = self.undone_and_stuck(instance) if status is Status.FAILED else ((), ())
        seconds = (self._tools.clock() - began).total_seconds()
        return Ended(instance.name, status, instance, "", undone, stuck, seconds)

    def undone_and_stuck(self, instance: Instance) -> tuple[tuple[Effect, ...], tuple[Effect, ...]]:
        """What became of the instance's effects."""
        with self._tools.store.read() as tx:
            found = effects.effects_of(tx, instance.id)
        undone = tuple(effect for effect in found if effect.state is EffectState.UNDONE)
        return undone, tuple(effect for effect in found if effect.state is EffectState.STUCK)

    def _to_rest(
        self, instance: Instance, notify: Listener, *, new: bool = False, shutdown: Shutdown = GRACEFUL
    ) -> Instance:
        """Have the engine bring it to rest; what stops it is an ordinary error to our caller."""
        try:
            return self._engine.build(instance, notify=notify, new=new, shutdown=shutdown)
        except errors.BuildInterrupted as stop:
            self._drop(instance, stop)
            raise errors.NotFinished(f"{instance.name} is not at rest and can be resumed: {stop}") from stop

    def _drop(self, instance: Instance, stop: errors.BuildInterrupted) -> None:
        if isinstance(stop.__cause__, errors.StoreError):
            self._dropped.add(instance.id)

    # --- stopping and starting ------------------------------------------------------------------------------------

    def change_power(
        self, wish: Move, name: str, project: str | None, notify: Listener, shutdown: Shutdown = GRACEFUL
    ) -> Instance:
        """Stop, start or reboot an instance; gives it as it is then, with a fault where that failed.

        What a worker that is gone left unfinished is finished first. Raises `InstanceNotFound`, `UnexpectedState`,
        `InstanceBusy`, `NotFinished`, and `ValueError` for a time-out beyond a step's: somebody may take that over.
        """
        most = self._tools.settings.step_timeout
        if shutdown.timeout is not None and not 0 <= shutdown.timeout <= most:
            raise ValueError(f"the time-out must be from 0 s to a step's own ({most:g} s), not {shutdown.timeout:g} s")
        while True:
            with self._tools.store.write() as tx:
                found = self._find(tx, name, project)
                state = State(found.vm_state, found.task_state)
                if GOALS.get(wish) == state:
                    return found
                if state.at_rest:
                    begun = self._begin(tx, found, wish)
                    break
            taken = self._take(found.id)
            if taken is None:
                raise errors.InstanceBusy(f"instance {found.name} is {state}: another worker is at it")
            self._to_rest(taken, notify)
        return self._to_rest(begun, notify, shutdown=shutdown)

    def _begin(self, tx: Transaction, instance: Instance, wish: Move) -> Instance:
        state = State(instance.vm_state, instance.task_state)
        held = {"worker": this_worker()}
        at = self._tools.clock()
        try:
            to = instances.advance(tx, instance.id, instance.generation, state, wish, at, values=held)
        except errors.UnexpectedState as error:
            raise errors.UnexpectedState(f"instance {instance.name}: {error}") from error
        return replace(instance, vm_state=to.vm_state, task_state=to.task_state)

    # --- deleting -------------------------------------------------------------------------------------------------

    def delete(self, name: str, project: str | None, notify: Listener, timeout: float | None = None) -> Instance:
        """Delete an instance whatever is going on with it; gives it as it is then.

        Raises `InstanceNotFound`, `InstanceBusy`, `NotFinished`.
        """
        instance = self._mark_deleting(name, project)
        if instance.id in self._engine.building_here:
            return self._get(instance.id)
        patience = self._patience if timeout is None else timedelta(seconds=timeout)
        give_up = self._tools.clock() + patience
        while True:
            taken = self._take(instance.id)
            if taken is not None:
                return self._to_rest(taken, notify)
            instance = self._get(instance.id)
            if _at_rest(instance):
                return instance
            if self._tools.clock() > give_up:
                raise errors.InstanceBusy(f"instance {instance.name} is marked for deletion, its worker has not ended")
            self._tools.sleep(self._tools.settings.poll_interval)

    def remove(self, name: str, project: str, notify: Listener, stopping: Callable[[], bool]) -> Ended:
        """Delete the project's instance of that name, if it is there."""
        if stopping():
            return Ended(name, Status.INTERRUPTED, message="not begun")
        began = self._tools.clock()
        with self._tools.store.read() as tx:
            found = instances.find(tx, name, project)
        if found is None:
            return Ended(name, Status.UNCHANGED, message="it is not there")
        gone = self.delete(found.id, None, notify)
        return self._ended(gone, Status.FAILED if gone.vm_state == VmState.ERROR else Status.DELETED, began)

    def _mark_deleting(self, name: str, project: str | None) -> Instance:
        """Set DELETING, generation unchanged, so that a live worker sees it at its next step."""
        while True:
            with self._tools.store.write() as tx:
                found = self._find(tx, name, project)
                state = State(found.vm_state, found.task_state)
                try:
                    instances.advance(tx, found.id, found.generation, state, Move.DELETE, self._tools.clock())
                except (errors.UnexpectedState, errors.StaleWorker):
                    continue
                return found

    def _find(self, tx: Transaction, name: str, project: str | None) -> Instance:
        found = instances.find(tx, name, project)
        if found is None:
            raise errors.InstanceNotFound(f"no instance {name}" + (f" in project {project}" if project else ""))
        return found

    def _get(self, instance_id: str) -> Instance:
        with self._tools.store.read() as tx:
            return instances.get(tx, instance_id)


def _at_rest(instance: Instance) -> bool:
    return State(instance.vm_state, instance.task_state).at_rest
