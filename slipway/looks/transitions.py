"""The tables of states as pictures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from slipway.looks.drawing import Drawing, Edge, Node
from slipway.states import machines, run_machine
from slipway.states.table import Transition

_TABLES: dict[str, tuple[Iterable[Transition[Any, Any]], object]] = {
    "instance": (machines.TRANSITIONS, machines.INITIAL),
    "run": (run_machine.TRANSITIONS, run_machine.INITIAL),
}


def draw_states(what: str = "instance") -> Drawing:
    """Every state of an "instance" or a "run", and what moves it from each to which."""
    rows, initial = _TABLES[what]
    moves = [(str(source), str(row.target), str(row.event)) for row in rows for source in row.sources]
    return _drawing(f"states of {'an' if what[0] in 'aeiou' else 'a'} {what}", moves, initial=str(initial))


def _drawing(title: str, moves: Iterable[tuple[str, str, str]], *, initial: str) -> Drawing:
    """A picture of moves (source, target, event); those between the same two states are one arrow."""
    labels: dict[tuple[str, str], list[str]] = {}
    for source, target, event in moves:
        labels.setdefault((source, target), []).append(event)
    names = dict.fromkeys([initial, *(name for pair in labels for name in pair)])
    nodes = tuple(Node(name, *_split(name)) for name in names)
    return Drawing(title, nodes, tuple(Edge(*pair, ", ".join(events)) for pair, events in labels.items()))


def _split(name: str) -> tuple[str, tuple[str, ...]]:
    state, _, task = name.partition("/")
    return state, (task,) if task.strip("-") else ()
