"""Runs a build to its end: forward by TaskFlow, back by the ledger, on the next host, or on from a crash."""

from __future__ import annotations

import contextlib
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from slipway import errors
from slipway.flows.changing import change_of, changed, recall_change, unchanged
from slipway.flows.definition import Definition
from slipway.flows.outcome import Outcome
from slipway.flows.run import Run
from slipway.flows.runs.undoing import undo
from slipway.flows.tasks.base import Task, Tools
from slipway.model.record import Effect, Event, Instance, Scope
from slipway.model.request import GRACEFUL, Shutdown
from slipway.states import instances
from slipway.states.held import hold
from slipway.states.instance_owner import InstanceOwner
from slipway.states.ledger import Ledger
from slipway.states.machines import Move
from slipway.states.schema import OWN_TEXT
from slipway.states.secrets import bears_secrets

if TYPE_CHECKING:
    from slipway.flows.effect_task import Seat
    from slipway.flows.engine.engine import Engine


CHANGE = "change"
"""In place of a text's digest: the workflow is one of Slipway's changes."""


class _Flow(Struct, frozen=True):
    """A flow of one workflow, made ready by TaskFlow to run again and again."""

    engine: Engine
    seat: Seat
    definition: Definition


class Conductor:
    """Builds and deletes instances that its caller holds. Starts no thread; uses its flows again."""

    def __init__(
        self,
        tools: Tools,
        change_power: Callable[..., None],
        catalog: Mapping[str, Task],
        *,
        executor: Executor | None = None,
    ) -> None:
        """`change_power` brings an instance to rest that is to be stopped, started or repaired.

        It takes the run, and how to stop it as `shutdown`. `catalog`: what steps use, by name.

        With an `executor` the branches of a flow run side by side in it, one after the other otherwise. Builds must not
        run in the same executor: they would wait for their own tasks.
        """
        self.tools = tools
        self._change_power = change_power
        self._catalog = catalog
        self._executor = executor
        self._here = threading.local()
        self._free: defaultdict[tuple[str, str], list[_Flow]] = defaultdict(list)

    def build(
        self,
        instance: Instance,
        *,
        notify: Callable[[Event], None] = lambda _event: None,
        stopping: Callable[[], bool] = lambda: False,
        new: bool = False,
        shutdown: Shutdown = GRACEFUL,
        mend: Callable[[Run], None] | None = None,
    ) -> Instance:
        """Bring the instance to rest: ACTIVE, ERROR, or DELETED when a delete came between; gives it as it is then.

        `new`: nothing of it is on record yet but its row. `shutdown`: how it is stopped where it is to be; `mend`: how
        it is repaired where it is to be, when that is not all of it. Raises
        `BuildInterrupted` when it was stopped before it came to rest, or when the record could not be written: then it
        can be resumed, here or elsewhere.
        """
        tools = self.tools
        owner = InstanceOwner(instance)
        ledger = Ledger(
            tools.store,
            owner,
            clock=tools.clock,
            monotonic=tools.monotonic,
            step_timeout=tools.settings.step_timeout,
            grace=tools.settings.takeover_grace,
            known=not new,
        )
        change = change_of(tools, instance) if ledger.state.changing else None
        run = Run(instance, ledger, self.tools, self._catalog, notify=notify, stopping=stopping, change=change)
        powering = ledger.state.powering
        about = {"slipway.instance.id": instance.id, "slipway.instance.name": instance.name}
        with tools.traced("build", about) as ledger.around:
            self._to_rest(run, mend or partial(self._change_power, shutdown=shutdown), new=new)
        if instance.has_secrets or bears_secrets(run.instance.request):
            tools.store.scrub()
        if owner.rested and not powering:
            return owner.rested[-1]
        with self.tools.store.read(once=True) as tx:
            return instances.get(tx, instance.id)

    def _to_rest(self, run: Run, change: Callable[[Run], None], *, new: bool) -> None:
        self._here.building = {*self.building_here, run.instance.id}
        try:
            if new:
                run.tell("instance.create.start")
            else:
                self._recall(run)
            while not run.ledger.state.at_rest:
                if run.ledger.state.powering:
                    if run.host is not None:
                        self.tools.drivers.check_here(run.host)
                    change(run)
                elif run.outcome is None:
                    self._forward(run)
                if run.outcome is not None:
                    self._back(run)
        except (errors.StaleWorker, errors.StoreError, errors.UnexpectedState) as error:
            raise errors.BuildInterrupted(str(error)) from error
        except errors.HostElsewhere as error:
            raise errors.GoesOnElsewhere(error.host) from error
        finally:
            self._here.building = self.building_here - {run.instance.id}
            self._leave(run)

    @property
    def building_here(self) -> set[str]:
        """The ids of the instances that this thread is building, seen from a listener that is told of them."""
        building: set[str] = getattr(self._here, "building", set())
        return building

    def _recall(self, run: Run) -> None:
        """Take up what was decided before the crash."""
        with self.tools.store.read() as tx:
            outcome = instances.outcome_of(tx, run.instance.id)
        if run.ledger.state.deleting:
            run.outcome = Outcome.DELETE
            run.tell("instance.delete.start")
        elif run.ledger.state.unwinding:
            run.outcome = Outcome.ABORT
        elif run.ledger.state.changing:
            recall_change(run, outcome)
        elif not run.ledger.state.building:
            return
        elif outcome is not None:
            run.outcome = _outcome(outcome)
        elif run.instance.damage:
            run.failed("record", errors.RecordDamaged(run.instance.damage))

    # --- forward --------------------------------------------------------------------------------------------------

    def _forward(self, run: Run) -> None:
        with self._flow(run) as engine:
            try:
                engine.run()
            except Exception as error:  # noqa: BLE001 - the run has the cause already, unless TaskFlow itself failed
                run.failed("flow", error)
            else:
                self._succeeded(run)

    def _succeeded(self, run: Run) -> None:
        """All steps are done, so that the instance is at rest, unless the workflow has none that brings it there."""
        if run.ledger.state.changing:
            run.decide(Outcome.RETIRE)
            return
        if run.ledger.state.at_rest:
            run.tell("instance.create.end", message="Success", addresses=run.addresses)
            return
        text = (
            f"workflow {run.instance.workflow} has ended, and the instance is {run.ledger.state}: no step uses 'finish'"
        )
        run.failed("flow", errors.AbortBuild(text))

    @contextlib.contextmanager
    def _flow(self, run: Run) -> Iterator[Engine]:
        """TaskFlow's engine on a flow that is this run's alone: no other thread and no build of a listener has it.

        It serves the next one if it came to an end; what was interrupted is let go. Every branch has ended afterwards.
        """
        from taskflow.states import REVERTED, SUCCESS

        digest = run.build.digest if run.build else OWN_TEXT
        free = self._free[(run.change.workflow, CHANGE) if run.change else (run.instance.workflow, digest)]
        try:
            flow = free.pop()
        except IndexError:
            flow = self._make(run)
        flow.seat.run, run.engine, run.forward = run, flow.engine, flow.definition
        yield flow.engine
        if flow.engine.storage.get_flow_state() in (SUCCESS, REVERTED):
            flow.engine.reset()
            free.append(flow)

    def _make(self, run: Run) -> _Flow:
        # TaskFlow is what takes longest to load: only what goes forward waits for it.
        from taskflow.persistence.models import FlowDetail

        from slipway.flows.compiler import compile_flow
        from slipway.flows.effect_task import Seat
        from slipway.flows.engine.engine import Engine

        seat = Seat(self._executor)
        flow = compile_flow(run.forward, run.catalog, seat)
        detail = FlowDetail(flow.name, run.forward.name)
        return _Flow(Engine(flow, detail, options={"executor": self._executor}), seat, run.forward)

    # --- back -----------------------------------------------------------------------------------------------------

    def _back(self, run: Run) -> None:
        """Undo what TaskFlow's reverts did not reach, then bring the instance to rest or to its next host."""
        run.recall()
        for effect in run.ledger.effects():
            undo(run, effect)
        if run.halted is not None:
            raise run.halted
        stuck = run.ledger.stuck()
        if run.outcome is Outcome.RESCHEDULE and any(effect.scope is Scope.HOST for effect in stuck):
            run.outcome = Outcome.ABORT
            run.ledger.decide(run.outcome)
            return
        if run.build is not None and run.ledger.state.building and run.outcome is not Outcome.RESCHEDULE:
            self._finish_off(run)
        try:
            _CONCLUDE[run.outcome or Outcome.ABORT](run, stuck)
        except errors.InstanceDeleting:
            run.deleted_meanwhile()

    def _finish_off(self, run: Run) -> None:
        """Do what is at the end of a user's workflow; where nobody can read that any more, there is nothing."""
        from slipway.flows.build_step import finish_off

        with contextlib.suppress(errors.InvalidFile, errors.RecordDamaged):
            finish_off(run)

    def _leave(self, run: Run) -> None:
        """Let anybody go on at once with what is not at rest; where even that cannot be written, they must wait.

        So they must where a branch is not waited for any more (Ctrl-C, twice): it may be in a driver's call.
        """
        if not run.ledger.state.at_rest and not (run.engine is not None and run.engine.at_work):
            with contextlib.suppress(errors.StoreError), self.tools.store.write() as tx:
                hold(tx, "instance", run.instance.id, run.ledger.generation, None)


