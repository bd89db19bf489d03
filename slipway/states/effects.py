"""The rows of the ledger: how they are read, and the guarded statements by which alone they are written."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from slipway.model.record import Effect, EffectState, Scope
from slipway.states import machines
from slipway.states.schema import effects, instances
from slipway.states.store import Transaction

_OWN = effects.c.key.between(
    sa.bindparam("id", type_=sa.String).concat("/"), sa.bindparam("id", type_=sa.String).concat("0")
)
"""The rows whose keys begin with an instance's id and a slash; `0` is the character after the slash."""


def _held(*, going_on: bool) -> sa.ColumnElement[bool]:
    """That the instance is still ours, and, where we are to go on, not being deleted; true until the commit."""
    ours = sa.select(sa.literal(1)).where(
        instances.c.id == sa.bindparam("b_instance"), instances.c.generation == sa.bindparam("b_generation")
    )
    if going_on:
        ours = ours.where(instances.c.task_state.is_distinct_from(machines.TaskState.DELETING.value))
    return sa.exists(ours.with_for_update(read=True))


def _update(*columns: str, going_on: bool) -> sa.Update:
    row = effects.update().where(effects.c.key == sa.bindparam("b_key"), _held(going_on=going_on))
    return row.values({column: sa.bindparam(column) for column in columns})


_COLUMNS = [column for column in effects.c if column.name not in ("seq", "error", "held_by", "undone_at")]
# Each names the row by `b_key`, and the worker that may write it by `b_instance` and `b_generation`.
INSERT = effects.insert().from_select(
    [column.name for column in _COLUMNS],
    sa.select(*(sa.bindparam(c.name, type_=c.type) for c in _COLUMNS)).where(_held(going_on=True)),
)
AGAIN = _update(
    *("state", "args", "generation", "deadline", "started_at", "result", "error", "held_by", "undone_at"), going_on=True
)
DONE = _update("state", "result", "finished_at", "deadline", going_on=False)
UNDONE = _update("state", "error", "held_by", "undone_at", "deadline", going_on=False)
_OF_INSTANCE = sa.select(effects).where(_OWN).order_by(effects.c.seq)


def _effect(row: Any) -> Effect:
    """The effect; one that nobody understands is stuck, so that what it may use stays held until it is undone."""
    state, scope, error = row.state, row.scope, row.error
    try:
        state, scope = EffectState(state), Scope(scope)
    except ValueError as damage:
        state, error = EffectState.STUCK, f"its row is damaged: {damage}"
        scope = Scope.HOST if row.host else Scope.INSTANCE
    return Effect(
        key=row.key,
        instance_id=row.instance_id,
        attempt=row.attempt,
        step=row.step,
        slot=row.slot,
        kind=row.kind,
        scope=scope,
        host=row.host,
        state=state,
        args=row.args,
        result=row.result,
        error=error,
        held_by=row.held_by,
        started_at=row.started_at,
        finished_at=row.finished_at,
        undone_at=row.undone_at,
    )


def effects_of(tx: Transaction, instance_id: str) -> Sequence[Effect]:
    """The instance's effects, oldest first."""
    return [_effect(row) for row in tx.execute(_OF_INSTANCE, {"id": instance_id})]


def standing(tx: Transaction, *, kinds: Sequence[str] | None = None) -> Sequence[Effect]:
    """Every effect that is not undone, of every instance that is not deleted: what ought to be there, or may be.

    `kinds`: only those of these kinds.
    """
    query = sa.select(effects).join(instances, instances.c.id == effects.c.instance_id)
    alive = query.where(effects.c.state != EffectState.UNDONE, instances.c.vm_state != machines.VmState.DELETED)
    wanted = alive if kinds is None else alive.where(effects.c.kind.in_(kinds))
    return [_effect(row) for row in tx.execute(wanted)]


def last_deadline(tx: Transaction, instance_id: str) -> datetime | None:
    """Until when the effects' worker has the instance by what it wrote with them."""
    found: datetime | None = tx.scalar(sa.select(sa.func.max(effects.c.deadline)).where(_OWN), {"id": instance_id})
    return found
