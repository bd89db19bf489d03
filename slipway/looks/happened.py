"""What became of each step of a workflow, as the record has it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from slipway.flows.definition import Definition
from slipway.looks.drawing import Status
from slipway.model.record import Effect, EffectState
from slipway.model.run import FAILED_STEP, NOTES


def statuses_of(
    definition: Definition, effects: Sequence[Effect], *, failed: str | None, busy: bool, done: bool
) -> Mapping[str, Status]:
    """What became of each step of which that can be said.

    `failed`: the step that the fault on record is of; `busy`: somebody is at it, or somebody is to go on; `done`: all
    of it was done. A step without effects leaves nothing on record where it can be repeated: it was done where a step
    was begun that needs it. A `for_each` or an `if` of that kind had no items, had to do nothing here, or was false.
    """
    found: dict[str, Status] = {}
    last = {effect.step: effect.attempt for effect in sorted(effects, key=lambda effect: effect.attempt)}
    states: dict[str, set[EffectState]] = {}
    for effect in effects:
        if effect.attempt == last[effect.step] and effect.kind not in NOTES:
            states.setdefault(effect.step, set()).add(effect.state)
    begun = _before(definition, {*states, failed})
    for step in (*definition.steps, *definition.finals):
        if step.id in states:
            found[step.id] = _status(states[step.id], busy=busy)
        elif done or step.id in begun:
            always = step.for_each is None and step.condition is True
            found[step.id] = Status.DONE if always else Status.SKIPPED
    passed_over = {e.step: e.state for e in effects if e.kind == FAILED_STEP}
    for step_id, state in passed_over.items():
        if state is EffectState.DONE or step_id not in states:
            found[step_id] = Status.FAILED
    if failed is not None and found.get(failed) is not Status.STUCK:
        found[failed] = Status.FAILED
    return found


def _status(states: set[EffectState], *, busy: bool) -> Status:
    if EffectState.STUCK in states:
        return Status.STUCK
    if EffectState.INTENDED in states:
        return Status.GOING_ON if busy else Status.FAILED
    return Status.UNDONE if EffectState.UNDONE in states else Status.DONE


def _before(definition: Definition, begun: Collection[str | None]) -> set[str]:
    """The steps that had ended before one of those that were begun."""
    before: set[str] = set()
    for step in reversed(definition.steps):
        if step.id in begun or step.id in before:
            before.update(step.needs)
    return before
