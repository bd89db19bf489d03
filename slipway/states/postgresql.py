"""A database of PostgreSQL's: how it is connected to, whether a connection is still there, and its errors in our
classes."""

from __future__ import annotations

import select
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from slipway import errors

_CONNECTING: Mapping[str, Any] = {
    "application_name": "slipway",
    "connect_timeout": 10,
    # A server that is cut off is given up within a minute, where TCP alone waits for hours.
    "keepalives_idle": 20,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 50_000,
}
"""What libpq is told where the URL says nothing else, in seconds (the last one in milliseconds)."""

_SCHEMA_LOCK = 0x536C6970776179
"""The number of the advisory lock under which tables are made and changed: "Slipway" in ASCII."""

_NETWORK_LOCK = _SCHEMA_LOCK + 1
"""That of who looks at networks, or at what a run file names, and writes by what it saw."""

_ERRORS: tuple[tuple[str, type[errors.StoreError], str], ...] = (
    ("40001", errors.DatabaseConflict, "another transaction was in the way ({})"),
    ("40P01", errors.DatabaseConflict, "another transaction was in the way ({})"),
    ("55P03", errors.DatabaseLocked, "another connection holds it ({})"),
    ("53100", errors.DatabaseFull, "no space is left on its disk ({})"),
    ("25006", errors.DatabaseReadOnly, "it may not be written ({}); name its primary server with --db"),
    ("42501", errors.DatabaseReadOnly, "its user may not do this ({}); grant it, or name another user with --db"),
    ("3F000", errors.DatabaseReadOnly, "its user may not do this ({}); grant it, or name another user with --db"),
    ("42P01", errors.DatabaseDamaged, "its tables are not as this Slipway made them ({}); name another one with --db"),
    ("42703", errors.DatabaseDamaged, "its tables are not as this Slipway made them ({}); name another one with --db"),
)
"""Our classes for PostgreSQL's codes: serialization failure and deadlock; lock time-out; disk full; a standby; lacking
privileges; no schema to make tables in; no such table or column."""


_ALONE = sa.text(f"SELECT pg_advisory_xact_lock({_NETWORK_LOCK})")
_LAST_NUMBER = sa.text("SELECT pg_sequence_last_value(CAST(pg_get_serial_sequence(:table, 'seq') AS regclass))")
_WRITERS = sa.text(
    "SELECT virtualtransaction FROM pg_locks WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' AND granted "
    "AND relation = CAST(:table AS regclass) AND pid != pg_backend_pid() "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
_TOGETHER = sa.text(f"SELECT pg_advisory_xact_lock_shared({_NETWORK_LOCK})")


def options(url: sa.URL) -> dict[str, Any]:
    """Those of SQLAlchemy's engine, which keeps no connections: the store does."""
    connecting = {name: value for name, value in _CONNECTING.items() if name not in url.query}
    return {"connect_args": connecting, "poolclass": sa.NullPool}


def check_options(names: Iterable[str]) -> None:
    """Raise `ValueError` for an option of a URL that libpq does not know."""
    from psycopg.pq import Conninfo

    if unknown := {*names} - {option.keyword.decode() for option in Conninfo.get_defaults()}:
        raise ValueError(f"there is no {', '.join(sorted(unknown))}")


def set_up(connection: Any, busy_timeout: float) -> None:
    """Make a new connection of psycopg's ready: nobody is waited for longer than `busy_timeout` seconds.

    Raises `DatabaseUnavailable` for a database whose texts are not UTF-8.
    """
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise errors.DatabaseUnavailable(
            f"database {connection.info.dbname}: its encoding is {encoding}, and names may have any characters: make "
            "one with `createdb --encoding UTF8 --template template0`"
        )
    connection.execute(f"SET lock_timeout = {round(busy_timeout * 1000)}")
    connection.commit()


def isolate(tx: sa.Connection, *, snapshot: bool) -> None:
    """Have the transaction that is about to begin see one moment (`snapshot`), or each statement its own."""
    if tx.info.get("snapshot", False) is not snapshot:
        from psycopg import IsolationLevel

        level = IsolationLevel.REPEATABLE_READ if snapshot else IsolationLevel.READ_COMMITTED
        tx.connection.driver_connection.isolation_level = level  # type: ignore[union-attr]
        tx.info["snapshot"] = snapshot


def is_cut(tx: sa.Connection) -> bool:
    """Whether the server has ended a connection on which nothing is going on. A live one is not asked."""
    connection = tx.connection.driver_connection
    assert connection is not None
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if not poll.poll(0):
        return False
    # Something has come unasked: a notice, or the end.
    try:
        connection.execute("SELECT 1")
        connection.rollback()
    except Exception:  # noqa: BLE001 - whatever is wrong with it, another one is made
        return True
    return False


def lock_schema(tx: sa.Connection) -> None:
    """Let nobody else make or change tables until the transaction ends."""
    tx.execute(sa.text(f"SELECT pg_advisory_xact_lock({_SCHEMA_LOCK})"))


def lock_network(tx: sa.Connection, *, alone: bool) -> None:
    """Have the networks, and what run files name, stay as they are until the transaction ends, but for what it does
    itself: nobody else is `alone` with them meanwhile, nor is anybody at all where we are.

    Elsewhere than on PostgreSQL whoever writes is alone anyway.
    """
    if tx.dialect.name == "postgresql":
        tx.execute(_ALONE if alone else _TOGETHER)


def last_number(tx: sa.Connection, table: str) -> int:
    """The last number that was given out for the column `seq` of a table, whether its row is there or not."""
    return int(tx.scalar(_LAST_NUMBER, {"table": table}) or 0)


def writers(tx: sa.Connection, table: str) -> set[str]:
    """The transactions of others that write to a table: each is among them before it is given a number for its row, and
    until it has ended."""
    return {*tx.scalars(_WRITERS, {"table": table})}


def translate(error: sa.exc.DBAPIError, shown: str) -> errors.StoreError | None:
    """Our class for an error of psycopg's, None where it is not for us to say (a constraint that was violated)."""
    code, text = getattr(error.orig, "sqlstate", None), in_one_line(error.orig)
    for known, kind, what in _ERRORS:
        if code == known:
            return kind(f"{shown}: {what.format(text)}")
    if isinstance(error, sa.exc.OperationalError) or error.connection_invalidated:
        return errors.DatabaseUnavailable(f"{shown}: {text}")
    return None


def cause_of(error: BaseException) -> sa.exc.DBAPIError | None:
    """The database's error that another one comes from; None where it comes from none."""
    cause: BaseException | None = error
    for _ in range(_MOST_CAUSES):
        cause = cause and (cause.__cause__ or cause.__context__)
        if isinstance(cause, sa.exc.DBAPIError):
            return cause
    return None


_MOST_CAUSES = 20


def in_one_line(error: object) -> str:
    """What libpq says, of one address where it has tried several of one name."""
    lines = [line.strip() for line in str(error).splitlines()]
    tried = [line.partition(": ") for line in lines if line.startswith("- host:")]
    if tried:
        lines = list(dict.fromkeys(line.rpartition("': ")[2] for line in lines if line.startswith("- host:")))
    text = "; ".join(line for line in lines if line)
    return text.removeprefix("connection failed: ").removeprefix("connection is bad: ")
