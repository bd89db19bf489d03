"""The one TaskFlow task: it carries out a step by way of the ledger, and takes it back by way of the ledger."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

from taskflow import task as taskflow_task

from slipway import errors
from slipway.drivers.deadline import within
from slipway.flows import values
from slipway.flows.definition import StepDefinition
from slipway.flows.retries import waits_of, with_retries
from slipway.flows.run import Run
from slipway.flows.runs.execution import SKIPPED
from slipway.flows.runs.inverse import Item
from slipway.flows.runs.undoing import undo
from slipway.flows.tasks.base import Task
from slipway.model.record import Effect, Scope
from slipway.states import codec
from slipway.states.intent import Durability, Intent


class Seat:
    """The place in a flow that the runs of builds take, one after the other, so that one flow serves many.

    `branching`: the flow's branches run side by side.
    """

    run: Run

    def __init__(self, *, branching: bool) -> None:
        self.branching = branching


class EffectTask(taskflow_task.Task):  # type: ignore[misc]
    """One step of a workflow: each item of a `for_each` is an effect of its own.

    Results go from step to step by way of the run. TaskFlow's own way (`provides`, `requires`) looks each of them up
    in every scope and costs a sixth of a flow; the order that it would find follows from the steps' needs already.
    """

    TASK_EVENTS = ()
    """Its progress is in the ledger."""

    step: StepDefinition
    task: Task
    timeout: float
    seat: Seat

    def of(self, step: StepDefinition, task: Task, timeout: float, seat: Seat) -> EffectTask:
        """The same for a step: TaskFlow looks at a task's methods when it is made, which takes longer than a step.

        `timeout`: seconds for each effect, where the step does not say.
        """
        made: EffectTask = self.copy()
        made.name, made.step, made.task, made.seat = step.id, step, task, seat
        made.timeout = step.timeout or timeout
        return made

    def execute(self) -> None:
        """Do what is not done yet, and keep the results. An error is on record before it leaves."""
        run = self.seat.run
        run.check_going_on()
        try:
            self._all(run)
        except (errors.StaleWorker, errors.StoreError) as error:
            raise self._stopped(run, error) from error
        except Exception as error:
            try:
                run.failed(self.step.id, error, of_host=self.task.tells_of_host)
            except (errors.StaleWorker, errors.StoreError, errors.UnexpectedState) as second:
                raise self._stopped(run, second) from error
            for key in [key for key, effect in run.under_way.items() if effect.step == self.step.id]:
                del run.under_way[key]
            raise

    def _stopped(self, run: Run, error: Exception) -> errors.BuildInterrupted:
        """Why this worker goes no further; as one that was replaced it leaves nothing behind that nobody expects."""
        if isinstance(error, errors.StaleWorker):
            run.take_back(self.step.id)
        return errors.BuildInterrupted(str(error))

    def revert(self, **_given: Any) -> None:
        """Undo what the step did, newest first; never raises, also where the step never ran.

        Not while another branch may be at work: what is left here is undone when all have ended.
        """
        if self.seat.branching:
            return
        for effect in self.seat.run.ledger.effects(self.step.id):
            undo(self.seat.run, effect)

    def _all(self, run: Run) -> None:
        """Keep what it gives; None where its `if` does not hold."""
        step = self.step
        if step.condition is not True and not values.holds(step.condition, run.scope(), step.position):
            run.ended(step.id, SKIPPED)
            return
        if step.for_each is None:
            run.ended(step.id, values.SUCCEEDED, self._once(run, *run.slots(self.task.kind, 1)))
            return
        items = values.items_of(step.for_each, run.scope(), step.position)
        if not items and self.task.enters is not None:
            run.ledger.enter(self.task.enters)
        slots = run.slots(self.task.kind, len(items))
        given = tuple(self._once(run, slot, *reversed(one)) for slot, one in zip(slots, items, strict=True))
        run.ended(step.id, values.SUCCEEDED, given)

    def _once(self, run: Run, slot: int, item: Any = None, index: int | str | None = None) -> Any:
        task = self.task
        given = values.resolve_all(self.step.arguments, run.scope(item, index), self.step.position)
        if not task.in_build_only:
            given = task.accept(given)
        host = run.host
        effect_host = host.name if host else None

        seconds = task.timeout(run.instance, self.timeout)
        durability = task.durability(run.tools, host)
        monotonic = run.tools.monotonic

        def call(effect: Effect, tx: Any) -> Any:
            if durability is Durability.FOREIGN:
                run.under_way[effect.key] = effect
            began = monotonic()
            work = run.work(effect, seconds, tx)
            if durability is Durability.LOCAL:
                # Rows of our own: nothing in it waits for anybody else.
                result = task.do(work, **given)
            else:
                with within(seconds):
                    result = task.do(work, **given)
            if (took := monotonic() - began) > seconds:
                raise errors.StepTimeout(f"step {self.step.id} took {took:.1f} s, its deadline was {seconds:g} s")
            return result

        columns = partial(task.columns, run.tools, given)
        scope = task.scope_of(given)
        intent = Intent(
            step=self.step.id,
            slot=slot,
            kind=task.kind,
            scope=scope,
            host=effect_host if scope is Scope.HOST else None,
            args=codec.encode(Item(item, index)) if self.step.revert is not None else task.recorded(given),
            timeout=seconds,
            enters=task.enters,
            leads_to=task.leads_to,
        )
        run.tell("step.start", step=self.step.id, slot=slot)
        if run.ledger.attempt > 1:
            run.supersede(intent)
        retry = self.step.retry
        result = with_retries(
            lambda: run.ledger.perform(intent, durability, call, task.result_type, columns),
            retries=retry.max_attempts - 1 if retry else task.retries(run.tools.settings),
            sleep=run.rest,
            step=self.step.id,
            tell=partial(run.tries_again, self.step.id, slot),
            **(waits_of(retry, run.ledger.key(intent)) if retry else {}),
        )
        run.under_way.pop(run.ledger.key(intent), None)
        run.tell("step.end", step=self.step.id, slot=slot)
        return result


@cache
def model() -> EffectTask:
    """One that is of no step, for `of`."""
    return EffectTask("step", auto_extract=False)