_AT_REST = {"worker": None, "outcome": None, "user_data": None}
"""What an instance that is at rest has no more."""


def _reschedule(run: Run, _stuck: list[Effect]) -> None:
    ledger = run.ledger
    ledger.conclude(
        Move.RESCHEDULE, detail=f"attempt {ledger.attempt + 1}", values={"attempt": ledger.attempt + 1, "outcome": None}
    )
    ledger.attempt += 1
    run.next_attempt()
    run.tell("reschedule", message=_cause(run))


def _abort(run: Run, stuck: list[Effect]) -> None:
    if run.ledger.state.changing:
        unchanged(run)
        return
    again = run.ledger.state.unwinding
    run.ledger.conclude(Move.REVERTED, detail=f"{len(stuck)} stuck" if stuck else "", values=_AT_REST)
    if again:
        run.tell("instance.repair.error" if stuck else "instance.repair.end", message=f"{len(stuck)} stuck")
    else:
        run.tell("instance.create.error", message=_cause(run))


def _delete(run: Run, stuck: list[Effect]) -> None:
    building = run.ledger.state.building
    if stuck:
        root = next((effect for effect in stuck if effect.held_by is None), stuck[0])
        error = errors.UndoFailed(f"{len(stuck)} effects could not be undone, the first is {root.key}: {root.error}")
        run.remember(root.step, error)
        run.ledger.conclude(Move.DELETE_FAILED, detail=f"{len(stuck)} stuck", values=_AT_REST, fault=run.fault)
        run.tell("instance.delete.error", message=str(error))
    else:
        given_back = {"addresses": None, "access_ipv4": None, "access_ipv6": None}
        run.ledger.conclude(Move.DELETED, values={**_AT_REST, **given_back, "deleted_at": run.tools.clock()})
        run.tell("instance.delete.end")
    if building:
        run.tell("instance.create.end", message="the instance was deleted while it was built")


def _outcome(recorded: str) -> Outcome:
    """What was decided; where nobody can read that, all is undone, and no other host is tried."""
    try:
        return Outcome(recorded)
    except ValueError:
        return Outcome.ABORT


_CONCLUDE: dict[Outcome, Callable[[Run, Any], None]] = {
    Outcome.RESCHEDULE: _reschedule,
    Outcome.ABORT: _abort,
    Outcome.DELETE: _delete,
    Outcome.RETIRE: changed,
}


def _cause(run: Run) -> str:
    return f"{run.fault.type}: {run.fault.message}" if run.fault else ""
