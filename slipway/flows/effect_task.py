"""The one TaskFlow task of a build: it carries out a step by way of the ledger, and takes it back by way of the
ledger."""

from __future__ import annotations

from concurrent.futures import Executor
from functools import cache
from typing import Any

from taskflow import task as taskflow_task

from slipway.flows.build_step import BuildStep
from slipway.flows.definition import StepDefinition
from slipway.flows.run import Run
from slipway.flows.runs.undoing import undo


class Seat:
    """The place in a flow that the runs of builds take, one after the other, so that one flow serves many.

    With an `executor` the flow's branches, and the items of steps that are `parallel`, run side by side in it.
    """

    run: Run

    def __init__(self, executor: Executor | None) -> None:
        self.executor = executor


class EffectTask(taskflow_task.Task):  # type: ignore[misc]
    """One step of a workflow: each item of a `for_each` is an effect of its own.

    Results go from step to step by way of the run. TaskFlow's own way (`provides`, `requires`) looks each of them up
    in every scope and costs a sixth of a flow; the order that it would find follows from the steps' needs already.
    """

    TASK_EVENTS = ()
    """Its progress is in the ledger."""

    step: StepDefinition
    seat: Seat

    def of(self, step: StepDefinition, seat: Seat) -> EffectTask:
        """The same for a step: TaskFlow looks at a task's methods when it is made, which takes longer than a step."""
        made: EffectTask = self.copy()
        made.name, made.step, made.seat = step.id, step, seat
        return made

    def execute(self) -> None:
        """Do what is not done yet, and keep the results. An error is on record before it leaves."""
        BuildStep(self.seat.run, self.step, executor=self.seat.executor).carry_out()

    def revert(self, **_given: Any) -> None:
        """Undo what the step did, newest first; never raises, also where the step never ran.

        Not while another branch may be at work: what is left here is undone when all have ended.
        """
        if self.seat.executor is not None:
            return
        for effect in self.seat.run.ledger.effects(self.step.id):
            undo(self.seat.run, effect)


@cache
def model() -> EffectTask:
    """One that is of no step, for `of`."""
    return EffectTask("step", auto_extract=False)
