"""What happened to an instance, in the order in which it did: the moves among its events."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from slipway.model.record import HistoryEntry
from slipway.states.machines import Move
from slipway.states.schema import events
from slipway.states.store import Transaction

INSTANCE = "instance."
"""What the type of an instance's move begins with."""
_MOVES = events.c.step.is_(None)


def history_of(tx: Transaction, instance_id: str) -> Sequence[HistoryEntry]:
    """Every change of the instance's state, oldest first."""
    query = sa.select(events).where(events.c.instance_id == instance_id, _MOVES).order_by(events.c.seq)
    return [
        HistoryEntry(row.at, row.type.removeprefix(INSTANCE), *_state(row.state), row.detail)
        for row in tx.execute(query)
    ]


def _state(text: str | None) -> tuple[str, str | None]:
    vm_state, _, task_state = (text or "").partition("/")
    return vm_state, None if task_state == "-" else task_state


def last_change(tx: Transaction, instance_id: str) -> int:
    """The number of the last change of the instance's state: while it is the same, nothing was done to it."""
    query = sa.select(sa.func.max(events.c.seq)).where(events.c.instance_id == instance_id, _MOVES)
    return int(tx.scalar(query) or 0)


def power_changed_since(tx: Transaction, instance_id: str, event: int) -> bool:
    """Whether a stop, start or reboot was begun after an event."""
    begun = events.c.type.in_([f"{INSTANCE}{move}" for move in (Move.STOP, Move.START, Move.REBOOT)])
    query = sa.select(events.c.seq).where(events.c.instance_id == instance_id, begun, events.c.seq > event)
    return tx.execute(query.limit(1)).first() is not None


def last_power_change(tx: Transaction, instance_id: str) -> datetime | None:
    """When a stop, start, reboot, pause or unpause was last begun."""
    moves = (Move.STOP, Move.START, Move.REBOOT, Move.PAUSE, Move.UNPAUSE)
    begun = events.c.type.in_([f"{INSTANCE}{move}" for move in moves])
    query = sa.select(sa.func.max(events.c.at)).where(events.c.instance_id == instance_id, begun)
    found: datetime | None = tx.scalar(query)
    return found
