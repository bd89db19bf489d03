"""The database: one engine, transactions for reading and for writing, and its errors in our own classes."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from itertools import count
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, OperationalError

from slipway import errors
from slipway.states import postgresql, sqlitefile
from slipway.states.connections import IdleConnections, UseOfThread
from slipway.states.known_statements import QuickConnection
from slipway.states.migrations import upgrade
from slipway.states.schema import SCHEMA_VERSION, make_tables, meta
from slipway.states.triggers import make_triggers
from slipway.states.urls import parsed_url
from slipway.texts import masked_url

Transaction: TypeAlias = sa.Connection
"""An open transaction. Those who do not import SQLAlchemy pass it on and look at nothing in it."""

BUSY_TIMEOUT = 30.0
"""Seconds that a writer waits for another one, and that a server is waited for that was there before."""

_AGAIN = 0.2
"""Seconds between two tries to reach it."""

_SOON = 0.005
"""Seconds between two looks whether others have ended their transactions, which take a few milliseconds."""

_SCRUB_TIMEOUT = 1.0
"""Seconds that others are waited for where the write-ahead log is to be emptied."""

_log = logging.getLogger(__name__)
_ABOUT = sa.select(meta.c.schema_version, meta.c.installation)


class _Turn:
    """Has the threads that write take turns: SQLite lets one of them write, and the others sleep ever longer, in no
    order.

    It is a courtesy and no promise. Who has waited for too long leaves it to the database to say what is wrong; so does
    a process that was forked while somebody had the turn.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._taken = threading.local()

    def __enter__(self) -> None:
        taken: list[bool] = self._taken.__dict__.setdefault("taken", [])
        taken.append(self._lock.acquire(timeout=BUSY_TIMEOUT))

    def __exit__(self, *_error: object) -> None:
        if self._taken.taken.pop():
            self._lock.release()


