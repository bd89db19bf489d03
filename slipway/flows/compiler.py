"""A workflow's definition made into a flow: a task for each step, linked as the steps need each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from slipway.flows.definition import Definition, StepDefinition
from slipway.flows.effect_task import Seat, model
from slipway.flows.engine.flow import Flow
from slipway.flows.tasks.base import Task
from slipway.states.machines import Move


def compile_flow(definition: Definition, catalog: Mapping[str, Task], seat: Seat) -> Flow:
    """The flow of the definition's steps.

    Where the seat is not `branching` they stand one after the other, in the order of the file: one is done at a time
    anyhow, and so it is always the same order, forward and back. What ends the build comes after all others.
    """
    steps = sorted(definition.steps, key=lambda step: catalog[step.uses].leads_to is Move.FINISH)
    tasks = {step.id: model().of(step, seat) for step in steps}
    flow = Flow(definition.name).add(*tasks.values())
    for first, second in pairwise(tasks) if seat.executor is None else _branches(steps):
        flow.link(tasks[first], tasks[second])
    return flow


def _branches(steps: Sequence[StepDefinition]) -> Iterable[tuple[str, str]]:
    last = steps[-1]
    for step in steps:
        # One that stands below the last in the file is done before that.
        before = {need: None for one in step.needs for need in (last.needs if one == last.id else (one,))}
        yield from ((need, step.id) for need in before)
    yield from ((step.id, steps[-1].id) for step in steps[:-1] if step.id not in steps[-1].needs)
