"""Deleted instances taken off the record, with all that was on record of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from slipway.model.deed import Pruned
from slipway.states.machines import VmState
from slipway.states.schema import effects, events, instances, runs
from slipway.states.store import Transaction

_TURN = "#"
"""What is between the key of an instance that a run built and the number of its turn, where one was deleted before."""


def deleted_before(tx: Transaction, before: datetime) -> Sequence[str]:
    """The ids of those that were deleted before that time and by whose key no instance is found that is there.

    An instance that a step of a run built again, under the key's next turn, is found through those before it.
    """
    is_deleted = instances.c.vm_state == VmState.DELETED
    keys = instances.c.project, instances.c.idempotency_key
    there = tx.execute(sa.select(*keys).where(sa.not_(is_deleted), instances.c.idempotency_key.contains(_TURN)))
    held = {(project, key.rpartition(_TURN)[0]) for project, key in there}
    old = sa.select(instances.c.id, *keys).where(is_deleted, instances.c.deleted_at < before)
    return [
        row.id
        for row in tx.execute(old.order_by(instances.c.deleted_at))
        if row.idempotency_key is None
        or not {(row.project, row.idempotency_key), (row.project, row.idempotency_key.rpartition(_TURN)[0])} & held
    ]


def count(tx: Transaction, ids: Sequence[str]) -> Pruned:
    """What `forget` of them would take off."""
    rows = (effects, events, runs)
    numbers = (tx.scalar(sa.select(sa.func.count()).where(table.c.instance_id.in_(ids))) for table in rows)
    of_effects, of_events, of_runs = (int(number or 0) for number in numbers)
    return Pruned(len(ids), of_runs, of_effects, of_events)


def forget(tx: Transaction, ids: Sequence[str]) -> Pruned:
    """Take these off, with their runs, effects and events; gives how many rows. Some hundred ids at most."""
    their_runs = sa.select(runs.c.id).where(runs.c.instance_id.in_(ids))
    told = events.delete().where(sa.or_(events.c.instance_id.in_(ids), events.c.run_id.in_(their_runs)))
    of_events = tx.execute(told).rowcount
    of_effects = tx.execute(effects.delete().where(effects.c.instance_id.in_(ids))).rowcount
    tx.execute(effects.delete().where(effects.c.run_id.in_(their_runs)))
    of_runs = tx.execute(runs.delete().where(runs.c.instance_id.in_(ids))).rowcount
    tx.execute(instances.delete().where(instances.c.id.in_(ids), instances.c.vm_state == VmState.DELETED))
    return Pruned(len(ids), of_runs, of_effects, of_events)
