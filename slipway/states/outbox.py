"""The outbox: every move of an instance and of a run, and every step, in the order in which they came to be on record.

An event is in the very commit of what it tells of. Those of steps are written by triggers on the ledger's table, so
that no way to it can leave one out. Who reads goes on from the number of the last event that was read.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from slipway.model.record import Effect, RecordedEvent
from slipway.states.schema import deliveries, events, instances, runs
from slipway.states.statements import insert_if_absent
from slipway.states.store import Store, Transaction

_TELL = events.insert()
_FIRST = insert_if_absent(deliveries)
_NAMES = [column.name for column in events.c]
_AFTER = (
    sa.select(
        *(events.c[name] for name in _NAMES),
        sa.func.coalesce(instances.c.name, runs.c.name).label("name"),
        sa.func.coalesce(instances.c.project, runs.c.project).label("project"),
    )
    .select_from(
        events.outerjoin(instances, instances.c.id == events.c.instance_id).outerjoin(
            runs, runs.c.id == events.c.run_id
        )
    )
    .where(
        events.c.seq > sa.bindparam("after", type_=sa.BigInteger),
        events.c.seq <= sa.bindparam("up_to", type_=sa.BigInteger),
    )
    .order_by(events.c.seq)
)


_MOST = 2**63 - 1
"""The largest number that a database has."""


def tell(tx: Transaction, type_: str, at: datetime, **columns: Any) -> None:
    """Have an event on record with what is committed beside it; `columns` are those of the table."""
    tx.execute(_TELL, {"type": type_, "at": at, **columns})


def after(
    store: Store, cursor: int, *, limit: int | None = None, instance_id: str | None = None, run_id: str | None = None
) -> Sequence[RecordedEvent]:
    """The events, at most `limit`, beyond that number, oldest first: all, an instance's, or a run's. None comes later
    whose number is lower than that of one that was given.

    It is no transaction of the caller's, which might see a moment that has passed. Raises a `StoreError`.
    """
    up_to = store.settled(events.name)
    if up_to is not None and up_to <= cursor:
        return ()
    query = _AFTER.limit(limit)
    if instance_id is not None:
        query = query.where(events.c.instance_id == instance_id)
    if run_id is not None:
        query = query.where(events.c.run_id == run_id)
    known = {"after": min(cursor, _MOST), "up_to": _MOST if up_to is None else up_to}
    with store.read() as tx:
        return [RecordedEvent(**row._mapping) for row in tx.execute(query, known)]


def begun(tx: Transaction, effect: Effect) -> int:
    """The number of the event that says that an effect was first begun, since it was undone if it ever was: times of
    day may be set back, and the order of events says what came after it. Whoever goes on with it has it begun again.

    Of an effect that is not on record, the last event up to its time.
    """
    known = {"run_id": effect.run_id, "step": effect.step, "slot": effect.slot, "attempt": effect.attempt}
    of = [events.c[name] == value for name, value in known.items()]
    first, last = sa.select(sa.func.min(events.c.seq)), sa.select(sa.func.max(events.c.seq))
    undone = tx.scalar(last.where(*of, events.c.type == "step.undone")) or 0
    found: int | None = tx.scalar(first.where(*of, events.c.type == "step.intended", events.c.seq > undone))
    return found or tx.scalar(last.where(events.c.at <= effect.started_at)) or 0


def delivered(tx: Transaction, receiver: str) -> int:
    """The number of the last event that a receiver has taken; 0 where it has taken none."""
    return int(tx.scalar(sa.select(deliveries.c.seq).where(deliveries.c.receiver == receiver)) or 0)


def deliver(tx: Transaction, receiver: str, seq: int, at: datetime) -> None:
    """Have it on record that a receiver has taken all events up to this one."""
    row = {"receiver": receiver, "seq": seq, "at": at}
    if tx.execute(_FIRST, row).rowcount != 1:
        tx.execute(deliveries.update().where(deliveries.c.receiver == receiver), row)


def last_settled(store: Store) -> int:
    """The number beyond which all events are that come from now on. Raises a `StoreError`."""
    found = store.settled(events.name)
    if found is not None:
        return found
    with store.read(once=True) as tx:
        return last(tx)


def last(tx: Transaction) -> int:
    """The number of the newest event; 0 where there is none. On PostgreSQL another one may still come before it."""
    return int(tx.scalar(sa.select(sa.func.max(events.c.seq))) or 0)
