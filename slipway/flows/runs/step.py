"""One step of a run, carried out by way of the ledger."""

from __future__ import annotations

from concurrent.futures import Executor
from functools import partial
from typing import Any

from msgspec import Struct

from slipway import errors
from slipway.drivers.deadline import within
from slipway.flows.definition import Cel, OnError, StepDefinition
from slipway.flows.retries import waits_of, with_retries
from slipway.flows.runs.execution import FAILED, SKIPPED
from slipway.flows.runs.hands import side_by_side
from slipway.flows.runs.inverse import Item
from slipway.flows.runs.undoing import undo_step
from slipway.flows.runs.workflow_run import WorkflowRun
from slipway.flows.values import SUCCEEDED, holds, items_of, resolve_all
from slipway.model.record import Effect, EffectState, Scope
from slipway.model.run import FAILED_STEP, STEP_ITEMS
from slipway.states import codec
from slipway.states.intent import Durability, Intent
from slipway.states.run_machine import RunMove


class StepFailure(Struct, frozen=True):
    """Why a step failed after which the run goes on."""

    type: str
    message: str


class Step:
    """A step of a run. `final`: it is done at the end, whatever came of the others."""

    def __init__(
        self, execution: WorkflowRun, step: StepDefinition, *, final: bool = False, executor: Executor | None = None
    ) -> None:
        """With an `executor` the items of a `for_each` that is `parallel` are done side by side in it."""
        self._run = execution
        self._step = step
        self._task = execution.catalog[step.uses]
        self._final = final
        self._executor = executor
        given = step.timeout or execution.definition.timeout
        self._seconds = given or self._task.patience or execution.tools.settings.step_timeout

    def carry_out(self) -> None:
        """Do what is not done yet, and keep the results. An error is on record before it leaves.

        Raises `BuildInterrupted` where the run is to be let go as it is: replaced, paused, or not to be recorded.
        """
        run, step = self._run, self._step
        run.check_going_on()
        try:
            self._carry_out()
        except (errors.StaleWorker, errors.StoreError) as error:
            raise errors.BuildInterrupted(str(error)) from error
        except Exception as error:  # noqa: BLE001 - what the step says becomes of it
            try:
                self._fail(error)
            except (errors.StaleWorker, errors.StoreError, errors.UnexpectedState) as second:
                raise errors.BuildInterrupted(str(second)) from error
        if step.id not in run.told:
            run.tell("step.end", step.id, message=run.statuses[step.id])

    def _carry_out(self) -> None:
        run, step = self._run, self._step
        if any(effect.kind == FAILED_STEP for effect in self._done()):
            run.ended(step.id, FAILED)
            return
        if not holds(step.condition, run.scope(), step.position):
            run.ended(step.id, SKIPPED)
            return
        result = self._each() if step.for_each is not None else self._once(0)
        if step.outputs:
            result = resolve_all(step.outputs, run.scope(result=result), step.position)
        run.ended(step.id, SUCCEEDED, result)

    def _done(self) -> list[Effect]:
        return [e for e in self._run.ledger.effects(self._step.id) if e.state is EffectState.DONE]

    def _each(self) -> list[Any]:
        items = self._items()
        calls = [partial(self._once, slot, item, index) for slot, (index, item) in enumerate(items)]
        return side_by_side(calls, self._step.parallel, self._executor)

    def _items(self) -> list[tuple[int | str, Any]]:
        """What it goes over; on record where an expression gives it, for mappings have no order in those."""
        run, step = self._run, self._step

        def look(_effect: Effect | None = None, _tx: Any = None) -> list[tuple[int | str, Any]]:
            return items_of(step.for_each, run.scope(), step.position)

        if not isinstance(step.for_each, Cel):
            return look()
        return run.ledger.perform(self._note(-2, STEP_ITEMS), Durability.RECORDED, look, list[tuple[int | str, Any]])

    def _note(self, slot: int, kind: str) -> Intent[RunMove]:
        """A row that says something of the step."""
        step, final = self._step.id, self._final
        return Intent[RunMove](step, slot, kind, Scope.INSTANCE, None, b"{}", self._seconds, anyway=final)

    def _once(self, slot: int, item: Any = None, index: int | str | None = None) -> Any:
        run, step, task = self._run, self._step, self._task
        given = task.accept(resolve_all(step.arguments, run.scope(item, index), step.position))
        durability = task.durability(run.tools, None)
        args = codec.encode(Item(item, index)) if step.revert is not None else task.recorded(given)
        intent = Intent[RunMove](
            step=step.id,
            slot=slot,
            kind=task.kind,
            scope=Scope.INSTANCE,
            host=None,
            args=run.seal.seal(args),
            timeout=self._seconds,
            anyway=self._final,
        )
        if step.id not in run.told:
            run.tell("step.start", step.id, slot)
        retry = step.retry
        return with_retries(
            lambda: run.ledger.perform(intent, durability, partial(self._call, given), task.result_type),
            retries=retry.max_attempts - 1 if retry else task.retries(run.tools.settings),
            sleep=run.rest,
            step=step.id,
            tell=partial(run.tries_again, step.id, slot),
            **(waits_of(retry, run.ledger.key(intent)) if retry else {}),
        )

    def _call(self, given: dict[str, Any], effect: Effect, tx: Any) -> Any:
        run = self._run
        began = run.tools.monotonic()
        work = run.work(effect, self._seconds, tx)
        try:
            if tx is not None:
                # Rows of our own: nothing in it waits for anybody else.
                result = self._task.do(work, **given)
            else:
                with within(self._seconds):
                    result = self._task.do(work, **given)
        except errors.RunWaits as wait:
            if self._final:
                raise errors.RunRefused(f"step {self._step.id} is one of the last, which wait for nobody") from wait
            run.pause({"wake_at": wait.until, "waits_for": run.seal.mask(str(wait)), "waits_at": effect.key})
        if (took := run.tools.monotonic() - began) > self._seconds:
            raise errors.StepTimeout(f"step {self._step.id} took {took:.1f} s, its deadline was {self._seconds:g} s")
        return result

    # --- when it fails --------------------------------------------------------------------------------------------

    def _fail(self, error: Exception) -> None:
        """What `on_error` says; the error leaves where the run does not go on."""
        run, step = self._run, self._step
        if isinstance(error, errors.RunCancelled) or self._final or step.on_error is OnError.REVERT:
            if not self._final:
                run.failed(step.id, error)
            raise error
        if step.on_error is OnError.PAUSE:
            run.remember(step.id, error)
            waits_for = f"step {step.id} failed: {run.named(error)}"
            values = {"wake_at": None, "waits_for": waits_for, "waits_at": None}
            run.pause(values, run.fault, partial(run.failing, step.id, error))
        try:
            undo_step(run, step.id)
        except errors.UndoFailed as stuck:
            run.failed(step.id, error)
            raise error from stuck
        self._pass_over(error)

    def _pass_over(self, error: Exception) -> None:
        """Have it on record that it failed: a resume must not find that it works by now."""
        run, step = self._run, self._step
        failure = StepFailure(type(error).__name__, run.named(error))

        def fail(_effect: Effect, tx: Any) -> StepFailure:
            run.failing(step.id, error, tx)
            return failure

        run.ledger.perform(self._note(-1, FAILED_STEP), Durability.LOCAL, fail, StepFailure)
        run.ended(step.id, FAILED)
        run.tell("step.error", step.id, message=failure.message)
