"""What happened to an instance, in the order in which it did."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from slipway.model.record import HistoryEntry
from slipway.states.machines import Move
from slipway.states.schema import history
from slipway.states.store import Transaction


def history_of(tx: Transaction, instance_id: str) -> Sequence[HistoryEntry]:
    """Every change of the instance's state, oldest first."""
    query = sa.select(history).where(history.c.instance_id == instance_id).order_by(history.c.seq)
    return [HistoryEntry(row.at, row.event, row.vm_state, row.task_state, row.detail) for row in tx.execute(query)]


def last_change(tx: Transaction, instance_id: str) -> int:
    """The number of the last change of the instance's state: while it is the same, nothing was done to it."""
    query = sa.select(sa.func.max(history.c.seq)).where(history.c.instance_id == instance_id)
    return int(tx.scalar(query) or 0)


def last_power_change(tx: Transaction, instance_id: str) -> datetime | None:
    """When a stop, start or reboot was last begun."""
    begun = history.c.event.in_([Move.STOP, Move.START, Move.REBOOT])
    query = sa.select(sa.func.max(history.c.at)).where(history.c.instance_id == instance_id, begun)
    found: datetime | None = tx.scalar(query)
    return found
