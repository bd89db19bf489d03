"""The events of a record held against what else is on it, by SQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from slipway.states import machines, run_machine
from slipway.states.table import Table
from tests import record

_KINDS: dict[str, tuple[Table[Any, Any], str]] = {
    "instance": (machines.TABLE, str(machines.INITIAL)),
    "run": (run_machine.TABLE, str(run_machine.INITIAL)),
}
_NOW = {
    "instance": "SELECT id, vm_state || '/' || COALESCE(task_state, '-') FROM instances",
    "run": "SELECT id, state FROM runs WHERE instance_id IS NULL",
}
_OF_INSTANCES = (
    "SELECT r.id, r.state, r.ended_at IS NULL, i.run_id = r.id AND i.task_state IS NOT NULL "
    "FROM runs r JOIN instances i ON i.id = r.instance_id"
)
"""Each run of an instance, whether it is under way, and whether its instance says so."""

_ENDED_CHANGES = (
    "SELECT id FROM runs WHERE instance_id IS NOT NULL AND ended_at IS NOT NULL "
    "AND name NOT IN ('build', 'stop', 'start', 'reboot', 'pause', 'unpause', 'repair', 'delete')"
)


def wrong_with(database: Path) -> list[str]:
    """What of the record has no event, which events nothing on record bears out, and which runs stand otherwise than
    their instances."""
    found: list[str] = []
    with closing(record.opened(database)) as db:
        last: dict[tuple[object, ...], str] = {}
        moves: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for type_, state, *effect in db.execute(
            "SELECT type, state, instance_id, run_id, step, slot, host FROM events ORDER BY seq"
        ):
            kind, _, what = type_.partition(".")
            if kind in _KINDS:
                moves.setdefault((kind, effect[0] or effect[1]), []).append((what, state))
            elif what not in ("error", "retry"):
                last[tuple(effect)] = what
        ledger = {
            tuple(effect): state
            for state, *effect in db.execute(
                "SELECT state, instance_id, run_id, step, slot, host FROM effects "
                "WHERE kind NOT IN ('failed-step', 'step-items') ORDER BY seq"
            )
        }
        # What a change of an instance did in passing is taken off the ledger at its end.
        changes = {run for (run,) in db.execute(_ENDED_CHANGES)}
        last = {effect: what for effect, what in last.items() if effect in ledger or effect[1] not in changes}
        # What one has had anew on a host where an earlier run had it is the later one's.
        anew = {(effect[0], *effect[2:]) for effect in ledger if effect[1] in changes}
        last = {
            effect: what for effect, what in last.items() if effect in ledger or (effect[0], *effect[2:]) not in anew
        }
        if last != ledger:
            found.append(
                f"the ledger and its events differ: {sorted(set(ledger.items()) ^ set(last.items()), key=str)}"
            )
        for kind, query in _NOW.items():
            for owner, now in db.execute(query):
                found += _no_path(*_KINDS[kind], moves.pop((kind, owner), []), now)
        found += [f"moves of nobody: {moves}"] if moves else []
        return found + list(wrong_runs(db))


def wrong_runs(db: sqlite3.Connection) -> Iterator[str]:
    """Which runs of instances stand otherwise than their instances."""
    for run, state, under_way, at_work in db.execute(_OF_INSTANCES):
        if bool(under_way) != bool(at_work):
            yield f"run {run} is {state}, and its instance is {'not ' * bool(at_work)}at rest"


def _no_path(table: Table[Any, Any], initial: str, moves: list[tuple[str, str]], now: str) -> Iterator[str]:
    known = {str(row.event): row.event for row in table.rows}
    state = initial
    for number, (move, to) in enumerate(moves):
        led = initial if not number else str(table.target(known[move], table.states[state]))
        if led != to or (move == "create") != (number == 0):
            yield f"move {number}, {move}, leads from {state} to {led}, its event says {to}"
        state = to
    if not moves or state != now:
        yield f"the last move leads to {state}, on record is {now}"
