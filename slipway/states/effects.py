"""The rows of the ledger: how they are read, and the guarded statements by which alone they are written."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa
from msgspec import Struct

from slipway.errors import RecordDamaged
from slipway.model.record import Effect, EffectState, Scope
from slipway.states import codec, machines
from slipway.states.schema import effects, instances
from slipway.states.store import Transaction

R = TypeVar("R")

_OWN = effects.c.key.between(
    sa.bindparam("id", type_=sa.String).concat("/"), sa.bindparam("id", type_=sa.String).concat("0")
)
"""The rows whose keys begin with an owner's id and a slash; `0` is the character after the slash."""
_OF_OWNER = sa.select(effects).where(_OWN).order_by(effects.c.seq)
_COLUMNS = [column for column in effects.c if column.name not in ("seq", "error", "held_by", "undone_at")]


class Guarded(Struct, frozen=True):
    """The statements by which the effects of one kind of owner are written, if they are still the worker's.

    Each names the row by `b_key`, and the worker that may write it by `b_owner` and `b_generation`. What is to be done
    is written (`insert`, `again`) where the owner is to go on, or `anyway`, at its end.
    """

    insert: sa.Executable
    insert_anyway: sa.Executable
    again: sa.Executable
    again_anyway: sa.Executable
    done: sa.Executable
    undone: sa.Executable


def guarded(owners: sa.Table, going_on: sa.ColumnElement[bool]) -> Guarded:
    """The statements for owners of that table; `going_on` is true of one that has work before it."""

    def held(*, going: bool) -> sa.ColumnElement[bool]:
        """That the owner is still ours, and, where we are to go on, to be gone on with; true until the commit."""
        ours = sa.select(sa.literal(1)).where(
            owners.c.id == sa.bindparam("b_owner"), owners.c.generation == sa.bindparam("b_generation")
        )
        return sa.exists((ours.where(going_on) if going else ours).with_for_update(read=True))

    def update(*columns: str, going: bool) -> sa.Update:
        row = effects.update().where(effects.c.key == sa.bindparam("b_key"), held(going=going))
        return row.values({column: sa.bindparam(column) for column in columns})

    def insert(*, going: bool) -> sa.Insert:
        values = sa.select(*(sa.bindparam(c.name, type_=c.type) for c in _COLUMNS)).where(held(going=going))
        made = effects.insert().from_select([column.name for column in _COLUMNS], values)
        # Else PostgreSQL's drivers are not asked how many rows it made.
        return made.execution_options(preserve_rowcount=True)

    return Guarded(
        insert=insert(going=True),
        insert_anyway=insert(going=False),
        again=update(*_AGAIN, going=True),
        again_anyway=update(*_AGAIN, going=False),
        done=update("state", "result", "finished_at", "deadline", going=False),
        undone=update("state", "error", "held_by", "undone_at", "deadline", going=False),
    )


_AGAIN = (
    *("state", "run_id", "args", "generation", "deadline", "started_at", "finished_at", "result"),
    *("error", "held_by", "undone_at"),
)
"""What is written where an effect that was undone is to be had again."""


def key_of(owner_id: str, step: str, slot: int, scope: Scope, attempt: int, host: str | None) -> str:
    """An effect's key: from its owner and slot, and from attempt and host as well where it belongs to a host."""
    key = f"{owner_id}/{step}/{slot}"
    return key if scope is Scope.INSTANCE else f"{key}/{attempt}/{host}"


def row_of(effect: Effect, generation: int, deadline: datetime) -> dict[str, Any]:
    """What is written of an effect by the worker of that generation, whose lease is until then."""
    return {
        "key": effect.key,
        "instance_id": effect.instance_id or None,
        "run_id": effect.run_id,
        "attempt": effect.attempt,
        "step": effect.step,
        "slot": effect.slot,
        "kind": effect.kind,
        "scope": effect.scope,
        "host": effect.host,
        "state": effect.state,
        "args": effect.args,
        "result": effect.result,
        "generation": generation,
        "deadline": deadline,
        "started_at": effect.started_at,
        "finished_at": effect.finished_at,
    }


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
        instance_id=row.instance_id or "",
        run_id=row.run_id,
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


