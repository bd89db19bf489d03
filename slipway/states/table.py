"""A table of transitions: in which states a move may come, and where it leads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from msgspec import Struct

from slipway.errors import UnexpectedState

if TYPE_CHECKING:
    from transitions import Machine

S = TypeVar("S")
M = TypeVar("M")


class Transition(Struct, Generic[S, M], frozen=True):
    """One row: in which states a move may come, where it leads, and why."""

    event: M
    sources: tuple[S, ...]
    target: S
    why: str


class Table(Generic[S, M]):
    """The rows as a machine of `transitions`, which says where each move leads. States and moves are told by `str`."""

    def __init__(self, rows: Sequence[Transition[S, M]], initial: S) -> None:
        """Nothing is made before it is asked."""
        self.rows = rows
        self._initial = initial
        self._targets: dict[tuple[M, S], S] = {}

    @cached_property
    def states(self) -> Mapping[str, S]:
        """Every state that the table has, by its text."""
        return {str(state): state for row in self.rows for state in (*row.sources, row.target)}

    @cached_property
    def _machine(self) -> Machine:
        from transitions import Machine

        rows: list[Any] = [[str(row.event), [str(s) for s in row.sources], str(row.target)] for row in self.rows]
        initial = str(self._initial)
        return Machine(
            model=None, states=sorted(self.states), transitions=rows, initial=initial, auto_transitions=False
        )

    def target(self, event: M, source: S) -> S:
        """Where `event` leads from `source`. Raises `UnexpectedState` when it may not come there."""
        known = self._targets.get((event, source))
        if known is None:
            found = self._machine.events[str(event)].transitions.get(str(source))
            if not found:
                allowed = ", ".join(str(s) for row in self.rows if row.event == event for s in row.sources)
                raise UnexpectedState(f"'{event}' may not come in {source}, only in {allowed}")
            known = self._targets[event, source] = self.states[str(found[0].dest)]
        return known

    def may(self, event: M, source: S) -> bool:
        """Whether `event` may come in `source`."""
        return any(row.event == event and source in row.sources for row in self.rows)
