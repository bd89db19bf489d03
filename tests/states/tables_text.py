"""The tables as SQLAlchemy makes them in SQLite: `python -m tests.states.tables_text` writes `tables.sql` anew."""

from __future__ import annotations

import sqlite3

import sqlalchemy as sa

from slipway.drivers.network.embedded.common.tables import TABLES
from slipway.states.schema import SCHEMA_VERSION, TABLES_TEXT, metadata

assert {*TABLES} <= {*metadata.tables.values()}

HEAD = f"""\
-- schema {SCHEMA_VERSION}
-- All tables of a new record in SQLite, the embedded network's too, as slipway/states/schema.py and its own say:
-- made by SQLAlchemy, so that not each new record waits for that. Written anew: python -m tests.states.tables_text
"""


def made() -> list[str]:
    """The statements that make the tables that SQLAlchemy makes, and what is in them."""
    engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
    with engine.begin() as tx:
        metadata.create_all(tx)
        connection = tx.connection.driver_connection
        assert isinstance(connection, sqlite3.Connection)
        return statements(connection)


def statements(connection: sqlite3.Connection) -> list[str]:
    """Tables, what is in them, and indexes: SQLAlchemy makes those of a table in any order."""
    every = [" ".join(statement.split()) for statement in connection.iterdump()]
    tables = [one for one in every if one.startswith("CREATE TABLE")]
    rows = [one for one in every if one.startswith("INSERT") and "sqlite_sequence" not in one]
    indexes = [one for one in every if one.startswith(("CREATE INDEX", "CREATE UNIQUE INDEX"))]
    return [*sorted(tables), *rows, *sorted(indexes)]


def text() -> str:
    return HEAD + "\n".join(made()) + "\n"


if __name__ == "__main__":
    TABLES_TEXT.write_text(text())