def effects_of(tx: Transaction, owner_id: str) -> Sequence[Effect]:
    """The effects of an instance, or of a run, oldest first."""
    return [_effect(row) for row in tx.execute(_OF_OWNER, {"id": owner_id})]


def done(those: Iterable[Effect], *kinds: str) -> list[Effect]:
    """Those of these kinds that stand, in the order of their slots."""
    there = (effect for effect in those if effect.kind in kinds and effect.state is EffectState.DONE)
    return sorted(there, key=lambda effect: effect.slot)


def results(those: Iterable[Effect], kind: str, type_: type[R]) -> tuple[R, ...]:
    """What those of a kind gave that stand, in the order of their slots.

    Raises `RecordDamaged` where the record does not say.
    """
    return tuple(result_of(effect, type_) for effect in done(those, kind))


def result_of(effect: Effect, type_: type[R]) -> R:
    """What one of them gave. Raises `RecordDamaged` where the record does not say."""
    if not effect.result:
        raise RecordDamaged(f"the record does not say what {effect.key} is")
    return codec.decode(effect.result, type_)


def legible(those: Iterable[Effect], kind: str, type_: type[R]) -> Iterator[R]:
    """As `results`, but for damaged rows, which `audit` names."""
    for effect in done(those, kind):
        with suppress(RecordDamaged):
            yield result_of(effect, type_)


def undone_and_stuck(tx: Transaction, owner_id: str) -> tuple[tuple[Effect, ...], tuple[Effect, ...]]:
    """What was taken back of what an instance or a run did, and what could not be."""
    found = effects_of(tx, owner_id)
    undone = tuple(effect for effect in found if effect.state is EffectState.UNDONE)
    return undone, tuple(effect for effect in found if effect.state is EffectState.STUCK)


def amend(tx: Transaction, effect: Effect) -> None:
    """Write anew with which arguments an effect is on record, and what it gave."""
    changed = sa.update(effects).where(effects.c.key == effect.key)
    tx.execute(changed.values(args=effect.args, result=effect.result))


def forget(tx: Transaction, keys: Collection[str]) -> None:
    """Take off the ledger what holds nothing any more; what was told of it stays among the events."""
    tx.execute(sa.delete(effects).where(effects.c.key.in_(keys)))


def forget_standing(tx: Transaction, owner_id: str) -> None:
    """Take off the ledger what nothing takes back, once all else is: who tries again has every step done anew."""
    tx.execute(sa.delete(effects).where(_OWN, effects.c.state != EffectState.UNDONE), {"id": owner_id})


def standing(
    tx: Transaction, *, kinds: Sequence[str] | None = None, of: Collection[str] | None = None
) -> Sequence[Effect]:
    """Every effect that is not undone, of every instance that is not deleted: what ought to be there, or may be.

    `kinds`: only those of these kinds. `of`: only those of the instances with these ids, whose rows alone are read.
    """
    own = effects.c.instance_id == instances.c.id
    if of is not None:
        keys = effects.c.key.between(instances.c.id.concat("/"), instances.c.id.concat("0"))
        own = sa.and_(instances.c.id.in_(of), keys)
    query = sa.select(effects).select_from(instances.join(effects, own))
    alive = query.where(effects.c.state != EffectState.UNDONE, instances.c.vm_state != machines.VmState.DELETED)
    wanted = alive if kinds is None else alive.where(effects.c.kind.in_(kinds))
    return [_effect(row) for row in tx.execute(wanted)]


def standing_on(tx: Transaction, host: str) -> Sequence[Effect]:
    """Every effect on this host that is not undone, of every instance."""
    query = sa.select(effects).where(effects.c.host == host, effects.c.state != EffectState.UNDONE)
    return [_effect(row) for row in tx.execute(query.order_by(effects.c.seq))]


def last_deadline(tx: Transaction, owner_id: str) -> datetime | None:
    """Until when the effects' worker has the instance by what it wrote with them."""
    found: datetime | None = tx.scalar(sa.select(sa.func.max(effects.c.deadline)).where(_OWN), {"id": owner_id})
    return found
