"""The instances that a selection means, read a page at a time however many there are."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

import sqlalchemy as sa

from slipway import errors
from slipway.model.record import Instance
from slipway.model.selection import Order, Selection, SortKey
from slipway.states.instance_rows import COLUMNS, instance_of
from slipway.states.machines import VmState
from slipway.states.schema import instances
from slipway.states.store import Transaction

_ESCAPE = "\\"
_PLACE = (instances.c.project, instances.c.name, instances.c.id)
"""By these a list is in order, and an index has them so."""
_SORTED: dict[SortKey, sa.Column[Any]] = {
    SortKey.NAME: instances.c.name,
    SortKey.PROJECT: instances.c.project,
    SortKey.STATE: instances.c.vm_state,
    SortKey.HOST: instances.c.host,
    SortKey.STACK: instances.c.stack,
    SortKey.CREATED: instances.c.created_at,
    SortKey.LAUNCHED: instances.c.launched_at,
    SortKey.DELETED: instances.c.deleted_at,
}
_IDS_A_QUERY = 500


def page(tx: Transaction, selection: Selection, *, after: str | None, limit: int) -> tuple[Sequence[Instance], str]:
    """Those of the next `limit` rows by project and name that are meant, and the id to go on after ("": the end).

    Raises `InstanceNotFound` where `after` is not on record.
    """
    query = _rows(selection, *COLUMNS).order_by(*_PLACE).limit(limit)
    if after is not None:
        row = tx.execute(sa.select(*_PLACE).where(instances.c.id == after)).one_or_none()
        if row is None:
            raise errors.InstanceNotFound(f"no instance {after} is on record, after which the list could go on")
        query = query.where(sa.tuple_(*_PLACE) > sa.tuple_(*row))
    found = [instance_of(row) for row in tx.execute(query)]
    more = found[-1].id if len(found) == limit else ""
    return [one for one in found if _is_meant(one, selection)], more


def ids_in_order(tx: Transaction, selection: Selection, order: Order) -> Sequence[str]:
    """The ids of those that may be meant, in an order for which there is no index. `by_ids` says which are.

    What has no such value, as a host, comes first, and last in the descending order.
    """
    column = _SORTED[order.key or SortKey.PROJECT]
    known, value = column.is_not(None), column
    keys = (known.desc(), value.desc()) if order.descending else (known, value)
    return tx.scalars(_rows(selection, instances.c.id).order_by(*keys, *_PLACE)).all()


def by_ids(tx: Transaction, ids: Sequence[str], selection: Selection) -> Sequence[Instance]:
    """Those with these ids, at most some hundred, that are meant by now; in the order of the ids."""
    assert len(ids) <= _IDS_A_QUERY
    rows = tx.execute(_rows(selection, *COLUMNS).where(instances.c.id.in_(ids)))
    found = {row.id: instance_of(row) for row in rows}
    return [found[id_] for id_ in ids if id_ in found and _is_meant(found[id_], selection)]


def _rows(selection: Selection, *columns: Any) -> sa.Select[Any]:
    """What a database can say of them by their columns: all that are meant, and maybe more."""
    is_deleted = instances.c.vm_state == VmState.DELETED
    query = sa.select(*columns).where(is_deleted if selection.deleted else sa.not_(is_deleted))
    for column in ("project", "stack", "host"):
        if (value := getattr(selection, column)) is not None:
            query = query.where(instances.c[column] == value)
    if selection.states:
        query = query.where(instances.c.vm_state.in_(selection.states))
    if selection.names:
        query = query.where(sa.or_(*(instances.c.name.like(_like(one), escape=_ESCAPE) for one in selection.names)))
    return query


def _like(pattern: str) -> str:
    """SQL's pattern that fits whatever a shell's does; it knows no classes, and on SQLite no case."""
    plain, bracket, _ = pattern.partition("[")
    for letter in (_ESCAPE, "%", "_"):
        plain = plain.replace(letter, _ESCAPE + letter)
    return plain.replace("*", "%").replace("?", "_") + ("%" if bracket else "")


def _is_meant(instance: Instance, selection: Selection) -> bool:
    named = not selection.names or any(fnmatchcase(instance.name, one) for one in selection.names)
    return named and set(selection.labels) <= set(instance.request.metadata)
