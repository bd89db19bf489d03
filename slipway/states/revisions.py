"""The tables of a record against those that this Slipway makes, and what each version of them changed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from importlib import import_module

import sqlalchemy as sa
from msgspec import Struct

from slipway.states.migrations import CHANGES
from slipway.states.schema import SCHEMA_VERSION, meta, metadata
from slipway.states.store import Store


class Revision(Struct, frozen=True):
    """A version of the tables: what it brought, and whether the record has it."""

    number: int
    what: str
    applied: bool


class SchemaState(Struct, frozen=True):
    """The version that a record is of, the one that this Slipway knows, and where tables are otherwise than made."""

    schema: int
    known: int
    differences: tuple[str, ...]

    @property
    def is_right(self) -> bool:
        """Whether nothing is to be done."""
        return self.schema == self.known and not self.differences


def revisions(store: Store) -> Sequence[Revision]:
    """All of them, oldest first."""
    has = _version(store)
    return [Revision(number, _what(number), applied=number <= has) for number in range(1, max(SCHEMA_VERSION, has) + 1)]


def state_of(store: Store) -> SchemaState:
    """How a record stands, with all tables that are known here. Of an older one nothing is compared: an upgrade comes
    first."""
    found = _version(store)
    if found != SCHEMA_VERSION:
        return SchemaState(found, SCHEMA_VERSION, ())
    with store.read() as tx:
        looking = sa.inspect(tx)
        indexes = {*tx.scalars(_INDEXES[tx.dialect.name])}
        there = {*looking.get_table_names()}
        wrong = [f"there is no table {table.name}" for table in metadata.sorted_tables if table.name not in there]
        for table in metadata.sorted_tables:
            if table.name in there:
                wrong += _differences(table, looking, indexes)
    return SchemaState(found, SCHEMA_VERSION, tuple(wrong))


_INDEXES = {
    "sqlite": sa.text("SELECT name FROM sqlite_schema WHERE type = 'index'"),
    "postgresql": sa.text("SELECT indexname FROM pg_indexes WHERE schemaname = current_schema()"),
}
"""All names of indexes, those of expressions too, which SQLAlchemy passes over."""


def _differences(table: sa.Table, looking: sa.Inspector, indexes: Collection[str]) -> Sequence[str]:
    columns = {one["name"] for one in looking.get_columns(table.name)}
    wrong = [f"table {table.name} has no column {one.name}" for one in table.columns if one.name not in columns]
    key = [one.name for one in table.primary_key]
    if (has := looking.get_pk_constraint(table.name)["constrained_columns"]) != key:
        wrong.append(f"the key of table {table.name} is {', '.join(has)}, not {', '.join(key)}")
    return wrong + [f"there is no index {one.name}" for one in table.indexes if one.name not in indexes]


def _version(store: Store) -> int:
    with store.read() as tx:
        found: int = tx.execute(sa.select(meta.c.schema_version)).scalar_one()
    return found


def _what(number: int) -> str:
    """The first line of its module's docstring."""
    if number not in CHANGES:
        return "New tables." if number > 1 else "The first one."
    return (import_module(CHANGES[number]).__doc__ or "").partition("\n")[0]
