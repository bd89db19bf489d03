"""Why a run cannot be moved as somebody wants it to be, in words that say what can be done instead."""

from __future__ import annotations

from slipway import errors
from slipway.flows.runs.holding import who_is_at
from slipway.model.run import RunRecord
from slipway.states.run_machine import RunState


def check_own(run: RunRecord) -> None:
    """Raise `RunRefused` for the run of an instance, which the instance's own verbs move."""
    if run.instance_id is None:
        return
    advice = "`slipway delete` undoes it" if run.name == "build" else "its own verbs undo it"
    text = (
        f"run {run.id} is the {run.name} of instance {run.instance}: {advice}, and resume goes on with what is not done"
    )
    raise errors.RunRefused(text)


def why(run: RunRecord) -> str:
    """What a run waits for, or who is at it."""
    return run.waits_for or who_is_at(run)


def instead(run: RunRecord) -> str:
    """What a run waits for that waits for nobody's word, as the end of a sentence."""
    if RunState(run.state).at_work:
        return ": resume goes on with it, where nobody is at it"
    if run.state != RunState.PAUSED:
        return ""
    return f": it goes on at {run.wake_at:%Y-%m-%d %H:%M:%S} UTC" if run.wake_at else ": a step failed, retry it"
