"""A workflow's run in one worker's hands: where it stands, what was decided when a step failed, and its pauses."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import partial
from typing import Any, NoReturn

from slipway import errors
from slipway.flows.definition import Definition, StepDefinition
from slipway.flows.runs.execution import Execution
from slipway.flows.runs.prepared import Prepared
from slipway.flows.runs.sealing import Seal
from slipway.flows.tasks.base import RunInfo, Task, Tools, Work
from slipway.flows.values import Scope
from slipway.listeners import tell
from slipway.model.record import Effect, EffectState, Event, Fault
from slipway.model.run import RunRecord
from slipway.states.run_machine import RunMove, RunState
from slipway.states.run_owner import RunLedger
from slipway.states.store import Transaction
from slipway.texts import named

log = logging.getLogger(__name__)


class Ending(StrEnum):
    """What becomes of a run once all is undone; on record before the first undo."""

    FAILED = "failed"
    CANCELLED = "cancelled"


class WorkflowRun(Execution[RunState, RunMove]):
    """What the steps of one run of a user's workflow share while one worker has it."""

    text_may_change = True

    def __init__(
        self,
        run: RunRecord,
        prepared: Prepared,
        ledger: RunLedger,
        tools: Tools,
        catalog: Mapping[str, Task],
        *,
        notify: Callable[[Event], None],
        stopping: Callable[[], bool],
    ) -> None:
        """`catalog`: what its steps use, by name. `stopping` true: no further step is begun."""
        super().__init__(
            ledger,
            tools,
            RunInfo(run.id, run.name, run.project),
            catalog,
            {task.kind: task for task in catalog.values()},
            fault=run.fault,
            notify=notify,
            stopping=stopping,
            seal=Seal(prepared.secrets),
        )
        self.run = run
        self._definition = definition = prepared.definition
        self.inputs = prepared.inputs
        self.ending = Ending(run.outcome) if run.outcome else None
        self.paused = False
        self._steps = {step.id: step for step in (*definition.steps, *definition.finals)}
        self.told = self._told()
        ledger.seal, ledger.unseal = self.seal.seal, self.seal.unseal

    # --- where it stands ------------------------------------------------------------------------------------------

    def seconds_for(self, step: StepDefinition, task: Task) -> float:
        """What the workflow says, or the task, or the settings."""
        given = step.timeout or self._definition.timeout or task.patience
        return given or self.tools.settings.step_timeout

    @property
    def definition(self) -> Definition:
        """Its workflow."""
        return self._definition

    @property
    def steps(self) -> Mapping[str, StepDefinition]:
        """All of the workflow's, by id."""
        return self._steps

    def scope(self, item: Any = None, index: int | str | None = None, result: Any = None) -> Scope:
        """What expressions may name just now."""
        return Scope(
            self.outputs,
            self.inputs,
            self.statuses,
            item=item,
            index=index,
            run_id=self.run.id,
            run_name=self.run.name,
            result=result,
        )

    def _told(self) -> frozenset[str]:
        """Those up to the last one that is on record, but for one that was left unfinished."""
        states = {step.id: {e.state for e in self.ledger.effects(step.id)} for step in self.definition.steps}
        began = [at for at, step in enumerate(self.definition.steps) if states[step.id]]
        before = self.definition.steps[: began[-1] + 1] if began else ()
        return frozenset(step.id for step in before if states[step.id] <= {EffectState.DONE})

    def check_going_on(self) -> None:
        """Raise where no further step is to be begun."""
        if self._stopping() or self.paused:
            raise errors.BuildInterrupted(f"run {self.run.id} stopped before its next step")
        if self.ending is not None and self.ledger.state is not RunState.REVERTING:
            raise errors.AttemptEnded(f"run {self.run.id}: another step has failed")

    def work(self, effect: Effect, timeout: float, tx: Any = None, *, back: bool = False) -> Work:
        """What a task is given for one effect, to have it or to take it `back`."""
        return Work(
            effect,
            self.info,
            self.tools,
            self.tools.monotonic() + timeout,
            tx,
            self._check_waiting,
            partial(self.tell, "step.say", effect.step, effect.slot),
            approved=self.run.answer is not None and self.run.waits_at == effect.key,
            fence=self.ledger.fence,
        )

    def _check_waiting(self) -> None:
        self.check_going_on()
        if self.ledger.state is RunState.RUNNING:
            self.ledger.check()

    def tell(self, type_: str, step: str = "", slot: int = 0, message: str = "") -> None:
        """Announce something, without secrets. A listener that fails is logged and never fails the run."""
        event = Event(
            type=type_,
            at=self.tools.clock(),
            instance_id="",
            name=self.run.name,
            step=step,
            slot=slot,
            vm_state=self.ledger.state.value,
            attempt=self.ledger.attempt,
            message=self.seal.mask(message),
            run_id=self.run.id,
        )
        log.info("%s", type_, extra={"run": self.run.id, "step": step, "slot": slot, "detail": event.message})
        tell(self._notify, event, type_)

    # --- when a step fails, or waits ------------------------------------------------------------------------------

    def failed(self, step: str, error: Exception) -> None:
        """Record why all is undone before anything is. The first error is the cause; a later one changes nothing."""
        with self._lock:
            if self.ending is not None:
                return
            log.info("step %s failed", step, extra={"run": self.run.id, "step": step, "detail": self.named(error)})
            if isinstance(error, errors.RunCancelled):
                self.cancelled_meanwhile()
                return
            self.remember(step, error)
            try:
                self.ledger.conclude(
                    RunMove.FAIL,
                    detail=f"{step}: {self.named(error)}",
                    values={"outcome": Ending.FAILED},
                    fault=self.fault,
                    also=partial(self.failing, step, error),
                )
            except errors.RunCancelled:
                self.cancelled_meanwhile()
                return
            self.ending = Ending.FAILED
        self.tell("step.error", step, message=named(error))

    def cancelled_meanwhile(self) -> None:
        """Somebody wants the run undone: nothing else counts."""
        self.ledger.refresh()
        self.ending = Ending.CANCELLED

    def pause(
        self,
        values: Mapping[str, Any],
        fault: Fault | None = None,
        also: Callable[[Transaction], None] | None = None,
    ) -> NoReturn:
        """Let the run go until it is told to go on. Raises `BuildInterrupted`, which ends the work on it here."""
        with self._lock:
            if not self.paused and self.ending is None:
                try:
                    self.ledger.conclude(
                        RunMove.PAUSE,
                        detail=values["waits_for"],
                        values={"worker": None, "answer": None, **values},
                        fault=fault,
                        also=also,
                    )
                except errors.RunCancelled:
                    self.cancelled_meanwhile()
                    raise
                self.paused = True
        raise errors.BuildInterrupted(f"run {self.run.id} is paused")
