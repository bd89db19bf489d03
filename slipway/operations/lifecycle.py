"""One instance brought about, gone on with or deleted, by whichever worker may."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Sequence
from copy import copy
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from slipway import errors
from slipway.drivers.deadline import within
from slipway.drivers.registry import HostDrivers
from slipway.flows.conductor import Conductor
from slipway.flows.instance_workflow import Chosen, chosen
from slipway.flows.run import Run
from slipway.flows.runs.holding import lease
from slipway.flows.tasks.base import Tools
from slipway.model.change import Change
from slipway.model.record import Effect, EffectState, Event, Instance
from slipway.model.request import GRACEFUL, InstanceRequest, Shutdown
from slipway.operations.batch import Ended, Status
from slipway.operations.ended import ended
from slipway.operations.hosts import check_here
from slipway.operations.idempotency import check_same, check_there
from slipway.operations.limits import check_seconds
from slipway.operations.settle import settle
from slipway.operations.taking import may_be_taken, who_is_at
from slipway.states import codec, effects, hosts, instances, runs
from slipway.states.held import take_over
from slipway.states.instance_runs import BUILD, Begun, begin
from slipway.states.machines import GOALS, TABLE, Move, State, VmState, check_known, possible
from slipway.states.secrets import bears_secrets, secrets_of, to_keep
from slipway.states.store import Transaction

if TYPE_CHECKING:
    from slipway.operations.posting import Posting

Listener = Callable[[Event], None]

_MOST_TRIES = 100
"""How often a delete looks anew at an instance that somebody else has moved meanwhile."""


class Builder:
    """Takes instances into this process's hands and has the conductor bring them to rest."""

    def __init__(
        self,
        conductor: Conductor | Posting,
        tools: Tools,
        *,
        rng: random.Random,
        asked_by: str = "",
        anywhere: bool = False,
    ) -> None:
        """`rng` draws the ids of new instances and runs; `asked_by` is who is on record as having begun those.

        `anywhere`: what is on hosts of other places is taken too, for there are workers who go on with it there.
        """
        self._anywhere = anywhere
        self._conductor = conductor
        self._tools = tools
        self._rng = rng
        self._asked_by = asked_by
        self._fence: Callable[[Transaction], None] = lambda _tx: None
        self._dropped: set[tuple[str, int]] = set()
        """What this process stopped at, as it was told to or because the record could not be written: by id and
        generation, which are those of one taking. Its name may be on it still."""

    def fenced(self, fence: Callable[[Transaction], None]) -> Builder:
        """The same, which begins nothing where `fence` raises in the transaction that would: for the step of a run."""
        made = copy(self)
        made._fence = fence
        return made

    def create(
        self,
        request: InstanceRequest,
        notify: Listener,
        timeout: float | None = None,
        *,
        workflow: str,
        stopping: Callable[[], bool] = lambda: False,
    ) -> Instance:
        """Build one instance by the workflow, or give the one of an earlier request with the same idempotency key.

        That one is gone on with where its worker is gone, and waited for, at most `timeout` seconds, while it is built.
        `stopping` true: no further step is begun, which is `NotFinished`.
        Raises `InstanceExists`, `IdempotencyKeyReused`, `InstanceDeleted`, `InstanceBusy`, `NotFinished`, and
        `ValueError` before anything is on record.
        """
        check_seconds("the time-out", timeout)
        by = chosen(workflow)
        try:
            with self._tools.store.write() as tx:
                earlier = instances.find_by_key(tx, request.project, request.idempotency_key)
                new = self._enter(tx, request, by) if earlier is None else None
        except errors.InstanceExists:
            # On PostgreSQL another one with the same key may have come between.
            with self._tools.store.read() as tx:
                earlier, new = instances.find_by_key(tx, request.project, request.idempotency_key), None
            if earlier is None:
                raise
        if earlier is None:
            assert new is not None
            return self.bring_to_rest(new, notify, stopping, new=True)
        check_same(earlier, request)
        return check_there(self._built(earlier, notify, timeout, stopping))

    def _built(
        self, instance: Instance, notify: Listener, timeout: float | None, stopping: Callable[[], bool]
    ) -> Instance:
        """An instance that was begun before, once nobody builds or deletes it any more."""
        began = self._tools.monotonic()
        while (state := State(instance.vm_state, instance.task_state)).building or state.deleting:
            taken = self.take(instance.id)
            if taken is not None:
                return self.bring_to_rest(taken, notify, stopping)
            instance = self._get(instance.id)
            if _at_rest(instance):
                break
            if stopping():
                raise errors.NotFinished(f"instance {instance.name} is still being built, and not waited for any more")
            here = instance.id in self._conductor.building_here
            if here or (timeout is not None and self._tools.monotonic() - began >= timeout):
                raise errors.InstanceBusy(f"instance {instance.name} is still being built: {who_is_at(instance)}")
            self._tools.sleep(self._tools.settings.poll_interval)
        return instance

    def bring(
        self,
        request: InstanceRequest,
        notify: Listener,
        stopping: Callable[[], bool],
        *,
        workflow: str,
        stack: str | None = None,
        replaces: str | None = None,
        planned: str | None = None,
    ) -> Ended:
        """Have the instance there: build it by the workflow, go on with it by its own, or see that it is there.

        A new one is of its project's `stack`, and goes to the host that is `planned` where that still fits.
        `replaces`: the id of the one that is deleted first.
        """
        if stopping():
            return Ended(request.name, Status.INTERRUPTED, message="not begun")
        began = self._tools.monotonic()
        with self._tools.store.read() as tx:
            found = instances.find(tx, request.name, request.project)
        if found is not None and not _at_rest(found):
            gone_on = self.go_on(found, notify, stopping)
            if gone_on.status is not Status.DELETED:
                return gone_on
            found = None
        if found is not None and found.id == replaces:
            gone = self.delete(found.id, None, notify)
            if gone.vm_state == VmState.ERROR:
                return ended(self._tools, gone, Status.FAILED, began)
            found = None
        if found is not None:
            status = Status.FAILED if found.vm_state == VmState.ERROR else Status.UNCHANGED
            return ended(self._tools, found, status, began)
        by = chosen(workflow)
        try:
            with self._tools.store.write() as tx:
                new = self._enter(tx, request, by, stack)
        except errors.InstanceExists:
            return Ended(request.name, Status.BUSY, message="another run began it at the same time")
        except errors.QuotaExceeded as error:
            return Ended(request.name, Status.REFUSED, message=str(error), error=type(error).__name__)
        if planned is not None:
            self._tools.planned[new.id] = planned
        return self._work(new, Status.BUILT, notify, stopping, new=True)

    def go_on(self, instance: Instance, notify: Listener, stopping: Callable[[], bool]) -> Ended:
        """Take an unfinished instance over, if its worker is gone, and bring it to rest."""
        if stopping():
            return Ended(instance.name, Status.INTERRUPTED, instance, "not begun")
        try:
            taken = self.take(instance.id)
        except (errors.UnknownState, errors.HostElsewhere) as error:
            return Ended(instance.name, Status.BUSY, instance, str(error))
        if taken is not None:
            return self._work(taken, Status.RESUMED, notify, stopping)
        return Ended(instance.name, Status.BUSY, instance, who_is_at(self._get(instance.id)))

    def _enter(self, tx: Transaction, request: InstanceRequest, by: Chosen, stack: str | None = None) -> Instance:
        """Put a new instance on record, held by this process."""
        self._fence(tx)
        new_id, at, run = _new_id(self._rng), self._tools.clock(), self._run(BUILD, by.name)
        if by.users is not None:
            runs.keep_texts(tx, by.users.digest, by.users.kept_texts)
            run = replace(run, digest=by.users.digest)
        return instances.create(tx, new_id, request, run=run, worker=lease(tx, self._tools), at=at, stack=stack)

    def _run(self, name: str, workflow: str | None = None) -> Begun:
        """What is about to be done to an instance; by default by no workflow that anybody can read."""
        return Begun(_new_id(self._rng), name, workflow or name, asked_by=self._asked_by)

    def take(self, instance_id: str) -> Instance | None:
        """Become the worker of an instance; None where it is at rest, or while another one is, or may be, at it."""
        with self._tools.store.write() as tx:
            instance = instances.get(tx, instance_id)
            if _at_rest(instance):
                return None
            check_known(State(instance.vm_state, instance.task_state), instance.name)
            dropped = (instance.id, instance.generation) in self._dropped
            if not dropped and not may_be_taken(tx, instance, self._tools):
                return None
            self.check_here(tx, instance)
            worker = lease(tx, self._tools)
            generation = take_over(tx, "instance", instance.id, instance.generation, worker=worker)
            if generation is None:
                return None
            taken = replace(instance, generation=generation, worker=worker)
        self._dropped.discard((instance.id, instance.generation))
        return taken

    def check_here(self, tx: Transaction, instance: Instance) -> None:
        """Raise `HostElsewhere` where something of the instance is on a host on which nothing may be done from here."""
        if self._anywhere:
            return
        standing = (effect for effect in effects.effects_of(tx, instance.id) if effect.state is not EffectState.UNDONE)
        check_here(tx, {effect.host for effect in standing if effect.host}, self._tools.drivers)

    def _work(
        self, instance: Instance, status: Status, notify: Listener, stopping: Callable[[], bool], *, new: bool = False
    ) -> Ended:
        began = self._tools.monotonic()
        try:
            rested = self._build(instance, notify, stopping, new=new)
        except errors.BuildInterrupted as stop:
            with self._tools.store.read() as tx:
                instance = instances.get(tx, instance.id)
            return Ended(instance.name, Status.INTERRUPTED, instance, str(stop))
        ends = {VmState.ERROR: Status.FAILED, VmState.DELETED: Status.DELETED}
        failed = Status.FAILED if rested.fault is not None else status
        return ended(self._tools, rested, ends.get(VmState(rested.vm_state), failed), began)

    def bring_to_rest(
        self,
        instance: Instance,
        notify: Listener,
        stopping: Callable[[], bool] = lambda: False,
        *,
        new: bool = False,
        **how: Any,
    ) -> Instance:
        """Have the conductor bring it to rest; what stops it is an ordinary error to our caller."""
        try:
            return self._build(instance, notify, stopping, new=new, **how)
        except errors.BuildInterrupted as stop:
            raise errors.NotFinished(f"{instance.name} is not at rest and can be resumed: {stop}") from stop

    def _build(
        self, instance: Instance, notify: Listener, stopping: Callable[[], bool], *, new: bool, **how: Any
    ) -> Instance:
        """Have the conductor bring it to rest, and go on by the record where the database was away meanwhile."""
        for _ in range(_MOST_TRIES):
            try:
                return self._conductor.build(instance, notify=notify, stopping=stopping, new=new, **how)
            except errors.BuildInterrupted as stop:
                self._drop(instance, stop)
                if not self._tools.store.comes_back(stop.__cause__):
                    raise
                taken = self.take(instance.id)
                if taken is None:
                    found = self._get(instance.id)
                    if not _at_rest(found):
                        raise
                    return found
                instance, new = taken, False
        raise errors.BuildInterrupted(f"the database was away {_MOST_TRIES} times")

    def _drop(self, instance: Instance, stop: errors.BuildInterrupted) -> None:
        """Nobody here is at it any more, though the record says so: it was to stop, or the record cannot be written."""
        if stop.__cause__ is None or isinstance(stop.__cause__, errors.StoreError):
            self._dropped.add((instance.id, instance.generation))

    # --- stopping and starting ------------------------------------------------------------------------------------

    def change_power(
        self, wish: Move, name: str, project: str | None, notify: Listener, shutdown: Shutdown = GRACEFUL
    ) -> Instance:
        """Stop, start or reboot an instance; gives it as it is then, with a fault where that failed.

        What a worker that is gone left unfinished is finished first, and where the record says that nothing is to be
        done the hypervisor is asked. Raises `InstanceNotFound`, `UnexpectedState`, `InstanceBusy`, `NotFinished`,
        `HostElsewhere`, what the hypervisor does, and `ValueError` for a time-out beyond a step's: somebody may take
        that over.
        """
        most = self._tools.settings.step_timeout
        check_seconds("the time-out", shutdown.timeout, most=most, whose="a step's own")
        while True:
            with self._tools.store.write() as tx:
                found = self._find(tx, name, project)
                state = State(found.vm_state, found.task_state)
                self.check_here(tx, found)
                if GOALS.get(wish) != state and state.at_rest:
                    begun = self._begin(tx, found, wish)
                    if begun is not None:
                        break
                    continue
            if GOALS.get(wish) == state:
                # So on record; what is so is what the hypervisor says.
                settled = settle(self._tools, found.id, asked=True)
                if settled is not None and not settled[1]:
                    return settled[0]
                continue
            self._finish(found, notify)
        return self.bring_to_rest(begun, notify, shutdown=shutdown)

    def _finish(self, found: Instance, notify: Listener) -> None:
        """Bring to rest what a worker that is gone left unfinished. Raises `InstanceBusy`."""
        taken = self.take(found.id)
        if taken is None:
            state = State(found.vm_state, found.task_state)
            raise errors.InstanceBusy(f"instance {found.name} is {state}: another worker is at it")
        self.bring_to_rest(taken, notify)

    def repair(
        self,
        instance_id: str,
        mend: Callable[[Run], None],
        notify: Listener,
        stopping: Callable[[], bool] = lambda: False,
    ) -> Instance:
        """Mend an instance at rest by `mend`, which brings it to rest; gives it as it is then.

        Raises `InstanceNotFound`, `InstanceBusy` where somebody is at it, `UnexpectedState`, `NotFinished`,
        `HostElsewhere`.
        """
        with self._tools.store.write() as tx:
            found = self._find(tx, instance_id, None)
            self.check_here(tx, found)
            if not _at_rest(found):
                raise errors.InstanceBusy(f"instance {found.name} is not at rest: {who_is_at(found)}")
            begun = self._begin(tx, found, Move.REPAIR)
        if begun is None:
            raise errors.InstanceBusy(f"instance {found.name}: somebody else was at it first")
        return self.bring_to_rest(begun, notify, stopping, mend=mend)

    def change(
        self,
        name: str,
        project: str | None,
        make: Callable[[Instance, Sequence[Effect]], Change | None],
        notify: Listener,
        stopping: Callable[[], bool] = lambda: False,
    ) -> Instance:
        """Make an instance another one; gives it as it is then, with a fault where that failed and it is as before.

        `make` says by the instance, and what stands of it, what it is to become (None: it is so already), and raises
        where that cannot be. Else as `change_power`.
        """
        while True:
            with self._tools.store.write() as tx:
                found = self._find(tx, name, project)
                self.check_here(tx, found)
                if State(found.vm_state, found.task_state).at_rest:
                    wanted = make(found, effects.effects_of(tx, found.id))
                    if wanted is None:
                        return found
                    begun = self._begin(tx, found, Move.CHANGE, wanted)
                    if begun is not None:
                        break
                    continue
            self._finish(found, notify)
        return self.bring_to_rest(begun, notify, stopping)

    def look(self, name: str, project: str | None) -> tuple[Instance, Sequence[Effect]]:
        """An instance with its effects. Raises `InstanceNotFound`."""
        with self._tools.store.read() as tx:
            found = self._find(tx, name, project)
            return found, effects.effects_of(tx, found.id)

    def ask_host(self, name: str, project: str | None, ask: Callable[[HostDrivers], None]) -> None:
        """Ask the drivers of the host that an instance is on, before it is changed; where it is on none, nobody.

        Raises `InstanceNotFound`, `HostElsewhere`, and what the driver does.
        """
        with self._tools.store.read() as tx:
            found = self._find(tx, name, project)
            self.check_here(tx, found)
            host = hosts.get(tx, found.host) if found.host else None
        if host is not None:
            with within(self._tools.settings.step_timeout):
                ask(self._tools.drivers.on(host))

    def check_free(self, name: str, project: str | None, new: str) -> None:
        """Raise `InstanceExists` where another instance of its project has the new name."""
        with self._tools.store.read() as tx:
            found = self._find(tx, name, project)
            other = instances.find(tx, new, found.project)
        if other is not None and other.name == new and other.id != found.id:
            raise errors.InstanceExists(f"instance {new} exists in project {found.project}")

    def _begin(self, tx: Transaction, instance: Instance, wish: Move, change: Change | None = None) -> Instance | None:
        """The instance as it is then, held by this process; None where somebody else has moved it since it was read.

        Raises `UnexpectedState` where that may not be done to it.
        """
        state = State(instance.vm_state, instance.task_state)
        if not TABLE.may(wish, state):
            verb = change.workflow if change else wish
            text = f"instance {instance.name} is {state.vm_state}, where no {verb} is possible, but "
            raise errors.UnexpectedState(text + " and ".join(possible(state)))
        self._fence(tx)
        worker, run, at = lease(tx, self._tools), self._run(wish.value), self._tools.clock()
        if change is not None:
            kept = codec.encode(replace(change, request=to_keep(change.request)))
            run = replace(run, name=change.workflow, workflow=change.workflow, inputs=kept)
        values: dict[str, Any] = {"worker": worker, "run_id": run.id}
        if change is not None:
            # What an earlier one failed of is not this one's cause.
            values["fault"], instance = None, replace(instance, fault=None)
            values["user_data"] = secrets_of(change.request) if bears_secrets(change.request) else None
        try:
            to = instances.advance(tx, instance.id, instance.generation, state, wish, at, values=values)
        except (errors.UnexpectedState, errors.StaleWorker, errors.InstanceDeleting):
            return None
        begin(tx, instance.id, instance.project, run, at)
        return replace(instance, vm_state=to.vm_state, task_state=to.task_state, worker=worker, run_id=run.id)

    # --- deleting -------------------------------------------------------------------------------------------------

    def delete(self, name: str, project: str | None, notify: Listener, timeout: float | None = None) -> Instance:
        """Delete an instance whatever is going on with it; gives it as it is then.

        A live worker is waited for at most `timeout` seconds, and no longer than its lease, after which it is replaced.
        Raises as `change_power`, and `ValueError` before anything is marked.
        """
        check_seconds("the time-out", timeout)
        instance = self.mark_deleting(name, project)
        if instance.id in self._conductor.building_here:
            return self._get(instance.id)
        began = self._tools.monotonic()
        while True:
            taken = self.take(instance.id)
            if taken is not None:
                return self.bring_to_rest(taken, notify)
            instance = self._get(instance.id)
            if _at_rest(instance):
                return instance
            if timeout is not None and self._tools.monotonic() - began > timeout:
                raise errors.InstanceBusy(f"instance {instance.name} is marked for deletion: {who_is_at(instance)}")
            self._tools.sleep(self._tools.settings.poll_interval)

    def mark_deleting(self, name: str, project: str | None) -> Instance:
        """Set DELETING, generation unchanged, so that a live worker sees it at its next step."""
        for _ in range(_MOST_TRIES):
            with self._tools.store.write() as tx:
                self._fence(tx)
                found = self._find(tx, name, project)
                self.check_here(tx, found)
                state, run, at = State(found.vm_state, found.task_state), self._run("delete"), self._tools.clock()
                values = {} if state.deleting else {"run_id": run.id}
                try:
                    instances.advance(tx, found.id, found.generation, state, Move.DELETE, at, values=values)
                except (errors.UnexpectedState, errors.StaleWorker, errors.InstanceDeleting):
                    # It was moved since it was read.
                    continue
                if not state.deleting:
                    begin(tx, found.id, found.project, run, at)
                return found
        raise errors.InstanceBusy(f"instance {name} was moved by others {_MOST_TRIES} times in a row")

    def _find(self, tx: Transaction, name: str, project: str | None) -> Instance:
        found = instances.find(tx, name, project)
        if found is None:
            raise errors.InstanceNotFound(f"no instance {name}" + (f" in project {project}" if project else ""))
        check_known(State(found.vm_state, found.task_state), found.name)
        return found

    def _get(self, instance_id: str) -> Instance:
        with self._tools.store.read() as tx:
            return instances.get(tx, instance_id)


def _at_rest(instance: Instance) -> bool:
    return State(instance.vm_state, instance.task_state).at_rest


def _new_id(rng: random.Random) -> str:
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))
