"""A workflow's definition made into a flow: a task for each step, linked as the steps need each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise

from slipway.flows.definition import Definition
from slipway.flows.effect_task import Seat, model
from slipway.flows.engine.flow import Flow
from slipway.flows.tasks.base import Task


def compile_flow(definition: Definition, catalog: Mapping[str, Task], seat: Seat, *, timeout: float) -> Flow:
    """The flow of the definition's steps.

    Where the seat is not `branching` they stand one after the other, in the order of the file: one is done at a time
    anyhow, and so it is always the same order, forward and back.
    """
    seconds = definition.timeout or timeout
    tasks = {step.id: model().of(step, catalog[step.uses], seconds, seat) for step in definition.steps}
    flow = Flow(definition.name).add(*tasks.values())
    for first, second in _branches(definition) if seat.branching else pairwise(tasks):
        flow.link(tasks[first], tasks[second])
    return flow


def _branches(definition: Definition) -> Iterable[tuple[str, str]]:
    return ((need, step.id) for step in definition.steps for need in step.needs)
