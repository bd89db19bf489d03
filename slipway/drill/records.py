"""Where the record of a bench is: in SQLite, in its state directory, or in a database of PostgreSQL's of its own.

A drill copies state directories and puts copies back. The rows of a database are kept in a file of the directory before
it is copied, and put back from there.
"""

from __future__ import annotations

import os
import pickle
import re
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from slipway.states.schema import events, metadata
from slipway.states.urls import parsed_url

if TYPE_CHECKING:
    from psycopg import Connection

KEPT = "record"
"""The file that has the rows of a database."""
_SEQUENCES = "sequences"


class Record(Protocol):
    """The record of one bench, past Slipway."""

    url: str | None
    """What an orchestrator is given; None: the file of its state directory."""

    def keep(self) -> None:
        """Have all that is committed in the state directory."""

    def put(self) -> None:
        """Have on record what the state directory has."""

    def execute(self, statement: str, *values: object) -> Sequence[Any]:
        """Carry out a statement, with `?` for each value; gives its rows."""

    def close(self) -> None:
        """Close what is open."""


class FileRecord:
    """SQLite's: a copy of the directory is one of the record as well."""

    url: str | None = None

    def __init__(self, state: Path) -> None:
        self._file = state / "slipway.db"

    def keep(self) -> None:
        """Do nothing: it is there."""

    def put(self) -> None:
        """Do nothing: it is there."""

    def execute(self, statement: str, *values: object) -> Sequence[Any]:
        """Carry it out."""
        with closing(sqlite3.connect(self._file)) as db, db:
            return db.execute(statement, values).fetchall()

    def close(self) -> None:
        """Do nothing: nothing stays open."""


class PostgresRecord:
    """A database on the server of `server`, made for one bench; `drop` drops those of a drill."""

    def __init__(self, server: str, state: Path) -> None:
        # Nothing else need be in it.
        state.mkdir(0o700)
        self._file = state / KEPT
        self._connections: dict[int, Connection[Any]] = {}
        name = _name(state.parent.parent.name, state.parent.name)
        _tell(server, f"CREATE DATABASE {name}")
        self.url: str | None = _of(server, name)

    @property
    def _connection(self) -> Connection[Any]:
        """That of this process: a forked one has its own."""
        if os.getpid() not in self._connections:
            assert self.url is not None
            self._connections[os.getpid()] = _connected(self.url)
        return self._connections[os.getpid()]

    def keep(self) -> None:
        """Write the rows of all tables to the file; what is not committed is not there, as after a SIGKILL."""
        from psycopg import IsolationLevel
        from psycopg.rows import dict_row

        self._connection.isolation_level = IsolationLevel.REPEATABLE_READ
        with self._connection.transaction(), self._connection.cursor(row_factory=dict_row) as cursor:
            rows = {name: cursor.execute(_bytes(f"SELECT * FROM {name}")).fetchall() for name in self._filled()}
            counted = cursor.execute("SELECT sequencename, last_value FROM pg_sequences").fetchall()
        self._file.write_bytes(pickle.dumps({**rows, _SEQUENCES: counted}))

    def put(self) -> None:
        """Have the rows of the file in place of those that are there.

        Effects are told as events when they are put: the events that there were come last, in place of those.
        """
        if not self._file.exists():
            return
        kept = pickle.loads(self._file.read_bytes())
        names = [*(table.name for table in metadata.sorted_tables if table is not events), events.name]
        with self._connection.transaction(), self._connection.cursor() as cursor:
            for name in reversed(self._filled()):
                cursor.execute(_bytes(f"DELETE FROM {name}"))
            for name in names:
                if name == events.name:
                    cursor.execute("DELETE FROM events")
                if rows := kept.get(name):
                    with cursor.copy(_bytes(f"COPY {name} ({', '.join(rows[0])}) FROM STDIN")) as copying:
                        for row in rows:
                            copying.write_row(tuple(row.values()))
            for one in kept[_SEQUENCES]:
                last = one["last_value"]
                cursor.execute("SELECT setval(%s, %s, %s)", (one["sequencename"], last or 1, last is not None))

    def execute(self, statement: str, *values: object) -> Sequence[Any]:
        """Carry it out."""
        with self._connection.transaction():
            done = self._connection.execute(_bytes(statement.replace("?", "%s")), values)
            return done.fetchall() if done.description else ()

    def close(self) -> None:
        """Close the connection of this process."""
        if (connection := self._connections.pop(os.getpid(), None)) is not None:
            connection.close()

    def _filled(self) -> Sequence[str]:
        """The tables that have rows, none before one that it refers to."""
        there = {name for (name,) in self._connection.execute("SELECT tablename FROM pg_tables")}
        names = [table.name for table in metadata.sorted_tables if table.name in there]
        asked = ", ".join(f"EXISTS (SELECT FROM {name})" for name in names)
        (found,) = self._connection.execute(_bytes(f"SELECT {asked}")).fetchall()
        return [name for name, filled in zip(names, found, strict=True) if filled]


def record_of(database: str | None, state: Path) -> Record:
    """That of the bench with this state directory; `database`: the URL of one whose server has it."""
    return FileRecord(state) if database is None else PostgresRecord(database, state)


def kept_rows(state: Path) -> Mapping[str, list[dict[str, Any]]] | None:
    """The rows that were kept in a state directory, by table, in an order that stays; None where SQLite has them."""
    try:
        content = (state / KEPT).read_bytes()
    except FileNotFoundError:
        return None
    kept: dict[str, list[dict[str, Any]]] = pickle.loads(content)
    del kept[_SEQUENCES]
    for name, rows in kept.items():
        keys = [column.name for column in metadata.tables[name].primary_key]
        order = [*({"seq", "created_at"} & rows[0].keys()), *keys]
        rows.sort(key=lambda row, order=order: [row[column] for column in order])  # type: ignore[misc]
    return kept


def drop(server: str, drill: str) -> None:
    """Drop the databases of the benches of a drill, by the name of its directory."""
    with _connected(server) as connection:
        named = "SELECT datname FROM pg_database WHERE starts_with(datname, %s)"
        names = [name for (name,) in connection.execute(named, (_name(drill, ""),))]
    for name in names:
        _tell(server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def _name(*parts: str) -> str:
    return re.sub(r"\W", "_", "_".join(parts).lower())


def _of(server: str, name: str) -> str:
    return parsed_url(server).set(database=name).render_as_string(hide_password=False)


def _connected(url: str) -> Connection[Any]:
    import psycopg

    parsed = parsed_url(url).set(drivername="postgresql")
    return psycopg.connect(parsed.render_as_string(hide_password=False))


def _tell(server: str, statement: str) -> None:
    with closing(_connected(server)) as connection:
        connection.autocommit = True
        connection.execute(_bytes(statement))


def _bytes(statement: str) -> bytes:
    return statement.encode()
