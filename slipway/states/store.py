"""The database: one engine, transactions for reading and for writing, and its errors in our own classes."""

from __future__ import annotations

import os
import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, OperationalError

from slipway import errors
from slipway.states.schema import SCHEMA_VERSION, meta, metadata

Transaction: TypeAlias = sa.Connection
"""An open transaction. Those who do not import SQLAlchemy pass it on and look at nothing in it."""

BUSY_TIMEOUT = 30.0
"""Seconds that a writer waits for another one."""


_ABOUT = sa.select(meta.c.schema_version, meta.c.installation)


class Store:
    """A database of Slipway's, made on first use unless it must be there.

    `url` is an SQLAlchemy URL. SQLite runs in WAL mode with `BEGIN IMMEDIATE` for writes: a deferred begin that
    turns into a write fails at once with "database is locked" beside a second writer.

    `installation` is the id that the record got when it was made; it never changes.

    Raises `DatabaseUnavailable`, `DatabaseReadOnly`, `DatabaseTooNew` when it cannot be used.
    """

    def __init__(self, url: str, *, synchronous: str = "FULL", make: bool = True) -> None:
        """`make` false: one that is not there is `DatabaseUnavailable`."""
        self.url = url
        self._make = make
        self._here = threading.local()
        self._lock = threading.Lock()
        self._all_kept: list[_Kept] = []
        self._sqlite = url.startswith("sqlite")
        try:
            self.engine = self._make_engine(synchronous)
        except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError, ModuleNotFoundError) as error:
            raise errors.DatabaseUnavailable(f"{_shown(url)}: not a database URL that can be used: {error}") from error
        self._prepare()

    def _make_engine(self, synchronous: str) -> sa.Engine:
        # Each thread keeps a connection: a bound would make the threads beyond it wait for one for ever.
        unbounded: dict[str, Any] = {"max_overflow": -1}
        if not self._sqlite:
            return sa.create_engine(self.url, **unbounded)
        path = sa.make_url(self.url).database
        in_memory = not path or path == ":memory:"
        engine = sa.create_engine(
            self.url,
            connect_args={"timeout": BUSY_TIMEOUT, "isolation_level": None, "check_same_thread": False},
            **({} if in_memory else unbounded),
        )
        if path and not in_memory and not Path(path).parent.is_dir():
            raise errors.DatabaseUnavailable(f"{path}: the directory does not exist")
        if path and not in_memory and not self._make and not Path(path).exists():
            raise errors.DatabaseUnavailable(f"{path}: there is no such database")

        @event.listens_for(engine, "connect")
        def _on_connect(connection: Any, _record: object) -> None:
            cursor = connection.cursor()
            cursor.execute("PRAGMA journal_mode = WAL")
            cursor.execute(f"PRAGMA synchronous = {synchronous}")
            cursor.execute("PRAGMA foreign_keys = ON")
            cursor.execute("PRAGMA secure_delete = ON")
            cursor.close()

        @event.listens_for(engine, "begin")
        def _on_begin(connection: sa.Connection) -> None:
            reading = connection.info.get("reading", False)
            try:
                # Past SQLAlchemy's execution context, which costs ten times what the statement does.
                connection.connection.driver_connection.execute("BEGIN" if reading else "BEGIN IMMEDIATE")  # type: ignore[union-attr]
            except sqlite3.OperationalError as error:
                raise OperationalError("BEGIN", None, error) from error

        return engine

    def _prepare(self) -> None:
        with self.read() as tx:
            made = tx.dialect.has_table(tx, meta.name) and tx.execute(_ABOUT).first()
        if not made and not self._make:
            raise errors.DatabaseUnavailable(f"{_shown(self.url)}: there is no record of Slipway's in it")
        if not made:
            with self.write() as tx:
                metadata.create_all(tx)
                if tx.execute(_ABOUT).first() is None:
                    tx.execute(meta.insert().values(schema_version=SCHEMA_VERSION, installation=str(uuid.uuid4())))
                made = tx.execute(_ABOUT).one()
        found, self.installation = made
        if found > SCHEMA_VERSION:
            raise errors.DatabaseTooNew(
                f"{self.engine.url.render_as_string()}: written by a newer Slipway (schema {found}, this one knows "
                f"{SCHEMA_VERSION}); upgrade Slipway"
            )

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A transaction that only reads, and sees one moment."""
        with self._translated(), self._connection() as tx:
            tx.info["reading"] = True
            with tx.begin():
                yield tx

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A transaction that is committed at the end, or rolled back when an error leaves it.

        Raises a `StoreError` when it cannot begin, write or commit.
        """
        with self._translated(), self._connection() as tx:
            tx.info["reading"] = False
            calls: list[Callable[[], None]] = []
            tx.info["after_commit"] = calls
            with tx.begin():
                yield tx
        for call in calls:
            call()

    @contextmanager
    def _connection(self) -> Iterator[Transaction]:
        """This thread's connection, kept between transactions; one of its own inside of another transaction."""
        kept: _Kept | None = getattr(self._here, "kept", None)
        if kept is None or kept.pid != os.getpid():
            kept = self._here.kept = self._keep()
        with kept.busy:
            if kept.connection.closed or kept.connection.invalidated:
                kept.connection = self.engine.connect()
            if not kept.connection.in_transaction():
                yield kept.connection
                return
            with self.engine.connect() as another:
                yield another

    def _keep(self) -> _Kept:
        """Keep a connection for this thread, and none for threads that have ended."""
        kept = _Kept(self.engine.connect(), threading.current_thread(), os.getpid())
        with self._lock:
            for ended in [one for one in self._all_kept if one.pid == kept.pid and not one.thread.is_alive()]:
                ended.connection.close()
                self._all_kept.remove(ended)
            self._all_kept.append(kept)
        return kept

    def after_commit(self, tx: Transaction, call: Callable[[], None]) -> None:
        """Have `call` called once, after `tx` was committed; not at all when it is rolled back."""
        tx.info["after_commit"].append(call)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OperationalError as error:
            raise _translate(error, self.engine.url.render_as_string()) from error
        except DBAPIError as error:
            if error.connection_invalidated or getattr(error.orig, "sqlite_errorname", "").startswith(_DAMAGED):
                raise errors.DatabaseUnavailable(f"{self.engine.url.render_as_string()}: {error.orig}") from error
            raise

    def close(self) -> None:
        """Close all connections, each when its thread's transaction has ended; the store opens new ones if it is used
        again. SQLite crashes when a connection is closed while another thread uses it."""
        with self._lock:
            all_kept = [kept for kept in self._all_kept if kept.pid == os.getpid()]
        for kept in all_kept:
            with kept.busy:
                kept.connection.close()
        self.engine.dispose()


