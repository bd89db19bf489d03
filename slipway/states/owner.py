"""Whose a ledger is: what it asks of the row that says who works on something, and where that stands."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol, TypeVar

from slipway.states import effects
from slipway.states.store import Transaction

S = TypeVar("S")
M_contra = TypeVar("M_contra", contravariant=True)


class Owner(Protocol[S, M_contra]):
    """Whose ledger it is: the row that says who works on it, and that goes from state (`S`) to state by moves (`M`)."""

    @property
    def id(self) -> str:
        """What the keys of its effects begin with."""

    @property
    def names(self) -> tuple[str | None, str | None]:
        """The ids of its instance and of its run, as its effects bear them."""

    @property
    def generation(self) -> int:
        """Which worker's it is: each that takes it over counts one more."""

    @property
    def worker(self) -> str | None:
        """The text of that worker's lease."""

    @property
    def attempt(self) -> int:
        """Which attempt is under way."""

    @property
    def state(self) -> S:
        """Where it stood when it was read."""

    @property
    def guarded(self) -> effects.Guarded:
        """The statements that write its effects."""

    def fence(self, tx: Transaction, *, going_on: bool) -> None:
        """Raise `StaleWorker` where it is another's and, if `going_on`, why nothing more is to be done."""

    def hold(self, tx: Transaction, lease: str) -> None:
        """Write the worker's lease anew. Raises `StaleWorker`."""

    def now(self, tx: Transaction) -> S:
        """Where it stands by the record."""

    def may(self, move: M_contra, state: S) -> bool:
        """Whether a move may come in a state."""

    def advance(
        self, tx: Transaction, state: S, move: M_contra, at: datetime, *, detail: str, values: dict[str, Any] | None
    ) -> S:
        """Move it, by compare-and-swap; gives where to."""

    def decide(self, tx: Transaction, outcome: str, **values: Any) -> None:
        """Record what is to become of it."""
