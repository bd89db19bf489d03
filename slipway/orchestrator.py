"""The Python API: bring a run file about, take it back, and everything between. No threads, signals or environment."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from slipway import errors
from slipway.batch import GONE, Ended, Status, run_in_order
from slipway.drivers.registry import Drivers, driver_class
from slipway.flows import audit as auditing
from slipway.flows.engine import Engine
from slipway.flows.loader import find_definition, load_definition
from slipway.flows.tasks import CATALOG
from slipway.flows.tasks.base import Tools
from slipway.model import Claim, Effect, EffectState, Event, Fault, HistoryEntry, Instance, InstanceRequest
from slipway.runfile import RunFile
from slipway.runfile.apply import Changes, bring_about, take_back
from slipway.settings import Settings
from slipway.states import effects, hosts, instances
from slipway.states.history import history_of
from slipway.states.machines import Event as Move
from slipway.states.machines import State, VmState
from slipway.states.store import Store, Transaction
from slipway.states.worker import is_gone, this_worker

Listener = Callable[[Event], None]


class BuildFailed(errors.SlipwayError):
    """A build ended in ERROR: `cause` is its first error, `undone` and `stuck` what became of its effects."""

    def __init__(self, instance: Instance, effects: Sequence[Effect]) -> None:
        """Read from the ledger what was undone and what is stuck."""
        self.instance = instance
        self.cause: Fault | None = instance.fault
        self.undone = tuple(effect for effect in effects if effect.state is EffectState.UNDONE)
        self.stuck = tuple(effect for effect in effects if effect.state is EffectState.STUCK)
        why = f"{instance.fault.type}: {instance.fault.message}" if instance.fault else "no fault is on record"
        super().__init__(f"building {instance.name} failed: {why}")


@dataclass(frozen=True, slots=True)
class Details:
    """One instance with everything on record about it."""

    instance: Instance
    claim: Claim | None
    effects: tuple[Effect, ...]
    history: tuple[HistoryEntry, ...]


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run came to: `changes` of the record besides instances, and each instance of the file, in its order."""

    changes: Changes
    ended: tuple[Ended, ...]