class Store:
    """A database of Slipway's, made on first use unless it must be there.

    `url` is an SQLAlchemy URL. SQLite runs in WAL mode with `BEGIN IMMEDIATE` for writes: a deferred begin that
    turns into a write fails at once with "database is locked" beside a second writer. Its file is this user's alone;
    one that may not be written is read. A connection that PostgreSQL's server has ended while nothing was going on is
    made anew, for which a server that restarts is waited for.

    `installation` is the id that the record got when it was made; it never changes. `is_new`: this store made it.

    Raises `DatabaseUnavailable`, `DatabaseUnsafe`, `DatabaseReadOnly`, `DatabaseFull`, `DatabaseDamaged`,
    `DatabaseTooNew` when it cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        synchronous: str = "FULL",
        make: bool = True,
        upgrades: bool = True,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`make` false: one that is not there is `DatabaseUnavailable`; `upgrades` false: an older one stays so."""
        self.url = url
        self.is_new = False
        self.kept: str | None = None
        """The copy of an older record in SQLite as it was before it was brought up to date, where this store did so."""
        self._upgrades = upgrades
        self._make = make
        self._idle = IdleConnections()
        self._here = threading.local()
        self._was_there = False
        self._sleep = sleep
        parsed = parsed_url(url)
        self._postgresql = parsed.get_backend_name() == "postgresql"
        self._shown = masked_url(url if self._postgresql else parsed.render_as_string())
        self._path = sqlitefile.path_of(parsed) if parsed.get_backend_name() == "sqlite" else None
        self._turn: AbstractContextManager[None] = _Turn() if self._path else nullcontext()
        self._may_write = True
        self._unscrubbed = False
        if self._path is not None:
            sqlitefile.make_private(self._path, make=make)
            self._may_write = sqlitefile.may_be_written(self._path)
        self.engine = self._make_engine(parsed, synchronous)
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise
        self._was_there = True

    def _make_engine(self, url: sa.URL, synchronous: str) -> sa.Engine:
        if url.get_backend_name() == "postgresql":
            engine = sa.create_engine(url, **postgresql.options(url))
            event.listen(engine, "connect", lambda made, _record: postgresql.set_up(made, BUSY_TIMEOUT))
            return engine
        # Those that are idle are kept here. A database in memory is gone with its last connection.
        options: dict[str, Any] = {"poolclass": sa.NullPool} if self._path else {}
        options["connect_args"] = {"timeout": BUSY_TIMEOUT, "isolation_level": None, "check_same_thread": False}
        if self._path is not None and not self._may_write:
            uri = sqlitefile.uri_for_reading(self._path)
            options["creator"] = lambda: sqlite3.connect(uri, uri=True, **options["connect_args"])
        engine = sa.create_engine(url, **options)
        self._set_up_sqlite(engine, synchronous)
        return engine

    def _set_up_sqlite(self, engine: sa.Engine, synchronous: str) -> None:
        pragmas = ["foreign_keys = ON", "secure_delete = ON"]
        if self._may_write:
            pragmas = ["journal_mode = WAL", f"synchronous = {synchronous}", *pragmas]

        @event.listens_for(engine, "connect")
        def _on_connect(connection: Any, _record: object) -> None:
            # A text that is no UTF-8, put there by hand, hides no other row.
            connection.text_factory = partial(str, encoding="utf-8", errors="replace")
            cursor = connection.cursor()
            for pragma in pragmas:
                cursor.execute(f"PRAGMA {pragma}")
            cursor.close()

    def _prepare(self) -> None:
        with self.read() as tx:
            there = tx.dialect.has_table(tx, meta.name)
            made = tx.execute(_ABOUT).all() if there else None
        if made is None and not self._make:
            raise errors.DatabaseUnavailable(f"{self._shown}: there is no record of Slipway's in it")
        if made is None:
            with self.write() as tx:
                make_tables(tx)
                make_triggers(tx)
                if not tx.execute(_ABOUT).all():
                    self.is_new = True
                    tx.execute(meta.insert().values(schema_version=SCHEMA_VERSION, installation=str(uuid.uuid4())))
                made = tx.execute(_ABOUT).all()
        if len(made) != 1 or not isinstance(made[0].schema_version, int) or made[0].schema_version < 1:
            said = ", ".join(f"schema {row.schema_version!r}" for row in made) or "no schema's number"
            raise errors.DatabaseDamaged(f"{self._shown}: {said} is on record, which no Slipway wrote; {_PUT_BACK}")
        found, self.installation = made[0]
        if found > SCHEMA_VERSION:
            raise errors.DatabaseTooNew(
                f"{self._shown}: written by a newer Slipway (schema {found}, this one knows "
                f"{SCHEMA_VERSION}); upgrade Slipway"
            )
        if found < SCHEMA_VERSION and self._upgrades:
            if self._path is not None and self._may_write:
                self.kept = sqlitefile.keep(self._path, f"schema-{found}")
            with self.write() as tx:
                if self._postgresql:
                    postgresql.lock_schema(tx)
                upgrade(tx)

    def read(self, *, once: bool = False) -> AbstractContextManager[Transaction]:
        """A transaction that only reads, and sees one moment; so does a single statement (`once`) by itself."""
        return self._transaction(None if once else "BEGIN", {"reading": True}, snapshot=not once)

    @contextmanager
    def write(self, *, once: bool = False) -> Iterator[Transaction]:
        """A transaction that is committed at the end, or rolled back when an error leaves it.

        `once`: a single statement is all that is written, which SQLite commits by itself: beside other threads that is
        one wait for Python's lock in place of three.

        Raises a `StoreError` when it cannot begin, write or commit.
        """
        if not self._may_write:
            raise errors.DatabaseReadOnly(f"{self._shown}: it may not be written: {self._why_not()}; {_LOOK}")
        calls: list[Callable[[], None]] = []
        about = {"reading": False, "after_commit": calls, "savepoints": count(1)}
        with self._turn, self._transaction(None if once else "BEGIN IMMEDIATE", about, snapshot=False) as tx:
            yield tx
        for call in calls:
            call()
        if self._unscrubbed:
            self._unscrubbed = not self._checkpoint(wait=0)

    @contextmanager
    def _transaction(self, begin: str | None, about: dict[str, Any], *, snapshot: bool) -> Iterator[Transaction]:
        """One on a connection that nobody else uses.

        `begin`: what SQLite is told first; `snapshot`: whether PostgreSQL shows one moment; `about` is in its `info`.
        """
        idle = self._of_this_process()
        connection: Transaction | None = None
        try:
            connection = idle.take(self._is_gone) or self._connect()
            connection.info.update(about)
            if self._postgresql:
                postgresql.isolate(connection, snapshot=snapshot)
            if begin is not None:
                connection.begin()
                if isinstance(connection, QuickConnection):
                    connection.tell(begin)
            yield connection
            connection.commit()
        except DBAPIError as error:
            translated = self._translate(error)
            if translated is None:
                raise
            raise translated from error
        except Exception as error:
            # Whoever used the transaction may have taken it for an error of its own that the server has ended it.
            found = self._postgresql and postgresql.cause_of(error)
            if found and self.comes_back(translated := self._translate(found)) and translated is not None:
                raise translated from error
            raise
        finally:
            if connection is not None:
                # Nothing where it was committed.
                connection.rollback()
                idle.put(connection)

    def _of_this_process(self) -> IdleConnections:
        """The idle connections, with one for this thread. A parent's stay the parent's, who goes on with them."""
        if self._idle.pid != os.getpid():
            self._idle = IdleConnections(not_ours=self._idle)
            self.engine.dispose(close=False)
        use: UseOfThread | None = getattr(self._here, "use", None)
        if use is None or use.idle is not self._idle:
            self._here.use = UseOfThread(self._idle)
        return self._idle

    def _is_gone(self, connection: Transaction) -> bool:
        return self._postgresql and postgresql.is_cut(connection)

    def _connect(self) -> Transaction:
        if not self._postgresql:
            return QuickConnection(self.engine)
        until = time.monotonic() + BUSY_TIMEOUT
        while True:
            try:
                return self.engine.connect()
            except OperationalError:
                if not self._was_there or time.monotonic() >= until:
                    raise
            self._sleep(_AGAIN)

    def settled(self, table: str) -> int | None:
        """The number up to which all rows of a table, counted by `seq`, are on record that ever will be, for whoever
        looks from now on; None: all that are there are such, for SQLite has one writer at a time.

        A row's number is given before its commit, so on PostgreSQL those who write to the table just now are waited
        for. Nobody waits for us. Raises `DatabaseLocked` where one of them does not end.
        """
        if not self._postgresql:
            return None
        with self.read(once=True) as tx:
            number = postgresql.last_number(tx, table)
            writing, until = postgresql.writers(tx, table), time.monotonic() + BUSY_TIMEOUT
            while writing:
                if time.monotonic() >= until:
                    raise errors.DatabaseLocked(f"{self._shown}: another connection has written {table} and goes on")
                self._sleep(_SOON)
                writing &= postgresql.writers(tx, table)
        return number

    def comes_back(self, error: BaseException | None) -> bool:
        """Whether what failed so may be gone on with: a server's connection was cut, or another transaction was in the
        way. What was committed before is on record, and what was under way may be."""
        return self._postgresql and isinstance(error, errors.DatabaseUnavailable | errors.DatabaseConflict)

    def after_commit(self, tx: Transaction, call: Callable[[], None]) -> None:
        """Have `call` called once, after `tx` was committed; not at all when it is rolled back."""
        tx.info["after_commit"].append(call)

    def scrub(self) -> None:
        """Have nothing in SQLite's write-ahead log that is no longer in the database, whoever has it open.

        What is deleted is overwritten in the database, but the log keeps what was written until it is begun anew, which
        other processes put off. Where one of them reads or writes just then for longer than a moment, it is tried
        again after each commit, and at the end. Never raises: what was committed is committed.
        """
        if self._path is not None and self._may_write:
            self._unscrubbed = not self._checkpoint(wait=_SCRUB_TIMEOUT)

    def _checkpoint(self, *, wait: float) -> bool:
        """Whether all of the log is in the database, and the log is empty."""
        try:
            with self.read(once=True) as tx:
                connection = tx.connection.driver_connection
                assert connection is not None
                connection.execute(f"PRAGMA busy_timeout = {round(wait * 1000)}")
                try:
                    (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                finally:
                    connection.execute(f"PRAGMA busy_timeout = {round(BUSY_TIMEOUT * 1000)}")
        except (errors.StoreError, sqlite3.Error) as error:
            _log.warning("the write-ahead log of %s could not be emptied: %s", self._shown, error)
            return False
        return not busy

    def _why_not(self) -> str:
        found = sqlitefile.why_unusable(self._path) if self._path else None
        return found[1] if found else "its own permissions"

    def _translate(self, error: DBAPIError) -> errors.StoreError | None:
        """Our class for a database's error, None where it is not for us to say (a constraint that was violated)."""
        name = getattr(error.orig, "sqlite_errorname", "") or ""
        for prefix, kind, what in _SQLITE_ERRORS:
            if name.startswith(prefix):
                return kind(f"{self._shown}: {what.format(error.orig)}")
        if self._path is not None and name.startswith(_FILE_FAILED) and (found := sqlitefile.why_unusable(self._path)):
            return found[0](f"{self._shown}: {found[1]} ({error.orig})")
        if self._postgresql:
            return postgresql.translate(error, self._shown)
        if isinstance(error, OperationalError) or error.connection_invalidated:
            return errors.DatabaseUnavailable(f"{self._shown}: {error.orig}")
        return None

    def close(self) -> None:
        """Close all connections, each when its thread's transaction has ended; the store opens new ones if it is used
        again. SQLite crashes when a connection is closed while another thread uses it."""
        if self._unscrubbed:
            self._unscrubbed = not self._checkpoint(wait=_SCRUB_TIMEOUT)
        idle = self._of_this_process()
        self._idle = IdleConnections(not_ours=idle.not_ours)
        idle.close()
        self.engine.dispose()


_PUT_BACK = "put a backup in its place, or name another one with --db"
_LOOK = "`list`, `show`, `audit` and `console` work all the same"
_DAMAGED = f"it is damaged, or no database of Slipway's ({{}}); {_PUT_BACK}"
_NOT_OURS = f"its tables are not as this Slipway made them ({{}}); {_PUT_BACK}"

_SQLITE_ERRORS: tuple[tuple[str, type[errors.StoreError], str], ...] = (
    ("SQLITE_BUSY", errors.DatabaseLocked, "another process holds it ({})"),
    ("SQLITE_LOCKED", errors.DatabaseLocked, "another connection holds it ({})"),
    ("SQLITE_READONLY", errors.DatabaseReadOnly, f"it may not be written ({{}}); {_LOOK}"),
    ("SQLITE_FULL", errors.DatabaseFull, "no space is left on its disk ({})"),
    ("SQLITE_NOTADB", errors.DatabaseDamaged, _DAMAGED),
    ("SQLITE_CORRUPT", errors.DatabaseDamaged, _DAMAGED),
    ("SQLITE_FORMAT", errors.DatabaseDamaged, _DAMAGED),
    ("SQLITE_ERROR", errors.DatabaseDamaged, _NOT_OURS),
)
"""Our classes for SQLite's result codes."""

_FILE_FAILED = ("SQLITE_IOERR", "SQLITE_CANTOPEN")
"""Those of which only the file system knows the cause."""
