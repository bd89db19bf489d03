"""The table of an instance's states as a picture."""

from __future__ import annotations

from collections.abc import Iterable

from slipway.looks.drawing import Drawing, Edge, Node
from slipway.states.machines import INITIAL, TRANSITIONS


def draw_states() -> Drawing:
    """Every state of an instance, and what moves it from each to which."""
    moves = [(str(s), str(t.target), t.event.value) for t in TRANSITIONS for s in t.sources]
    return drawing_of_moves("states of an instance", moves, initial=str(INITIAL))


def drawing_of_moves(title: str, moves: Iterable[tuple[str, str, str]], *, initial: str) -> Drawing:
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
