"""An instance as the owner of a ledger."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any, TypeAlias

from msgspec import Struct

from slipway.model.record import Instance
from slipway.states import effects, instances, machines
from slipway.states.held import hold
from slipway.states.ledger import Ledger
from slipway.states.machines import Move, State
from slipway.states.schema import instances as rows
from slipway.states.store import Transaction

BuildLedger: TypeAlias = Ledger[State, Move]
"""The ledger of one instance."""


@cache
def _guarded() -> effects.Guarded:
    return effects.guarded(rows, rows.c.task_state.is_distinct_from(machines.TaskState.DELETING.value))


class InstanceOwner(Struct, frozen=True):
    """The instance as its worker read or took it."""

    instance: Instance
    rested: list[Instance] = []
    """How it was when it came to rest in its worker's hands, if it did."""

    @property
    def id(self) -> str:
        """The instance's."""
        return self.instance.id

    @property
    def names(self) -> tuple[str | None, str | None]:
        """Its own, and that of the run that is under way."""
        return self.instance.id, self.instance.run_id

    @property
    def generation(self) -> int:
        """The instance's."""
        return self.instance.generation

    @property
    def worker(self) -> str | None:
        """The text of its worker's lease."""
        return self.instance.worker

    @property
    def attempt(self) -> int:
        """The attempt, each on another host."""
        return self.instance.attempt

    @property
    def state(self) -> State:
        """Where it stood then."""
        return State(self.instance.vm_state, self.instance.task_state)

    @property
    def guarded(self) -> effects.Guarded:
        """What is to be done is written where it is not being deleted."""
        return _guarded()

    def fence(self, tx: Transaction, *, going_on: bool) -> None:
        """Raise `StaleWorker`, and if `going_on` `InstanceDeleting`."""
        instances.fence(tx, self.id, self.generation, going_on=going_on)

    def hold(self, tx: Transaction, lease: str) -> None:
        """Write the worker's lease anew. Raises `StaleWorker`."""
        if not hold(tx, "instance", self.id, self.generation, lease):
            self.fence(tx, going_on=False)

    def now(self, tx: Transaction) -> State:
        """Where it stands by the record."""
        row = instances.get(tx, self.id)
        return State(row.vm_state, row.task_state)

    def may(self, move: Move, state: State) -> bool:
        """Whether the table has it."""
        return machines.TABLE.may(move, state)

    def advance(
        self, tx: Transaction, state: State, move: Move, at: datetime, *, detail: str, values: dict[str, Any] | None
    ) -> State:
        """See `instances.advance`."""
        return instances.advance(
            tx, self.id, self.generation, state, move, at, detail=detail, values=values, rested=self.rested.append
        )

    def decide(self, tx: Transaction, outcome: str, **values: Any) -> None:
        """Record what is to become of the attempt under way."""
        instances.decide(tx, self.id, outcome, **values)
