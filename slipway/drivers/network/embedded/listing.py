"""Filters, order and pages of lists, and who may see what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from slipway import errors
from slipway.states.store import Transaction


@dataclass(frozen=True, slots=True)
class Page:
    """The part of a list that is wanted: at most `limit` items after the one with the id `marker`, by `sort_key`."""

    sort_key: str
    limit: int | None = None
    marker: str | None = None
    descending: bool = False

    @classmethod
    def taken_from(cls, filters: dict[str, Any], sort_key: str) -> Page:
        """Take `limit`, `marker`, `sort_key` and `sort_dir` out of the filters. Raises `HTTPBadRequest`."""
        limit, sort_dir = filters.pop("limit", None), filters.pop("sort_dir", None) or "asc"
        if sort_dir not in ("asc", "desc"):
            raise errors.HTTPBadRequest(f"sort_dir: {sort_dir!r} is neither asc nor desc")
        if limit is not None and limit < 0:
            raise errors.HTTPBadRequest(f"limit: {limit} is negative")
        # As in Neutron, a limit of 0 is none.
        return cls(
            filters.pop("sort_key", None) or sort_key, limit or None, filters.pop("marker", None), sort_dir == "desc"
        )


def matching(table: sa.Table, filters: Mapping[str, Any]) -> list[sa.ColumnElement[bool]]:
    """Conditions for filters by column: equal to the value, or to one of a list; None filters nothing.

    Raises `HTTPBadRequest` for a name that is no attribute.
    """
    conditions: list[sa.ColumnElement[bool]] = []
    for name, wanted in filters.items():
        if name not in table.c:
            raise errors.HTTPBadRequest(f"{table.name}: cannot be filtered by {name!r}")
        if isinstance(wanted, (list, tuple)):
            conditions.append(table.c[name].in_(wanted))
        elif wanted is not None:
            conditions.append(table.c[name] == wanted)
    return conditions


def fetch(tx: Transaction, query: sa.Select[Any], table: sa.Table, page: Page) -> Sequence[sa.Row[Any]]:
    """The rows of that page. Raises `HTTPBadRequest` for an unknown sort key and `NotFound` for an unknown marker."""
    if page.sort_key not in table.c or table.c[page.sort_key].nullable:
        raise errors.HTTPBadRequest(f"{table.name}: cannot be sorted by {page.sort_key!r}")
    keys = [table.c[page.sort_key], table.c.id]
    if page.marker is not None:
        after = tx.execute(sa.select(*keys).where(table.c.id == page.marker)).first()
        if after is None:
            raise errors.NotFound(f"{table.name}: the marker {page.marker} is not there")
        here, there = sa.tuple_(*keys), sa.tuple_(*(sa.literal(v, k.type) for v, k in zip(after, keys, strict=True)))
        query = query.where(here < there if page.descending else here > there)
    query = query.order_by(*(key.desc() if page.descending else key for key in keys))
    return tx.execute(query.limit(page.limit)).all()
