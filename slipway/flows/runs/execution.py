"""A run in one worker's hands: where it stands, what was decided when a step failed, and what is undone then."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import partial
from typing import Any, NoReturn

from slipway import errors
from slipway.flows.runs.prepared import Prepared
from slipway.flows.runs.sealing import Seal
from slipway.flows.tasks.base import RunInfo, Task, Tools, Work
from slipway.flows.values import SUCCEEDED, Scope
from slipway.listeners import tell
from slipway.model.record import Effect, EffectState, Event, Fault
from slipway.model.run import FAILED_STEP, NOTES, RunRecord
from slipway.states import codec
from slipway.states.run_machine import RunMove, RunState
from slipway.states.run_owner import RunLedger
from slipway.states.store import Transaction
from slipway.texts import named, said

log = logging.getLogger(__name__)

FAILED, SKIPPED = "failed", "skipped"


class Ending(StrEnum):
    """What becomes of a run once all is undone; on record before the first undo."""

    FAILED = "failed"
    CANCELLED = "cancelled"


class Execution:
    """What the steps of one run share while one worker has it."""

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
        self.run = run
        self.definition = definition = prepared.definition
        self.ledger = ledger
        self.tools = tools
        self.catalog = catalog
        self.inputs = prepared.inputs
        self.seal = seal = Seal(prepared.secrets)
        self.info = RunInfo(run.id, run.name, run.project)
        self.outputs: dict[str, Any] = {}
        self.statuses: dict[str, str] = {}
        self.fault = run.fault
        self.ending = Ending(run.outcome) if run.outcome else None
        self.halted: Exception | None = None
        self.paused = False
        self.under_way: dict[str, Effect] = {}
        """What is being had outside our database, by its key."""
        self.steps = {step.id: step for step in (*definition.steps, *definition.finals)}
        self.kinds = {task.kind: task for task in catalog.values()}
        self.told = self._told()
        """The steps of whose ends whoever listened has been told before."""
        self._notify = notify
        self._stopping = stopping
        self._lock = threading.Lock()
        self.tried: set[str] = set()
        """What this roll-back has tried to undo, by key."""
        ledger.seal, ledger.unseal = seal.seal, seal.unseal

    # --- where it stands ------------------------------------------------------------------------------------------

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

    def ended(self, step: str, status: str, outputs: Any = None) -> None:
        """Have it that a step has ended so, with what it gave."""
        self.outputs[step], self.statuses[step] = outputs, status

    def _told(self) -> frozenset[str]:
        """Those up to the last one that is on record, but for one that was left unfinished."""
        states = {step.id: {e.state for e in self.ledger.effects(step.id)} for step in self.definition.steps}
        began = [at for at, step in enumerate(self.definition.steps) if states[step.id]]
        before = self.definition.steps[: began[-1] + 1] if began else ()
        return frozenset(step.id for step in before if states[step.id] <= {EffectState.DONE})

    def recall(self) -> None:
        """Know the results of the steps that are on record, for what is undone, or done at the end, by them."""
        for step in self.steps.values():
            effects = sorted(self.ledger.effects(step.id), key=lambda effect: effect.slot)
            given = [self.result_of(effect) for effect in effects if effect.result and effect.kind not in NOTES]
            if step.id in self.statuses:
                continue
            if any(effect.kind == FAILED_STEP and effect.state is EffectState.DONE for effect in effects):
                self.ended(step.id, FAILED)
            elif given:
                self.ended(step.id, SUCCEEDED, given if step.for_each is not None else given[0])
            else:
                self.ended(step.id, SKIPPED)

    def result_of(self, effect: Effect) -> Any:
        """What an effect gave, None where that is not on record."""
        task = self.kinds.get(effect.kind)
        return codec.decode(self.seal.unseal(effect.result), task.result_type) if task and effect.result else None

    def check_going_on(self) -> None:
        """Raise where no further step is to be begun."""
        if self._stopping() or self.paused:
            raise errors.BuildInterrupted(f"run {self.run.id} stopped before its next step")
        if self.ending is not None and self.ledger.state is not RunState.REVERTING:
            raise errors.AttemptEnded(f"run {self.run.id}: another step has failed")

    def work(self, effect: Effect, timeout: float, tx: Any = None) -> Work:
        """What a task is given for one effect."""
        return Work(
            effect,
            self.info,
            self.tools,
            self.tools.monotonic() + timeout,
            tx,
            self._check_waiting,
            partial(self.tell, "step.say", effect.step, effect.slot),
            approved=self.run.answer is not None and self.run.waits_at == effect.key,
        )

    def _check_waiting(self) -> None:
        self.check_going_on()
        if self.ledger.state is RunState.RUNNING:
            self.ledger.check()

    def rest(self, seconds: float) -> None:
        """Wait before a call is tried again, with a lease for that and for the call. Raises `StaleWorker`."""
        self.ledger.hold(seconds + self.tools.settings.step_timeout)
        self.tools.sleep(seconds)

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

    def failing(self, step: str, error: Exception, tx: Transaction) -> None:
        """What is written of an error beside what becomes of the run."""
        self.ledger.tell(tx, "step.error", step=step, detail=self.named(error))

    def tries_again(self, step: str, slot: int, error: Exception, seconds: float) -> None:
        """Have it on record that a step failed in passing. Raises `StaleWorker`, a `StoreError`."""
        self.ledger.note("step.retry", step=step, slot=slot, detail=f"again in {seconds:g} s: {self.named(error)}")

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

    def remember(self, step: str, error: Exception) -> None:
        """Keep the first error; later ones are added to it and never put in its place."""
        if self.fault is None:
            self.fault = Fault(type(error).__name__, self.seal.mask(said(error)), step, self.tools.clock())
            return
        old = self.fault
        self.fault = Fault(old.type, old.message, old.step, old.at, (*old.later, f"{step}: {self.named(error)}"))

    def named(self, error: Exception) -> str:
        """An error in words, without secrets."""
        return self.seal.mask(named(error))