class Orchestrator:
    """Builds instances and takes back what it did. Several may live in one process, on different databases."""

    def __init__(
        self,
        state: str | Path,
        *,
        db: str | None = None,
        settings: Settings | None = None,
        drivers: Callable[[Store, Settings, Path], Drivers] | None = None,
        store: Callable[[str], Store] = Store,
        workflow: str = "build-instance",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
        rng: random.Random | None = None,
        executor: Executor | None = None,
    ) -> None:
        """`state`: the directory that holds everything of this machine; `db`: an SQLAlchemy URL, default a file in it.

        `drivers` makes the drivers, default those that are installed. With an `executor` the branches of a build run
        side by side in it. Raises a `StoreError` when the database cannot be used.
        """
        self._state = Path(state)
        self._settings = settings or Settings()
        self._rng = rng or random.SystemRandom()
        if db is None:
            self._state.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._executor = executor
        make_drivers = drivers or default_drivers
        self._store = store(db or f"sqlite:///{self._state / 'slipway.db'}")
        made = make_drivers(self._store, self._settings, self._state)
        self._tools = Tools(self._store, made, self._settings, clock, sleep)
        catalog = {name: task.signature for name, task in CATALOG.items()}
        definition = load_definition(find_definition(workflow), catalog)
        self._engine = Engine(definition, self._tools, executor=executor)

    def __enter__(self) -> Self:
        """Nothing to do; `close` at the end."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Close the database."""
        self._store.close()

    # --- building -------------------------------------------------------------------------------------------------

    def run(
        self,
        file: RunFile,
        *,
        on_event: Listener = lambda _event: None,
        executor: Executor | None = None,
        stopping: Callable[[], bool] = lambda: False,
        replace_failed: bool = False,
    ) -> RunResult:
        """Bring the record in line with the file and build what is missing; doing it again changes nothing.

        With an `executor` independent instances are built side by side in it. `stopping` true: no further instance or
        step is begun. `replace_failed` builds anew what is in ERROR. A failed build is in the result, not raised.
        """
        if executor is not None and executor is self._executor:
            raise ValueError("builds and their branches need two executors: in one they wait for each other")
        changes = bring_about(file, self._store, self._tools.drivers)

        def one(name: str) -> Ended:
            return self._bring(requests[name], on_event, stopping, replace_failed=replace_failed)

        requests = {entry.request.name: entry.request for entry in file.instances}
        needs = {entry.request.name: entry.depends_on for entry in file.instances}
        return RunResult(changes, run_in_order(needs, one, executor=executor, stopping=stopping))

    def create(self, request: InstanceRequest, *, on_event: Listener = lambda _event: None) -> Instance:
        """Build one instance. With the idempotency key of an earlier request that one's instance is given.

        Raises `InstanceExists`, and `BuildFailed` with the first cause, what was undone and what is stuck.
        """
        with self._store.write() as tx:
            earlier = instances.find_by_key(tx, request)
            if earlier is not None:
                return earlier
            instance = self._enter(tx, request)
        built = self._to_rest(instance, on_event, new=True)
        if built.vm_state == VmState.ERROR:
            raise self._failure(built)
        return built

    def _bring(
        self, request: InstanceRequest, notify: Listener, stopping: Callable[[], bool], *, replace_failed: bool
    ) -> Ended:
        """Have the instance there: build it, go on with it, or see that it is there already."""
        began = self._tools.clock()
        with self._store.read() as tx:
            found = instances.find(tx, request.name, request.project)
        if found is not None and not State(found.vm_state, found.task_state).at_rest:
            ended = self._go_on(found, notify, stopping)
            if ended.status is not Status.DELETED:
                return ended
            found = None
        if found is not None and found.vm_state == VmState.ERROR and replace_failed:
            self.delete(found.id, on_event=notify)
            found = None
        if found is not None:
            failed = found.vm_state == VmState.ERROR
            ended = self._ended(found, Status.FAILED if failed else Status.UNCHANGED, began)
            return replace(ended, kept=differences(found.request, request))
        try:
            with self._store.write() as tx:
                new = self._enter(tx, request)
        except errors.InstanceExists:
            return Ended(request.name, Status.BUSY, message="another run began it at the same time")
        return self._work(new, Status.BUILT, notify, stopping, new=True)

    def _enter(self, tx: Transaction, request: InstanceRequest) -> Instance:
        """Put a new instance on record, held by this process."""
        new_id = str(uuid.UUID(int=self._rng.getrandbits(128), version=4))
        return instances.create(tx, new_id, request, worker=this_worker(), at=self._tools.clock())

    def _go_on(self, instance: Instance, notify: Listener, stopping: Callable[[], bool]) -> Ended:
        """Take an unfinished instance over, if its worker is gone, and bring it to rest."""
        taken = self._take(instance.id)
        if taken is None:
            with self._store.read() as tx:
                worker = instances.worker_of(tx, instance.id)
            message = f"worker {worker} is at it" if worker else "another worker has just brought it to rest"
            return Ended(instance.name, Status.BUSY, instance, message)
        return self._work(taken, Status.RESUMED, notify, stopping)

    def _take(self, instance_id: str) -> Instance | None:
        """Become the worker of an instance; None where it is at rest, or while another one is, or may be, at it."""
        with self._store.write() as tx:
            instance = instances.get(tx, instance_id)
            if State(instance.vm_state, instance.task_state).at_rest:
                return None
            if not is_gone(instances.worker_of(tx, instance_id)):
                deadline = effects.last_deadline(tx, instance_id) or instance.created_at
                grace = timedelta(seconds=self._settings.step_timeout + self._settings.takeover_grace)
                if self._tools.clock() < deadline + grace:
                    return None
            return replace(instance, generation=instances.take_over(tx, instance, worker=this_worker()))

    def _work(
        self, instance: Instance, status: Status, notify: Listener, stopping: Callable[[], bool], *, new: bool = False
    ) -> Ended:
        began = self._tools.clock()
        try:
            rested = self._engine.build(instance, notify=notify, stopping=stopping, new=new)
        except errors.BuildInterrupted as stop:
            with self._store.read() as tx:
                instance = instances.get(tx, instance.id)
            return Ended(instance.name, Status.INTERRUPTED, instance, str(stop))
        ends = {VmState.ERROR: Status.FAILED, VmState.DELETED: Status.DELETED}
        return self._ended(rested, ends.get(VmState(rested.vm_state), status), began)

    def _ended(self, instance: Instance, status: Status, began: datetime) -> Ended:
        undone: tuple[Effect, ...] = ()
        stuck: tuple[Effect, ...] = ()
        if status is Status.FAILED:
            failure = self._failure(instance)
            undone, stuck = failure.undone, failure.stuck
        seconds = (self._tools.clock() - began).total_seconds()
        return Ended(instance.name, status, instance, "", undone, stuck, seconds)

    def _to_rest(self, instance: Instance, notify: Listener, *, new: bool = False) -> Instance:
        """Have the engine bring it to rest; what stops it is an ordinary error to our caller."""
        try:
            return self._engine.build(instance, notify=notify, new=new)
        except errors.BuildInterrupted as stop:
            raise errors.NotFinished(f"{instance.name} is not at rest and can be resumed: {stop}") from stop

    def _failure(self, instance: Instance) -> BuildFailed:
        with self._store.read() as tx:
            return BuildFailed(instance, effects.effects_of(tx, instance.id))

    def resume(
        self, *, on_event: Listener = lambda _event: None, stopping: Callable[[], bool] = lambda: False
    ) -> tuple[Ended, ...]:
        """Finish, forward or back, whatever a crash left unfinished. What another worker is at is left to it."""
        with self._store.read() as tx:
            unfinished = instances.unfinished(tx)
        return tuple(self._go_on(instance, on_event, stopping) for instance in unfinished if not stopping())

    # --- taking back ----------------------------------------------------------------------------------------------

    def delete(
        self,
        name: str,
        *,
        project: str | None = None,
        on_event: Listener = lambda _event: None,
        timeout: float | None = None,
    ) -> Instance:
        """Delete an instance, by name or id, whatever is going on with it; gives it as it is then.

        A live worker is waited for, at most `timeout` seconds (default: a step's deadline and its grace); one that is
        gone is replaced. Called by a listener of the very build, it returns at once and the build undoes itself.
        What cannot be undone leaves it in ERROR, and delete can be repeated.
        Raises `InstanceNotFound`, `InstanceBusy`.
        """
        instance = self._mark_deleting(name, project)
        if instance.id in self._engine.building_here:
            return self.get(instance.id)
        patience = self._settings.step_timeout + self._settings.takeover_grace if timeout is None else timeout
        give_up = self._tools.clock() + timedelta(seconds=patience)
        while True:
            taken = self._take(instance.id)
            if taken is not None:
                return self._to_rest(taken, on_event)
            instance = self.get(instance.id)
            if State(instance.vm_state, instance.task_state).at_rest:
                return instance
            if self._tools.clock() > give_up:
                raise errors.InstanceBusy(f"instance {instance.name} is marked for deletion, its worker has not ended")
            self._tools.sleep(self._settings.poll_interval)

    def _mark_deleting(self, name: str, project: str | None) -> Instance:
        """Set DELETING, generation unchanged, so that a live worker sees it at its next step."""
        while True:
            with self._store.write() as tx:
                found = instances.find(tx, name, project)
                if found is None:
                    raise errors.InstanceNotFound(f"no instance {name}" + (f" in project {project}" if project else ""))
                state = State(found.vm_state, found.task_state)
                at = self._tools.clock()
                try:
                    instances.advance(tx, found.id, found.generation, state, Move.DELETE, at)
                except (errors.UnexpectedState, errors.StaleWorker):
                    continue
                return found

    def destroy(
        self,
        file: RunFile,
        *,
        on_event: Listener = lambda _event: None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> tuple[tuple[Ended, ...], Changes]:
        """The inverse of `run`: delete the file's instances, dependants first, then what else it brought about."""
        dependants: dict[str, list[str]] = {entry.request.name: [] for entry in reversed(file.instances)}
        for entry in file.instances:
            for need in entry.depends_on:
                dependants[need].append(entry.request.name)
        ended = run_in_order(
            dependants,
            lambda name: self._remove(name, file.project, on_event),
            executor=None,
            stopping=stopping,
            good=GONE,
        )
        all_gone = all(one.status in GONE for one in ended)
        return ended, take_back(file, self._store, self._tools.drivers) if all_gone else Changes()

    def _remove(self, name: str, project: str, notify: Listener) -> Ended:
        began = self._tools.clock()
        with self._store.read() as tx:
            found = instances.find(tx, name, project)
        if found is None:
            return Ended(name, Status.UNCHANGED, message="it is not there")
        gone = self.delete(found.id, on_event=notify)
        return self._ended(gone, Status.FAILED if gone.vm_state == VmState.ERROR else Status.DELETED, began)

    # --- look-ups -------------------------------------------------------------------------------------------------

    def list(self, *, project: str | None = None) -> Sequence[Instance]:
        """All instances that are not deleted, by project and name."""
        with self._store.read() as tx:
            return instances.listed(tx, project=project)

    def get(self, instance_id: str) -> Instance:
        """One instance by id, also a deleted one. Raises `InstanceNotFound`."""
        with self._store.read() as tx:
            return instances.get(tx, instance_id)

    def show(self, name: str, *, project: str | None = None) -> Details:
        """One instance, by name or id, with everything on record about it. Raises `InstanceNotFound`."""
        with self._store.read() as tx:
            found = instances.find(tx, name, project)
            if found is None:
                found = instances.get(tx, name)
            claim = hosts.claim_of(tx, found.id)
            done = tuple(effects.effects_of(tx, found.id))
            return Details(found, claim, done, tuple(history_of(tx, found.id)))

    def audit(self) -> tuple[auditing.Finding, ...]:
        """The record against what every driver holds, both ways; changes nothing and is safe at any time."""
        return auditing.audit(self._store, self._tools.drivers)


def differences(have: InstanceRequest, want: InstanceRequest) -> tuple[str, ...]:
    """What another request says differently of an instance that exists, a line each for a person."""
    have, want = instances.to_keep(have), instances.to_keep(want)
    lines = []
    for name in (one.name for one in fields(InstanceRequest)):
        old, new = getattr(have, name), getattr(want, name)
        if old == new:
            continue
        old_name, new_name = getattr(old, "name", None), getattr(new, "name", None)
        if old_name != new_name:
            lines.append(f"instance {have.name}: {name} stays {old_name} (the file says {new_name})")
        else:
            lines.append(f"instance {have.name}: {name} stays as it was built (the file differs)")
    return tuple(lines)


def default_drivers(store: Store, settings: Settings, state: Path) -> Drivers:
    """The embedded network, and each host's drivers by the names in its entry."""
    return Drivers(driver_class("network", "embedded")(store, settings), state, store.installation)
