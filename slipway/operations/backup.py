"""The whole record as one file, by SQLite's own means and while it is worked on; and such a file put back."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path

from msgspec import Struct

from slipway import errors
from slipway.states import sqlitefile
from slipway.states.schema import SCHEMA_VERSION
from slipway.states.store import Store
from slipway.states.urls import parsed_url
from slipway.texts import masked_url

_OTHERS_WAIT = 2.0
"""Seconds that others' transactions are waited for."""


class Restored(Struct, frozen=True):
    """What was put back: how many instances it has and which of them were being worked on; `kept`: what was there."""

    database: str
    instances: int
    unfinished: tuple[str, ...]
    kept: str | None


def back_up(store: Store, target: Path, *, force: bool = False) -> None:
    """Copy the record as it is at one moment to a file with mode 0600, whoever works on it meanwhile.

    Another database than a file of SQLite's is refused, and so is a file that is there already unless `force` is given.
    Nothing is left where it fails. Raises `BackupRefused`, and a `StoreError` where the record cannot be read.
    """
    path = _path_of(store.url)
    if os.path.exists(target) and os.path.samefile(path, target):
        raise errors.BackupRefused(f"{target}: this is the database itself")
    with store.read() as tx:
        connection = tx.connection.driver_connection
        assert isinstance(connection, sqlite3.Connection)
        _copy(connection, target, force=force)


def check_backup(file: Path) -> None:
    """Raise `BackupRefused`, or `DatabaseTooNew`, for what is no whole record that this Slipway knows."""
    with _opened(file) as backup:
        _check_backup(backup, file)


def put_back(file: Path, url: str, *, now: datetime, force: bool = False) -> Restored:
    """Put a backup in the place of the record in the database at `url`, which is kept beside it.

    Refused while anybody has that database open; and, unless `force` is given, while instances of its are not at rest,
    or where it is another installation's. One that is damaged is put aside. Raises `BackupRefused` and a `StoreError`,
    and has changed nothing then.
    """
    path = _path_of(url)
    kept = _free(f"{path}.{now:%Y%m%d-%H%M%S}")
    if os.path.exists(path) and os.path.exists(file) and os.path.samefile(path, file):
        raise errors.BackupRefused(f"{file}: this is the database itself")
    with _opened(file) as backup:
        installation = _check_backup(backup, file)
        if os.path.exists(path):
            sqlitefile.make_private(path, make=False)
            with _held(path) as database:
                is_record = database is not None and _check_replaceable(database, path, installation, force=force)
                if database is not None:
                    if is_record:
                        _copy(database, Path(kept))
                    _overwrite(backup, database, path)
            if database is None:
                _put_aside(path, kept)
        if not os.path.exists(path):
            sqlitefile.check_directory(os.path.dirname(path))
            _copy(backup, Path(path))
        (count,) = backup.execute("SELECT count(*) FROM instances WHERE vm_state != 'DELETED'").fetchone()
        unfinished = backup.execute("SELECT name FROM instances WHERE task_state IS NOT NULL ORDER BY name").fetchall()
    return Restored(path, count, tuple(name for (name,) in unfinished), kept if os.path.exists(kept) else None)


def _free(name: str) -> str:
    """The name, with a number where several were kept in that second."""
    names = (name, *(f"{name}-{number}" for number in range(2, 1000)))
    for one in names:
        if not os.path.lexists(one):
            return one
    raise errors.BackupRefused(f"{name}: so many are there already")


def _put_aside(path: str, kept: str) -> None:
    for suffix in ("-wal", "-shm", "-journal", ""):
        with suppress(FileNotFoundError):
            os.rename(path + suffix, kept + suffix)


def _path_of(url: str) -> str:
    parsed = parsed_url(url)
    path = sqlitefile.path_of(parsed) if parsed.get_backend_name() == "sqlite" else None
    if path is None:
        server = parsed.get_backend_name() == "postgresql"
        means = "pg_dump and pg_restore" if server else "the database's own means"
        raise errors.BackupRefused(
            f"{masked_url(url)}: only a record in a file of SQLite's is backed up and restored by Slipway; use {means} "
            f"for this one"
        )
    return path


def _copy(source: sqlite3.Connection, target: Path, *, force: bool = False) -> None:
    """A file that needs no other one beside it; it gets its name when it is whole and on the disk."""
    if target.is_dir():
        raise errors.BackupRefused(f"{target}: it is a directory")
    if not force and os.path.lexists(target):
        raise errors.BackupRefused(f"{target}: it is there already; --force replaces it")
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        try:
            with closing(sqlite3.connect(temporary, isolation_level=None)) as copy:
                source.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")
                _check_whole(copy, str(target))
            _sync(temporary)
            if force:
                os.replace(temporary, target)
            else:
                os.link(temporary, target)
            _sync(target.parent)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(temporary)
    except FileExistsError as error:
        raise errors.BackupRefused(f"{target}: it is there already; --force replaces it") from error
    except OSError as error:
        raise errors.BackupRefused(f"{target}: it cannot be written: {error.strerror or error}") from error
    except sqlite3.Error as error:
        raise errors.BackupRefused(f"{target}: it cannot be written: {error}") from error


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def _opened(file: Path) -> Iterator[sqlite3.Connection]:
    if not file.is_file():
        raise errors.BackupRefused(f"{file}: {'it is no file' if file.exists() else 'there is no such file'}")
    if not os.access(file, os.R_OK):
        raise errors.BackupRefused(f"{file}: it may not be read")
    with closing(sqlite3.connect(sqlitefile.uri_for_reading(os.path.realpath(file)), uri=True)) as backup:
        yield backup


