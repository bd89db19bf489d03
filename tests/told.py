"""The events of a record held against what else is on it, by SQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from slipway.states.machines import INITIAL, TABLE


def wrong_with(database: Path) -> list[str]:
    """What of the record has no event, and which events nothing on record bears out."""
    found: list[str] = []
    with closing(sqlite3.connect(database)) as db:
        last: dict[tuple[object, ...], str] = {}
        moves: dict[str, list[tuple[str, str]]] = {}
        for type_, instance, step, slot, attempt, host, state in db.execute(
            "SELECT type, instance_id, step, slot, attempt, host, state FROM events ORDER BY seq"
        ):
            kind, _, what = type_.partition(".")
            if kind == "instance":
                moves.setdefault(instance, []).append((what, state))
            elif what not in ("error", "retry"):
                last[instance, step, slot, attempt, host] = what
        ledger = {
            row[:5]: row[5]
            for row in db.execute("SELECT instance_id, step, slot, attempt, host, state FROM effects ORDER BY seq")
        }
        if last != ledger:
            found.append(f"the ledger has {sorted(set(ledger.items()) ^ set(last.items()), key=str)}")
        for instance, vm_state, task_state in db.execute("SELECT id, vm_state, task_state FROM instances"):
            found += _no_path(moves.pop(instance, []), f"{vm_state}/{task_state or '-'}")
        found += [f"moves of no instance: {moves}"] if moves else []
    return found


def _no_path(moves: list[tuple[str, str]], now: str) -> Iterator[str]:
    state = str(INITIAL)
    for number, (move, to) in enumerate(moves):
        led = str(INITIAL) if not number else str(TABLE.target(_MOVES[move], TABLE.states[state]))
        if led != to or (move == "create") != (number == 0):
            yield f"move {number}, {move}, leads from {state} to {led}, its event says {to}"
        state = to
    if not moves or state != now:
        yield f"the last move leads to {state}, on record is {now}"


_MOVES = {row.event.value: row.event for row in TABLE.rows}
