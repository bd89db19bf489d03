"""A workflow's definition made into a TaskFlow flow: one line of tasks, with at most one group of branches in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from taskflow.patterns import linear_flow, unordered_flow

from slipway.errors import SlipwayError
from slipway.flows.definition import Definition, StepDefinition
from slipway.flows.effect_task import EffectTask, Seat
from slipway.flows.tasks.base import Task


def compile_flow(definition: Definition, catalog: Mapping[str, Task], seat: Seat, *, timeout: float) -> Any:
    """The flow of the definition's steps, in the order in which they need each other.

    Where the seat is not `branching` the branches stand one after the other, in the order of the file, which a serial
    engine would do as well but in any order.
    TaskFlow is safe with what this makes, and with little else: linear flows, and one unordered group of them.
    Raises `SlipwayError` where the steps' needs are of another shape.
    """
    seconds = definition.timeout or timeout
    tasks = {step.id: EffectTask(step, catalog[step.uses], seconds, seat) for step in definition.steps}
    before, branches, after = shape(definition.steps)
    flow = linear_flow.Flow(definition.name)
    if not seat.branching:
        before, branches = [*before, *(step for branch in branches for step in branch)], []
    flow.add(*(tasks[step] for step in before))
    if branches:
        group = unordered_flow.Flow(f"{definition.name}:branches")
        for branch in branches:
            group.add(linear_flow.Flow(f"{definition.name}:{branch[0]}").add(*(tasks[step] for step in branch)))
        flow.add(group)
    flow.add(*(tasks[step] for step in after))
    return flow


def shape(steps: Sequence[StepDefinition]) -> tuple[list[str], list[list[str]], list[str]]:
    """The steps before the branches, the branches, and the steps after they have met, by id."""
    needed_by: dict[str, list[str]] = {step.id: [] for step in steps}
    for step in steps:
        for need in step.needs:
            needed_by[need].append(step.id)
    needs = {step.id: list(step.needs) for step in steps}
    firsts = [step.id for step in steps if not step.needs]
    before = _line(firsts[0], needs, needed_by) if len(firsts) == 1 else []
    starts = needed_by[before[-1]] if before else firsts
    branches = [_line(start, needs, needed_by) for start in starts] if len(starts) > 1 else []
    meeting = {follower for branch in branches for follower in needed_by[branch[-1]]}
    after = _line(meeting.pop(), needs, needed_by) if len(meeting) == 1 else []
    placed = [*before, *(step for branch in branches for step in branch), *after]
    if meeting or sorted(placed) != sorted(needs):
        loose = ", ".join(sorted(set(needs) - set(placed))) or ", ".join(sorted(meeting))
        raise SlipwayError(f"a workflow may branch once and meet once; this one does not at: {loose}")
    return before, branches, after


def _line(start: str, needs: Mapping[str, list[str]], needed_by: Mapping[str, list[str]]) -> list[str]:
    """`start` and what follows it, up to where the line parts or meets another one."""
    line = [start]
    while len(followers := needed_by[line[-1]]) == 1 and len(needs[followers[0]]) == 1:
        line.append(followers[0])
    return line