def _check_backup(backup: sqlite3.Connection, file: Path) -> str:
    """Whether it is a whole record that this Slipway knows; the installation's id."""
    try:
        _check_whole(backup, str(file))
        made = _about(backup)
    except sqlite3.Error as error:
        raise errors.BackupRefused(f"{file}: it is no backup of Slipway's: {error}") from error
    if made is None:
        raise errors.BackupRefused(f"{file}: it is no backup of Slipway's: there is no record in it")
    version, installation = made
    if version > SCHEMA_VERSION:
        raise errors.DatabaseTooNew(
            f"{file}: written by a newer Slipway (schema {version}, this one knows {SCHEMA_VERSION}); upgrade Slipway"
        )
    return installation


def _check_whole(database: sqlite3.Connection, name: str) -> None:
    said = [text for (text,) in database.execute("PRAGMA integrity_check")]
    if said != ["ok"]:
        raise errors.BackupRefused(f"{name}: it is damaged: {'; '.join(said[:3])}")


def _about(database: sqlite3.Connection) -> tuple[int, str] | None:
    """The schema's version and the installation's id; None where there is no record, or one of no meaning."""
    tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not {"meta", "hosts", "instances", "effects"} <= tables:
        return None
    made = database.execute("SELECT schema_version, installation FROM meta").fetchall()
    if len(made) != 1 or not isinstance(made[0][0], int) or made[0][0] < 1 or not isinstance(made[0][1], str):
        return None
    return made[0][0], made[0][1]


@contextmanager
def _held(path: str) -> Iterator[sqlite3.Connection | None]:
    """The database that is there, which nobody else has open meanwhile; None: it is none, or damaged."""
    with closing(sqlite3.connect(path, timeout=_OTHERS_WAIT, isolation_level=None)) as database:
        try:
            database.execute("PRAGMA locking_mode = EXCLUSIVE")
            # SQLite gives up the write-ahead log only where nobody else has the database open.
            (mode,) = database.execute("PRAGMA journal_mode = DELETE").fetchone()
            database.execute("BEGIN EXCLUSIVE")
            database.execute("COMMIT")
            said = [text for (text,) in database.execute("PRAGMA integrity_check")]
        except sqlite3.OperationalError as error:
            mode, said = str(error), []
        except sqlite3.DatabaseError:
            mode, said = "delete", ["damaged"]
        if mode != "delete":
            raise errors.BackupRefused(
                f"{path}: another process has it open, and would go on by what it knows of it: end it first, be it a "
                f"run, a `slipway watch` or a program of your own ({mode})"
            )
        yield database if said == ["ok"] else None


def _check_replaceable(database: sqlite3.Connection, path: str, installation: str, *, force: bool) -> bool:
    """Whether there is a record in it. Raises `BackupRefused` for one that must stay, or a database of others."""
    if not database.execute("SELECT name FROM sqlite_master LIMIT 1").fetchall():
        return False
    made = _about(database)
    if made is None:
        raise errors.BackupRefused(f"{path}: what is there is no record of Slipway's; move it away, or name another")
    if made[0] > SCHEMA_VERSION:
        raise errors.DatabaseTooNew(f"{path}: written by a newer Slipway (schema {made[0]}); upgrade Slipway")
    busy = [name for (name,) in database.execute("SELECT name FROM instances WHERE task_state IS NOT NULL")]
    if busy and not force:
        raise errors.BackupRefused(
            f"{path}: {', '.join(busy)} {'is' if len(busy) == 1 else 'are'} not at rest, and what was begun would be "
            f"forgotten: `slipway resume` finishes it; --force restores all the same"
        )
    if made[1] != installation and not force:
        raise errors.BackupRefused(
            f"{path}: the record there is another installation's ({made[1]}) than the backup ({installation}): what "
            f"was made by it would be nobody's; --force restores all the same"
        )
    return True


def _overwrite(backup: sqlite3.Connection, database: sqlite3.Connection, path: str) -> None:
    """One transaction of SQLite's: all of it or nothing, whatever is cut off."""
    try:
        database.execute("PRAGMA secure_delete = ON")
        backup.backup(database)
        _check_whole(database, path)
    except sqlite3.Error as error:
        raise errors.BackupRefused(f"{path}: the backup could not be written to it: {error}") from error
