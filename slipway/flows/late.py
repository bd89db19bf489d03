"""What a worker that was replaced had under way, and takes back where nobody else would."""

from __future__ import annotations

import logging

from slipway.flows.outcome import Outcome
from slipway.flows.run import Run
from slipway.flows.runs.undoing import inverse_of
from slipway.flows.tasks.catalog import BY_KIND
from slipway.model.record import Effect, EffectState, Instance, Scope
from slipway.states import effects, instances, runs
from slipway.states.machines import State, VmState
from slipway.states.store import Transaction

log = logging.getLogger(__name__)
_STANDING = (EffectState.INTENDED, EffectState.DONE)


def take_back(run: Run, step: str) -> None:
    """Undo what a step was having when this worker was replaced, if by the record it is on its way out or gone.

    What a change did in passing is off the record once that is over: it is undone where the change has come to nothing,
    and in any case where it holds up a guest that is to run.

    Whoever replaced this worker may have undone it before it was there. Nothing else is touched; never raises.
    """
    for effect in run.let_go(step):
        try:
            if _is_let_go(run, effect) and (found := inverse_of(run, effect, run.tools.sleep)):
                found[1](effect, None)
        except Exception:
            log.exception("%s came late and could not be taken back", effect.key)


def _is_let_go(run: Run, effect: Effect) -> bool:
    """Whether an effect is undone by the record, or is to be whenever somebody comes to it."""
    with run.tools.store.read() as tx:
        instance = instances.get(tx, effect.instance_id)
        outcome = instances.outcome_of(tx, effect.instance_id)
        state = next((one.state for one in effects.effects_of(tx, effect.owner_id) if one.key == effect.key), None)
        if state is None:
            return _came_to_nothing(effect, instance, tx)
    if state in (EffectState.UNDONE, EffectState.STUCK):
        return state is EffectState.UNDONE
    if outcome == Outcome.RESCHEDULE:
        return effect.scope is Scope.HOST
    if outcome == Outcome.RETIRE:
        return False
    return outcome is not None or State(instance.vm_state, instance.task_state).deleting


def _came_to_nothing(effect: Effect, instance: Instance, tx: Transaction) -> bool:
    """Whether what a change was doing in passing is to be taken back, now that nothing of it is on record."""
    state = State(instance.vm_state, instance.task_state)
    if _holds_up(effect):
        # What another change holds up meanwhile it lets run on by itself, and would not have it run before.
        held = any(_holds_up(one) and one.state in _STANDING for one in effects.effects_of(tx, instance.id))
        return state.vm_state == VmState.ACTIVE and (state.at_rest or state.changing) and not held
    return state.at_rest and instance.run_id == effect.run_id and runs.get(tx, effect.run_id or "").fault is not None


def _holds_up(effect: Effect) -> bool:
    """Whether it keeps a guest from running."""
    task = BY_KIND.get(effect.kind)
    return task is not None and task.holds_up
