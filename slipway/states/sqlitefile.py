"""The file of an SQLite database: this user's alone, whether it may be written, and why it could not be used."""

from __future__ import annotations

import errno
import os
import pwd
import sqlite3
import stat
import tempfile
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote, unquote

import sqlalchemy as sa

from slipway import errors

_BESIDE = ("-wal", "-shm", "-journal")
"""What SQLite puts beside the database, with the database's mode."""

_PROBE = b"\0" * 65536
"""As much as SQLite's shared memory needs."""

_REFUSALS = {
    errno.ENOSPC: (errors.DatabaseFull, "no space is left on its disk"),
    errno.EDQUOT: (errors.DatabaseFull, "its owner's disk quota is used up"),
    errno.EFBIG: (errors.DatabaseFull, "no file may be as large"),
    errno.EROFS: (errors.DatabaseReadOnly, "its file system is read-only"),
    errno.EACCES: (errors.DatabaseReadOnly, "its directory may not be written"),
    errno.EPERM: (errors.DatabaseReadOnly, "its directory may not be written"),
}


def path_of(url: sa.URL) -> str | None:
    """The real path of the file that the URL names; None where it is a database in memory."""
    name, uri = url.database or "", "uri" in url.query
    if uri and name.startswith("file:"):
        name = unquote(name.removeprefix("file:").partition("?")[0])
    if name in ("", ":memory:") or url.query.get("mode") == "memory":
        return None
    if os.path.islink(name):
        _check_owner(name)
    return os.path.realpath(name)


def make_private(path: str, *, make: bool) -> None:
    """See that nobody else may read or change the database, and make an empty one if it may be made.

    The modes of what is there lose what they give to others. Raises `DatabaseUnavailable` where it is not there,
    `DatabaseUnsafe` where it or its directory is another user's, or where others may write in the directory.
    """
    directory = os.path.dirname(path)
    if not os.path.isdir(directory):
        raise errors.DatabaseUnavailable(f"{path}: the directory does not exist")
    check_directory(directory)
    if make:
        # Neither opened nor closed here: a close ends all locks that SQLite has on the file in this process.
        try:
            with suppress(FileExistsError):
                os.mknod(path, stat.S_IFREG | 0o600)
                os.chmod(path, 0o600)
        except OSError as error:
            kind, why = refusal(error)
            raise kind(f"{path}: it cannot be made: {why}") from error
    elif not os.path.exists(path):
        raise errors.DatabaseUnavailable(f"{path}: there is no such database")
    for suffix in ("", *_BESIDE):
        with suppress(FileNotFoundError):
            _make_private(path + suffix)
    if not os.access(path, os.R_OK):
        raise errors.DatabaseUnavailable(f"{path}: it may not be read")


def make_state(directory: Path) -> None:
    """Make the directory of a machine's state, with mode 0700 whatever the umask, or see that it is this user's.

    Raises `DatabaseUnsafe`, and `OSError` where it cannot be made.
    """
    if not directory.is_dir():
        directory.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            directory.mkdir(mode=0o700)
            directory.chmod(0o700)
    check_directory(os.path.realpath(directory))


def check_directory(directory: str) -> None:
    """Raise `DatabaseUnsafe` where somebody else could put another file in a file's place."""
    found = os.stat(directory)
    if found.st_uid not in (0, os.geteuid()):
        raise errors.DatabaseUnsafe(
            f"{directory}: the directory belongs to {_user(found.st_uid)}, who could put another database in it; use a "
            "directory of your own"
        )
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not found.st_mode & stat.S_ISVTX:
        raise errors.DatabaseUnsafe(
            f"{directory}: others may write in the directory and could put another database in it; `chmod go-w "
            f"{directory}` keeps them out"
        )


def _make_private(name: str) -> None:
    found = _check_owner(name)
    if not stat.S_ISREG(found.st_mode):
        raise errors.DatabaseUnavailable(f"{name}: it is not a file")
    if stat.S_IMODE(found.st_mode) & ~0o700:
        try:
            os.chmod(name, stat.S_IMODE(found.st_mode) & 0o700)
        except OSError as error:
            # Others may read it then; but nothing that it does not hold already can get into it.
            if error.errno != errno.EROFS:
                raise


def _check_owner(name: str) -> os.stat_result:
    found = os.lstat(name)
    if found.st_uid != os.geteuid():
        raise errors.DatabaseUnsafe(
            f"{name}: it belongs to {_user(found.st_uid)}, and is trusted by nobody else; run this as that user, or "
            "give the file to the one who runs it"
        )
    return found


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def may_be_written(path: str) -> bool:
    """Whether SQLite can write the database, and what it needs beside it."""
    beside = all(os.access(path + suffix, os.W_OK) for suffix in ("-wal", "-shm"))
    return os.access(path, os.W_OK) and (beside or os.access(os.path.dirname(path), os.W_OK | os.X_OK))


def uri_for_reading(path: str) -> str:
    """The URI by which SQLite reads a database that may not be written.

    Without a write-ahead log nobody writes it, and SQLite need not put its shared memory beside it, as it otherwise
    must. Raises `DatabaseReadOnly` where the log cannot be read without the shared memory.
    """
    log, shared = (f"{path}{suffix}" for suffix in ("-wal", "-shm"))
    immutable = not os.path.exists(log) or os.stat(log).st_size == 0
    if not immutable and not os.path.exists(shared):
        raise errors.DatabaseReadOnly(
            f"{path}: it may not be written, and its last changes are in {log}, which is read only with "
            f"{shared} beside it; copy {path} and {log} to a place that may be written"
        )
    return f"file:{quote(path)}?mode=ro" + ("&immutable=1" if immutable else "")


def keep(path: str, why: str) -> str:
    """Copy a database beside itself, as it is at one moment, with mode 0600; gives the copy's path.

    One of an earlier try is replaced. Raises `DatabaseFull` and the like where it cannot be written.
    """
    copy = f"{path}.{why}"
    try:
        with suppress(FileNotFoundError):
            os.unlink(copy)
        os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
    except OSError as error:
        kind, text = refusal(error)
        raise kind(f"{copy}: the record is not copied before its upgrade: {text}") from error
    except sqlite3.Error as error:
        kind, text = why_unusable(path) or (errors.DatabaseUnavailable, str(error))
        raise kind(f"{copy}: the record is not copied before its upgrade: {text}") from error
    return copy


def refusal(error: OSError) -> tuple[type[errors.StoreError], str]:
    """Our class for what a file system refuses, and in words why."""
    known = _REFUSALS.get(error.errno or 0)
    return known or (errors.DatabaseUnavailable, error.strerror or str(error))


def why_unusable(path: str) -> tuple[type[errors.StoreError], str] | None:
    """What the file system says where SQLite only says that the disk failed or that a file cannot be opened: asked by
    writing something beside the database. None where that can be done."""
    directory = os.path.dirname(path)
    try:
        with tempfile.TemporaryFile(dir=directory) as probe:
            probe.write(_PROBE)
    except FileNotFoundError:
        return errors.DatabaseUnavailable, "its directory is gone"
    except OSError as error:
        return refusal(error)
    return None
