"""A run as the owner of a ledger."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any, TypeAlias

from msgspec import Struct

from slipway.model.run import RunRecord
from slipway.states import effects, runs
from slipway.states.held import hold
from slipway.states.ledger import Ledger
from slipway.states.run_machine import TABLE, RunMove, RunState
from slipway.states.schema import runs as rows
from slipway.states.store import Transaction

RunLedger: TypeAlias = Ledger[RunState, RunMove]
"""The ledger of one run."""


@cache
def _guarded() -> effects.Guarded:
    return effects.guarded(rows, rows.c.state == RunState.RUNNING.value)


class RunOwner(Struct, frozen=True):
    """The run as its worker read or took it."""

    run: RunRecord

    @property
    def id(self) -> str:
        """The run's."""
        return self.run.id

    @property
    def names(self) -> tuple[str | None, str | None]:
        """Its effects are of no instance."""
        return None, self.run.id

    @property
    def generation(self) -> int:
        """The run's."""
        return self.run.generation

    @property
    def worker(self) -> str | None:
        """The text of its worker's lease."""
        return self.run.worker

    @property
    def attempt(self) -> int:
        """How often it was begun."""
        return self.run.attempt

    @property
    def state(self) -> RunState:
        """Where it stood then."""
        return RunState(self.run.state)

    @property
    def guarded(self) -> effects.Guarded:
        """What is to be done is written where it goes forward."""
        return _guarded()

    def fence(self, tx: Transaction, *, going_on: bool) -> None:
        """Raise `StaleWorker`, and if `going_on` `RunCancelled`."""
        runs.fence(tx, self.id, self.generation, going_on=going_on)

    def hold(self, tx: Transaction, lease: str) -> None:
        """Write the worker's lease anew. Raises `StaleWorker`."""
        if not hold(tx, "run", self.id, self.generation, lease):
            self.fence(tx, going_on=False)

    def now(self, tx: Transaction) -> RunState:
        """Where it stands by the record."""
        return RunState(runs.get(tx, self.id).state)

    def may(self, move: RunMove, state: RunState) -> bool:
        """Whether the table has it."""
        return TABLE.may(move, state)

    def advance(
        self,
        tx: Transaction,
        state: RunState,
        move: RunMove,
        at: datetime,
        *,
        detail: str,
        values: dict[str, Any] | None,
    ) -> RunState:
        """See `runs.advance`."""
        return runs.advance(tx, self.id, self.generation, state, move, at, detail=detail, values=values)

    def decide(self, tx: Transaction, outcome: str, **_values: Any) -> None:
        """Record what is to become of it once all is undone."""
        runs.decide(tx, self.id, outcome)
