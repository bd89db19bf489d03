"""The table of states: every state is reached, none is a dead end, and each -ING state has all its exits."""

from __future__ import annotations

import pytest

from slipway.errors import UnexpectedState
from slipway.states import machines
from slipway.states.machines import DELETED, INITIAL, TRANSITIONS, Move, State, TaskState, VmState
from slipway.states.table import Transition

STATES = {INITIAL} | {state for row in TRANSITIONS for state in (*row.sources, row.target)}
BUSY = sorted((state for state in STATES if not state.at_rest), key=str)


def leads_to(source: State) -> dict[Move, State]:
    return {row.event: row.target for row in TRANSITIONS if source in row.sources}


def test_every_state_is_reached_from_the_first() -> None:
    reached, new = {INITIAL}, {INITIAL}
    while new:
        new = {target for state in new for target in leads_to(state).values()} - reached
        reached |= new
    assert reached == STATES


def test_every_named_state_is_in_the_table() -> None:
    assert {state.vm_state for state in STATES} == set(VmState)
    assert {state.task_state for state in STATES} - {None} == set(TaskState)


def test_only_deleted_is_an_end() -> None:
    assert {state for state in STATES if not leads_to(state)} == {DELETED}


@pytest.mark.parametrize("state", BUSY, ids=str)
def test_a_busy_state_has_exits_for_success_failure_delete_and_recovery(state: State) -> None:
    """A crash is recovered from by the same events: the one that goes on, or the one that goes back."""
    exits = leads_to(state)
    assert Move.DELETE in exits, "delete wins from every state"
    if state.deleting:
        assert {Move.DELETED, Move.DELETE_FAILED} <= set(exits)
    elif state.powering:
        assert set(exits) == {Move.DELETE, Move.RUNS, Move.HALTED, Move.SUSPENDED}, (
            "success and failure lead to what is seen"
        )
        seen = [exits[move] for move in (Move.RUNS, Move.SUSPENDED, Move.HALTED)]
        assert seen == [machines.ACTIVE, machines.PAUSED, machines.STOPPED]
    elif state == machines.REVERTING:
        assert {Move.REVERTED, Move.RESCHEDULE} <= set(exits)
    elif state in machines.UNCHANGING.values():
        assert set(exits) == {Move.CHANGED, Move.DELETE}, "what fails is stuck, and on record"
    elif state.unwinding:
        assert set(exits) == {Move.REVERTED, Move.DELETE}, "what fails is stuck again"
    else:
        onward = set(exits) - {Move.FAIL, Move.DELETE}
        assert len(onward) == 1, "one way on"
        assert Move.FAIL in exits


@pytest.mark.parametrize("row", TRANSITIONS, ids=lambda row: row.event)
def test_the_machine_is_the_table(row: Transition[State, Move]) -> None:
    assert row.why
    for source in row.sources:
        assert machines.TABLE.target(row.event, source) == row.target
        assert machines.TABLE.may(row.event, source)
    for other in STATES - {s for r in TRANSITIONS if r.event is row.event for s in r.sources}:
        assert not machines.TABLE.may(row.event, other)
        with pytest.raises(UnexpectedState, match=str(other)):
            machines.TABLE.target(row.event, other)


def test_phases_follow_each_other_as_in_nova() -> None:
    state = INITIAL
    for event in (Move.CLAIM, Move.NETWORK, Move.MAP_DISKS, Move.SPAWN, Move.FINISH):
        assert state.building
        state = machines.TABLE.target(event, state)
    assert str(state) == "ACTIVE/-"


def test_stop_start_and_reboot_as_in_nova() -> None:
    state = machines.ACTIVE
    for event, word in (
        (Move.STOP, "ACTIVE/POWERING_OFF"),
        (Move.HALTED, "STOPPED/-"),
        (Move.START, "STOPPED/POWERING_ON"),
        (Move.RUNS, "ACTIVE/-"),
        (Move.REBOOT, "ACTIVE/REBOOTING"),
        (Move.RUNS, "ACTIVE/-"),
        (Move.PAUSE, "ACTIVE/PAUSING"),
        (Move.SUSPENDED, "PAUSED/-"),
        (Move.UNPAUSE, "PAUSED/UNPAUSING"),
        (Move.RUNS, "ACTIVE/-"),
    ):
        state = machines.TABLE.target(event, state)
        assert str(state) == word


@pytest.mark.parametrize(("event", "goal"), machines.GOALS.items())
def test_what_was_asked_for_is_not_begun_where_it_is_so_already(event: Move, goal: State) -> None:
    assert goal.at_rest
    assert not machines.TABLE.may(event, goal)
