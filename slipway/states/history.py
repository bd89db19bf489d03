"""What happened to an instance, in the order in which it did."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from slipway.model import HistoryEntry
from slipway.states.schema import history
from slipway.states.store import Transaction


def history_of(tx: Transaction, instance_id: str) -> Sequence[HistoryEntry]:
    """Every change of the instance's state, oldest first."""
    query = sa.select(history).where(history.c.instance_id == instance_id).order_by(history.c.seq)
    return [HistoryEntry(row.at, row.event, row.vm_state, row.task_state, row.detail) for row in tx.execute(query)]
