"""The states of a run and the one table of how they change."""

from __future__ import annotations

from enum import StrEnum

from slipway.states.table import Table, Transition


class RunState(StrEnum):
    """Where a run stands."""

    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    REVERTING = "REVERTING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    STUCK = "STUCK"

    @property
    def at_work(self) -> bool:
        """Whether somebody is to be at it: it goes forward or back."""
        return self in (RunState.RUNNING, RunState.REVERTING)

    @property
    def has_ended(self) -> bool:
        """Whether it goes on only where somebody asks for that anew."""
        return self not in (RunState.RUNNING, RunState.REVERTING, RunState.PAUSED)


class RunMove(StrEnum):
    """What moves a run from state to state."""

    SUCCEED = "succeed"
    PAUSE = "pause"
    GO_ON = "go_on"
    FAIL = "fail"
    CANCEL = "cancel"
    UNDO = "undo"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LEFT_OVER = "left_over"
    RESCHEDULE = "reschedule"
    SUPERSEDE = "supersede"
    RETRY = "retry"


_FORWARD = (RunState.RUNNING, RunState.PAUSED)
_BACK = (RunState.REVERTING,)

TRANSITIONS: tuple[Transition[RunState, RunMove], ...] = (
    Transition(RunMove.SUCCEED, (RunState.RUNNING,), RunState.SUCCEEDED, "the last step is done"),
    Transition(RunMove.PAUSE, (RunState.RUNNING,), RunState.PAUSED, "a person, a time or an event is awaited"),
    Transition(RunMove.GO_ON, (RunState.PAUSED,), RunState.RUNNING, "what was awaited has come"),
    Transition(RunMove.FAIL, _FORWARD, RunState.REVERTING, "a step failed, or was refused: all is undone"),
    Transition(RunMove.CANCEL, _FORWARD, RunState.REVERTING, "somebody wants it undone"),
    Transition(RunMove.UNDO, (RunState.SUCCEEDED,), RunState.REVERTING, "what it left standing is wanted no more"),
    Transition(RunMove.UNDO, (RunState.STUCK,), RunState.REVERTING, "what is stuck is tried again"),
    Transition(RunMove.FAILED, _BACK, RunState.FAILED, "all is undone after a failure"),
    Transition(RunMove.CANCELLED, _BACK, RunState.CANCELLED, "all is undone as was asked for"),
    Transition(RunMove.LEFT_OVER, _BACK, RunState.STUCK, "something could not be undone and stays on record"),
    Transition(RunMove.RESCHEDULE, _BACK, RunState.RUNNING, "a build's host failed, and its next alternate is tried"),
    Transition(
        RunMove.SUPERSEDE,
        (RunState.RUNNING, RunState.REVERTING),
        RunState.CANCELLED,
        "a delete of its instance has come, which takes back what it did",
    ),
    Transition(RunMove.RETRY, (RunState.FAILED, RunState.CANCELLED), RunState.RUNNING, "it is tried once more"),
)

INITIAL = RunState.RUNNING
TABLE = Table(TRANSITIONS, INITIAL)
