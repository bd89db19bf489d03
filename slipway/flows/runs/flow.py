"""The steps of a run as a flow of TaskFlow's, for the engine."""

from __future__ import annotations

from concurrent.futures import Executor
from functools import cache
from itertools import pairwise

from taskflow import task as taskflow_task

from slipway.flows.engine.flow import Flow
from slipway.flows.runs.run_step import RunStep
from slipway.flows.runs.workflow_run import WorkflowRun


class StepTask(taskflow_task.Task):  # type: ignore[misc]
    """One step. Its results go from step to step by way of the execution, and the ledger takes back what it did when
    all branches have ended: so nothing is left to be reverted here."""

    TASK_EVENTS = ()

    step: RunStep

    def execute(self) -> None:
        """Carry the step out."""
        self.step.carry_out()

    def of(self, step: RunStep, name: str) -> StepTask:
        """The same for a step: TaskFlow looks at a task's methods when it is made, which takes longer than a step."""
        made: StepTask = self.copy()
        made.name, made.step = name, step
        return made


@cache
def _model() -> StepTask:
    return StepTask("step", auto_extract=False)


def flow_of(execution: WorkflowRun, executor: Executor | None) -> Flow:
    """The steps, linked as they need each other; without an executor one after the other, in the file's order."""
    definition = execution.definition
    model = _model()
    tasks = {step.id: model.of(RunStep(execution, step, executor=executor), step.id) for step in definition.steps}
    flow = Flow(definition.name).add(*tasks.values())
    if executor is None:
        links = list(pairwise(tasks))
    else:
        links = [(need, step.id) for step in definition.steps for need in step.needs]
    for first, second in links:
        flow.link(tasks[first], tasks[second])
    return flow
