"""What a worker holds: the row of an instance or of a run, fenced by a generation that each taking over raises."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from slipway.errors import StaleWorker
from slipway.states.schema import instances, runs
from slipway.states.store import Transaction

_TABLES = {"instance": instances, "run": runs}
_HOLD = {
    what: table.update()
    .where(table.c.id == sa.bindparam("b_id"), table.c.generation == sa.bindparam("b_generation"))
    .values(worker=sa.bindparam("b_worker", type_=sa.String), generation=sa.bindparam("b_new"))
    for what, table in _TABLES.items()
}


def lock(tx: Transaction, what: str, row_id: str) -> None:
    """Keep others from moving an `instance` or a `run` until the transaction ends: what is read after this holds."""
    table = _TABLES[what]
    tx.execute(sa.select(table.c.id).where(table.c.id == row_id).with_for_update())


def take_over(tx: Transaction, what: str, row_id: str, generation: int, *, worker: str) -> int | None:
    """Become the worker of an `instance` or a `run`. Gives the new generation, which makes every write of the old one
    refused; None where somebody else was quicker, as where the database lets two look at once."""
    return generation + 1 if hold(tx, what, row_id, generation, worker, new=generation + 1) else None


def hold(
    tx: Transaction, what: str, row_id: str, generation: int, worker: str | None, *, new: int | None = None
) -> bool:
    """Write the worker's lease anew, or (None) let anybody go on at once; whether that worker has it still."""
    values: dict[str, Any] = {"b_worker": worker, "b_new": generation if new is None else new}
    return tx.execute(_HOLD[what], {"b_id": row_id, "b_generation": generation, **values}).rowcount == 1


def check_generation(row: Any, what: str, row_id: str, generation: int) -> None:
    """Raise `StaleWorker` where the row is another worker's by now."""
    if row.generation != generation:
        text = f"another worker took it over (generation {row.generation}, ours is {generation})"
        raise StaleWorker(f"{what} {row_id}: {text}")
