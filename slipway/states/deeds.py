"""Who did what and when: the runs, and what instances' domains did by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from slipway import errors
from slipway.model.deed import Deed
from slipway.model.record import Fault
from slipway.states import codec
from slipway.states.history import INSTANCE
from slipway.states.machines import Move
from slipway.states.schema import events, instances, runs
from slipway.states.store import Transaction

_BY_ITSELF = [f"{INSTANCE}{move}" for move in (Move.RUNS, Move.HALTED, Move.SUSPENDED, Move.STARTED)]
_RUNS = sa.select(
    *(runs.c.id, runs.c.name, runs.c.project, runs.c.instance_id, runs.c.asked_by, runs.c.state, runs.c.fault),
    *(runs.c.created_at, runs.c.ended_at, instances.c.name.label("instance")),
).select_from(runs.outerjoin(instances, instances.c.id == runs.c.instance_id))
_EVENTS = (
    sa.select(events.c.at, events.c.type, events.c.state, instances.c.id, instances.c.name, instances.c.project)
    .select_from(events.join(instances, instances.c.id == events.c.instance_id))
    .where(events.c.run_id.is_(None), events.c.step.is_(None), events.c.type.in_(_BY_ITSELF))
)


def deeds(
    tx: Transaction, *, name: str | None = None, project: str | None = None, limit: int | None = None
) -> Sequence[Deed]:
    """The newest ones, oldest first: all, a project's, or those of all instances of a name or id, deleted or not.

    Raises `InstanceNotFound` where there never was one of that name, as far as the record goes back.
    """
    query, by_itself = _RUNS, _EVENTS
    if name is not None:
        whose = sa.select(instances.c.id).where(sa.or_(instances.c.name == name, instances.c.id == name))
        if project is not None:
            whose = whose.where(instances.c.project == project)
        ids = tx.scalars(whose).all()
        if not ids:
            where = f" in project {project}" if project else ""
            raise errors.InstanceNotFound(f"no instance {name} was ever on record{where}, or it was pruned")
        query, by_itself = query.where(runs.c.instance_id.in_(ids)), by_itself.where(instances.c.id.in_(ids))
    elif project is not None:
        query, by_itself = query.where(runs.c.project == project), by_itself.where(instances.c.project == project)
    found = [_of_run(row) for row in tx.execute(query.order_by(runs.c.created_at.desc()).limit(limit))]
    found += [_of_event(row) for row in tx.execute(by_itself.order_by(events.c.seq.desc()).limit(limit))]
    found.sort(key=lambda deed: deed.at)
    return found if limit is None else found[-limit:]


def _of_run(row: Any) -> Deed:
    try:
        fault = codec.decode(row.fault, Fault) if row.fault else None
    except errors.RecordDamaged as error:
        fault = Fault(type(error).__name__, str(error), "", row.created_at)
    return Deed(
        at=row.created_at,
        who=row.asked_by,
        what=row.name,
        project=row.project,
        instance=row.instance,
        instance_id=row.instance_id,
        run_id=row.id,
        state=row.state,
        ended_at=row.ended_at,
        fault=fault,
    )


def _of_event(row: Any) -> Deed:
    return Deed(
        at=row.at,
        who="",
        what=row.type.removeprefix(INSTANCE),
        project=row.project,
        instance=row.name,
        instance_id=row.id,
        run_id=None,
        state=(row.state or "").partition("/")[0],
        ended_at=row.at,
        fault=None,
    )
