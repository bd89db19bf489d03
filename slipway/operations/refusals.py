"""Whether a run can be moved as somebody wants it to be, and in words what can be done instead."""

from __future__ import annotations

from typing import Any

from slipway import errors
from slipway.flows.runs.holding import who_is_at
from slipway.model.run import RunRecord
from slipway.states.run_machine import TABLE, RunMove, RunState


def tried_again(run: RunRecord) -> tuple[RunMove, dict[str, Any]]:
    """The move by which a run is tried once more, and the columns that go with it. Raises `RunRefused`."""
    state = RunState(run.state)
    cleared = {"fault": None, "outcome": None, "waits_for": None, "waits_at": None, "answer": None}
    if state is RunState.PAUSED and run.fault is not None:
        return RunMove.GO_ON, cleared
    if TABLE.may(RunMove.RETRY, state):
        return RunMove.RETRY, {**cleared, "attempt": run.attempt + 1}
    advice = {RunState.PAUSED: ": it waits for an approval", RunState.STUCK: ": undo it first"}.get(state, "")
    raise errors.RunRefused(f"run {run.id} is {run.state}, and only what failed is tried again{advice}")


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
