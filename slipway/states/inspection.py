"""Values of a type that their column never has: what somebody has put into an SQLite record by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from slipway.states.schema import metadata
from slipway.states.store import Store

_TYPES: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (sa.Integer, ("integer",)),
    (sa.Boolean, ("integer",)),
    (sa.LargeBinary, ("blob", "text")),
    (sa.String, ("text",)),
)
"""How SQLite calls what is in columns of these types."""


def misfits(store: Store) -> Iterator[str]:
    """Where such values are, in words, one for each column. On PostgreSQL there are none: it has refused them."""
    with store.read() as tx:
        if tx.dialect.name != "sqlite":
            return
        there = {name for (name,) in tx.execute(sa.text("SELECT name FROM sqlite_schema"))}
        for table in metadata.sorted_tables:
            for column in table.columns if table.name in there else ():
                found = tx.execute(_misfitting(table, column)).first()
                if found is not None:
                    *row, kind = found
                    where = f" in the row of {', '.join(map(str, row))}" if row else ""
                    yield f"column {column.name} of table {table.name} has a {kind}{where}"


def _misfitting(table: sa.Table, column: sa.Column[Any]) -> sa.Select[Any]:
    found = sa.func.typeof(column)
    of_others = found.not_in((*_known(column), "null"))
    return sa.select(*table.primary_key.columns, found).where(of_others).limit(1)


def _known(column: sa.Column[Any]) -> tuple[str, ...]:
    kind = column.type.impl_instance if isinstance(column.type, sa.TypeDecorator) else column.type
    return next(names for one, names in _TYPES if isinstance(kind, one))
