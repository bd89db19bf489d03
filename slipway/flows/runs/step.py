"""One step, carried out by way of the ledger: of a workflow's run, or of the build of an instance."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Any, NoReturn

from msgspec import Struct

from slipway import errors
from slipway.drivers.deadline import within
from slipway.flows.definition import Cel, OnError, StepDefinition
from slipway.flows.retries import waits_of, with_retries
from slipway.flows.runs.execution import FAILED, SKIPPED, Execution
from slipway.flows.runs.hands import side_by_side
from slipway.flows.runs.inverse import Item
from slipway.flows.runs.undoing import undo_step
from slipway.flows.values import SUCCEEDED, holds, items_of, resolve_all
from slipway.model.record import Effect, EffectState, Scope
from slipway.model.run import FAILED_STEP, STEP_ITEMS
from slipway.states import codec
from slipway.states.intent import Durability, Intent
from slipway.states.machines import Move


class StepFailure(Struct, frozen=True):
    """Why a step failed after which the run goes on."""

    type: str
    message: str


class Step(ABC):
    """A step of a run. `final`: it is done at the end, whatever came of the others."""

    _gathers: type[list[Any]] | type[tuple[Any, ...]] = list
    """What the results of a `for_each` are."""
    _tells_of_items = False
    """Whether the end of each item is told, or that of the whole step."""
    _run: Execution[Any, Any]

    def __init__(
        self,
        execution: Execution[Any, Any],
        step: StepDefinition,
        *,
        final: bool = False,
        executor: Executor | None = None,
    ) -> None:
        """With an `executor` the items of a `for_each` that is `parallel` are done side by side in it."""
        self._run = execution
        self._step = step
        self._task = task = execution.catalog[step.uses]
        self._seconds = execution.seconds_for(step, task)
        self._final = final
        self._executor = executor
        self._tells = step.id not in execution.told
        self._is_last = task.leads_to is Move.FINISH
        """Whether the whole ends with it."""
        self._looks_back = execution.text_may_change or step.on_error is OnError.CONTINUE
        """Whether it may have failed before, and been passed over."""

    def carry_out(self) -> None:
        """Do what is not done yet, and keep the results. An error is on record before it leaves.

        Raises `BuildInterrupted` where the run is to be let go as it is: replaced, paused, or not to be recorded.
        """
        run, step = self._run, self._step
        run.check_going_on()
        try:
            if self._looks_back and self._was_passed_over():
                run.ended(step.id, FAILED)
            elif step.condition is True or holds(step.condition, run.scope(), step.position):
                result = self._each() if step.for_each is not None else self._once(*run.slots(self._task.kind, 1))
                if step.outputs:
                    result = resolve_all(step.outputs, run.scope(result=result), step.position)
                run.ended(step.id, SUCCEEDED, result)
            else:
                run.ended(step.id, SKIPPED)
        except (errors.StaleWorker, errors.StoreError) as error:
            raise self._stopped(error) from error
        except errors.HostElsewhere as error:
            raise errors.GoesOnElsewhere(error.host) from error
        except Exception as error:  # noqa: BLE001 - what the step says becomes of it
            try:
                self._fail(error)
            except (errors.StaleWorker, errors.StoreError, errors.UnexpectedState) as second:
                raise self._stopped(second) from error

    def _was_passed_over(self) -> bool:
        found = self._run.ledger.effects(self._step.id)
        return any(effect.kind == FAILED_STEP and effect.state is EffectState.DONE for effect in found)

    def _each(self) -> Sequence[Any]:
        run, step = self._run, self._step
        is_cel = type(step.for_each) is Cel
        items = self._items() if is_cel else items_of(step.for_each, run.scope(), step.position)
        if not items and self._task.enters is not None:
            run.ledger.enter(self._task.enters)
        slots = zip(run.slots(self._task.kind, len(items)), items, strict=True)
        if self._executor is None or step.parallel <= 1:
            return self._gathers([self._once(slot, item, index) for slot, (index, item) in slots])
        calls = [partial(self._once, slot, item, index) for slot, (index, item) in slots]
        return self._gathers(side_by_side(calls, step.parallel, self._executor))

    def _items(self) -> list[tuple[int | str, Any]]:
        """What it goes over where an expression gives that: on record, for mappings have no order in those."""
        run, step = self._run, self._step

        def look(_effect: Effect, _tx: Any) -> list[tuple[int | str, Any]]:
            return items_of(step.for_each, run.scope(), step.position)

        kind = list[tuple[int | str, Any]]
        return run.ledger.perform(self._note(-2, STEP_ITEMS, self._task.scope), Durability.RECORDED, look, kind)

    def _note(self, slot: int, kind: str, scope: Scope) -> Intent[Any]:
        """A row that says something of the step."""
        host = self._run.host if scope is Scope.HOST else None
        scope, name = (scope, host.name) if host is not None else (Scope.INSTANCE, None)
        return Intent(self._step.id, slot, kind, scope, name, b"{}", self._seconds, anyway=self._final)

    def _once(self, slot: int, item: Any = None, index: int | str | None = None) -> Any:
        run, step, task = self._run, self._step, self._task
        host = run.host
        given = resolve_all(step.arguments, run.scope(item, index), step.position)
        if not task.in_build_only:
            given = task.accept(given)
        durability = task.durability(run.tools, host)
        args = codec.encode(Item(item, index)) if step.revert is not None else task.recorded(given)
        of_host = host is not None and task.scope_of(given) is Scope.HOST
        intent: Intent[Any] = Intent(
            step=step.id,
            slot=slot,
            kind=task.kind,
            scope=Scope.HOST if of_host else Scope.INSTANCE,
            host=host.name if host is not None and of_host else None,
            args=run.seal.seal(args) if run.has_secrets else args,
            timeout=self._seconds,
            enters=task.enters,
            leads_to=task.leads_to,
            anyway=self._final,
        )
        if self._is_last or run.ledger.attempt > 1:
            self._prepare(intent)
        if self._tells:
            run.tell("step.start", step.id, slot)
        retry = step.retry
        result = with_retries(
            lambda: run.ledger.perform(
                intent,
                durability,
                partial(self._call, given, durability),
                task.result_type,
                partial(task.columns, run.tools, given),
            ),
            retries=retry.max_attempts - 1 if retry else task.retries(run.tools.settings),
            sleep=run.rest,
            step=step.id,
            tell=partial(run.tries_again, step.id, slot),
            **(waits_of(retry, run.ledger.key(intent)) if retry else {}),
        )
        if run.under_way:
            run.under_way.pop(run.ledger.key(intent), None)
        if self._tells_of_items:
            run.tell("step.end", step.id, slot)
        return result

    def _call(self, given: dict[str, Any], durability: Durability, effect: Effect, tx: Any) -> Any:
        run, seconds = self._run, self._seconds
        if run.under_way is not None and durability is Durability.FOREIGN:
            run.under_way[effect.key] = effect
        began = run.tools.monotonic()
        work = run.work(effect, seconds, tx)
        try:
            if tx is not None:
                # Rows of our own: nothing in it waits for anybody else.
                result = self._task.do(work, **given)
            else:
                with within(seconds):
                    result = self._task.do(work, **given)
        except errors.RunWaits as wait:
            self._wait(effect, wait)
        if (took := run.tools.monotonic() - began) > seconds and not self._task.switches:
            raise errors.StepTimeout(f"step {self._step.id} took {took:.1f} s, its deadline was {seconds:g} s")
        if self._is_last:
            self._conclude(result, tx)
        return result

    # --- when it fails --------------------------------------------------------------------------------------------

    def _fail(self, error: Exception) -> None:
        """What `on_error` says; the error leaves where the run does not go on."""
        run, step = self._run, self._step
        if self._final:
            raise error
        if step.on_error is OnError.REVERT or self._ends_all(error):
            self._give_up(error)
            raise error
        if step.on_error is OnError.PAUSE:
            self._pause(error)
        try:
            undo_step(run, step.id)
        except errors.UndoFailed as stuck:
            self._give_up(error)
            raise error from stuck
        self._pass_over(error)

    def _pass_over(self, error: Exception) -> None:
        """Have it on record that it failed: a resume must not find that it works by now.

        On a further host it is tried again.
        """
        run, step = self._run, self._step
        failure = StepFailure(type(error).__name__, run.named(error))

        def fail(_effect: Effect, tx: Any) -> StepFailure:
            run.failing(step.id, error, tx)
            return failure

        note = self._note(-1, FAILED_STEP, Scope.HOST)
        run.ledger.perform(note, Durability.LOCAL, fail, StepFailure)
        run.ended(step.id, FAILED)
        run.tell("step.error", step.id, message=failure.message)

    def _give_up(self, error: Exception) -> None:
        """Have all undone."""
        self._run.failed(self._step.id, error)

    # --- what a build has otherwise -------------------------------------------------------------------------------

    def _stopped(self, error: Exception) -> errors.BuildInterrupted:
        """Why this worker goes no further."""
        return errors.BuildInterrupted(str(error))

    @abstractmethod
    def _conclude(self, result: Any, tx: Any) -> None:
        """Have on record what goes with the end of the whole, in the commit of the step that makes it."""

    @abstractmethod
    def _prepare(self, intent: Intent[Any]) -> None:
        """Do what comes before the last step, and before one that is done again."""

    @abstractmethod
    def _ends_all(self, error: Exception) -> bool:
        """Whether the run has ended whatever the step says of errors."""

    @abstractmethod
    def _wait(self, effect: Effect, wait: errors.RunWaits) -> NoReturn:
        """The task waits for a time or for somebody."""

    @abstractmethod
    def _pause(self, error: Exception) -> NoReturn:
        """Let the run go until somebody has said what is to become of it."""


def carry_out_finals(run: Execution[Any, Any], make: Callable[[StepDefinition], Step]) -> None:
    """The steps at the end; one that fails keeps no other from being done, and changes nothing else."""
    for step in run.definition.finals:
        try:
            make(step).carry_out()
        except Exception as error:  # noqa: BLE001 - whatever a task raises
            run.remember(step.id, error)
            run.ledger.note("step.error", step=step.id, detail=run.named(error))
            run.tell("step.error", step.id, message=run.named(error))