@dataclass(eq=False)
class _Kept:
    """A thread's connection; `busy` while it is used."""

    connection: Transaction
    thread: threading.Thread
    pid: int
    busy: threading.RLock = field(default_factory=threading.RLock)


_DAMAGED = ("SQLITE_NOTADB", "SQLITE_CORRUPT")
"""SQLite's result codes for a file that is no database, or is one no longer."""


def _shown(url: str) -> str:
    """The URL for a message, without its password."""
    try:
        return sa.make_url(url).render_as_string()
    except sa.exc.ArgumentError:
        return url


def _translate(error: OperationalError, url: str) -> errors.StoreError:
    """Our class for SQLite's result code (PostgreSQL: everything operational is `DatabaseUnavailable`)."""
    name = getattr(error.orig, "sqlite_errorname", "") or ""
    for prefix, kind, what in (
        ("SQLITE_BUSY", errors.DatabaseLocked, "another process holds it"),
        ("SQLITE_LOCKED", errors.DatabaseLocked, "another connection holds it"),
        ("SQLITE_READONLY", errors.DatabaseReadOnly, "it may not be written"),
        ("SQLITE_FULL", errors.DatabaseFull, "no space is left on its disk"),
    ):
        if name.startswith(prefix):
            return kind(f"{url}: {what} ({error.orig})")
    return errors.DatabaseUnavailable(f"{url}: {error.orig}")
