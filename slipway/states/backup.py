"""Copies of the record by SQLite's own means: taken while it is worked with, and put back."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path

from slipway import errors
from slipway.states import sqlitefile
from slipway.states.schema import SCHEMA_VERSION
from slipway.states.urls import parsed_url


def path_of(url: str) -> str:
    """The file of a record. Raises `DatabaseUnavailable` for one that is not a file of SQLite."""
    backend = url.partition(":")[0].partition("+")[0]
    path = sqlitefile.path_of(parsed_url(url)) if backend == "sqlite" else None
    if path is None:
        raise errors.DatabaseUnavailable(
            f"only a record in a file of SQLite is backed up and restored here; {backend} has tools of its own"
        )
    return path


def back_up(path: str, copy: Path, *, overwrite: bool = False) -> None:
    """Copy the record as it is at one moment, whoever works with it; the copy is this user's alone.

    It may bear secrets of builds under way. Raises `FileExistsError` where there is such a file, unless `overwrite`,
    `OSError` and a `StoreError` where it cannot be written or the record not be read.
    """
    if copy.exists() and not overwrite:
        raise FileExistsError(f"{copy} is there already")
    part = copy.with_name(f".{copy.name}.{os.getpid()}.part")
    try:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with _opened(f"file:{sqlitefile.quoted(path)}?mode=ro", path) as record, closing(sqlite3.connect(part)) as made:
            record.backup(made)
            made.execute("PRAGMA journal_mode = DELETE")
        os.replace(part, copy)
    finally:
        for left in (part, *part.parent.glob(f"{part.name}-*")):
            left.unlink(missing_ok=True)


def restore(copy: Path, path: str, *, at: datetime, force: bool = False) -> Path | None:
    """Put a copy in the record's place; gives where the record that was there is kept, if there was one.

    The copy is looked at before anything is changed. Raises `DatabaseUnavailable`, `DatabaseDamaged` and
    `DatabaseTooNew` for one that is none, `InstanceBusy` while something goes on with an instance of the record that is
    there, unless `force`, and a `StoreError` where it cannot be written.
    """
    _check(copy)
    there = os.path.exists(path) and os.path.getsize(path) > 0
    kept = Path(f"{path}.before-{at:%Y%m%dT%H%M%S}") if there else None
    if kept is not None:
        _set_aside(path, kept, force=force)
    sqlitefile.make_private(path, make=True)
    from_copy = f"file:{sqlitefile.quoted(str(copy))}?mode=ro&immutable=1"
    with _opened(from_copy, str(copy)) as source, _opened(path, path) as record:
        source.backup(record)
        record.execute("PRAGMA journal_mode = WAL")
        record.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return kept


def _set_aside(path: str, kept: Path, *, force: bool) -> None:
    """Keep the record that is there; a damaged one is moved as it is."""
    try:
        with _opened(f"file:{sqlitefile.quoted(path)}?mode=ro", path) as record:
            busy = record.execute("SELECT name FROM instances WHERE task_state IS NOT NULL ORDER BY name").fetchall()
    except errors.DatabaseDamaged:
        for suffix in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                os.replace(path + suffix, f"{kept}{suffix}")
        return
    if busy and not force:
        names = ", ".join(name for (name,) in busy)
        raise errors.InstanceBusy(
            f"something is going on with {names}; finish it with `slipway resume`, or say --force to give it up"
        )
    back_up(path, kept)


def _check(copy: Path) -> None:
    if not copy.is_file():
        raise errors.DatabaseUnavailable(f"{copy}: there is no such file")
    with _opened(f"file:{sqlitefile.quoted(str(copy))}?mode=ro&immutable=1", str(copy)) as source:
        (sound,) = source.execute("PRAGMA integrity_check(1)").fetchone()
        if sound != "ok":
            raise errors.DatabaseDamaged(f"{copy}: the copy is damaged: {sound}")
        names = {name for (name,) in source.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not {"meta", "instances", "effects", "hosts"} <= names:
            raise errors.DatabaseDamaged(f"{copy}: it is a database, but no record of Slipway's")
        (version,) = source.execute("SELECT schema_version FROM meta").fetchone() or (0,)
        if version > SCHEMA_VERSION:
            raise errors.DatabaseTooNew(f"{copy}: its schema is version {version}; this Slipway knows {SCHEMA_VERSION}")


@contextmanager
def _opened(target: str, name: str) -> Iterator[sqlite3.Connection]:
    try:
        with closing(sqlite3.connect(target, uri=target.startswith("file:"), timeout=30.0)) as connection:
            yield connection
    except sqlite3.OperationalError as error:
        raise errors.DatabaseUnavailable(f"{name}: {error}") from error
    except sqlite3.DatabaseError as error:
        raise errors.DatabaseDamaged(f"{name}: {error}") from error
