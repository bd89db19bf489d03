"""Files that are replaced as a whole and survive a kill at any point, for one writer at a time.

No fsync: a process that is killed loses nothing that the kernel has, and after a power cut the machines that these
files describe are gone as well.
"""

from __future__ import annotations

import fcntl
import hashlib
import math
import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count, takewhile
from pathlib import Path
from urllib.parse import quote, unquote

from slipway.drivers.deadline import left
from slipway.errors import StepTimeout

TEMPORARY = ".tmp"
"""How the name of a file ends that is not whole yet. A kill may leave one; the next writer takes its place."""


def file_name(text: str) -> str:
    """`text` as the name of a file: no text leads out of its directory, and UUIDs and plain names stay as they are."""
    name = quote(text, safe="")
    return f"%2E{name[1:]}" if name.startswith(".") else name


def text_of(name: str) -> str:
    """The text of which `file_name` made `name`."""
    return unquote(name)


def make_directories(path: Path) -> None:
    """Make the directory and those above it that are missing, each with mode 0700 whatever the umask allows."""
    if path.is_dir():
        return
    make_directories(path.parent)
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)


@contextmanager
def locked(directory: Path, name: str | None = None, *, shared: bool = False) -> Iterator[None]:
    """Be the only one who writes in the directory, among all threads and processes; ends with the process.

    With a `name` only whoever comes with the same one has to wait, and writes in the directory what is of that name;
    with `shared` as well, several read what is of that name, and nobody writes it meanwhile.
    Raises `FileNotFoundError` when the directory is absent, `StepTimeout` where it is in use for too long.
    """
    # Opened anew each time: threads, and processes after a fork, would share the lock of a file that they share.
    fd = os.open(f"{directory}/.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        wait_for_lock(fd, name, shared=shared)
        yield
    finally:
        # Said, not left to the close: a child forked meanwhile still has the file open.
        _lock(fd, name, fcntl.LOCK_UN)
        os.close(fd)


def wait_for_lock(fd: int, name: str | None = None, *, shared: bool = False) -> None:
    """Have the lock of an open file, of those with this name where there is one.

    Raises `StepTimeout` where another thread or process, which may be stopped, has it until the call is to be back.
    """
    pause = _SHORTEST_PAUSE
    while True:
        try:
            _lock(fd, name, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            try:
                time.sleep(min(pause, left(math.inf)))
            except StepTimeout as error:
                what = os.readlink(f"/proc/self/fd/{fd}")
                raise StepTimeout(f"{what} is locked by another thread or process: {error}") from error
            pause = min(2 * pause, _LONGEST_PAUSE)
        else:
            return


_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.0005, 0.02
"""Seconds between two tries to get a lock: whoever has one has it for less than a millisecond, or for very long."""

_FLOCK = struct.Struct("hhqqi4x")
"""`struct flock`: kind, from where, first byte, how many, and nobody, since the lock is an open file's."""

_KINDS = {
    fcntl.LOCK_EX | fcntl.LOCK_NB: fcntl.F_WRLCK,
    fcntl.LOCK_SH | fcntl.LOCK_NB: fcntl.F_RDLCK,
    fcntl.LOCK_UN: fcntl.F_UNLCK,
}


def _lock(fd: int, name: str | None, how: int) -> None:
    """A name stands for one byte, far behind the end of the file: so many locks need no file each."""
    if name is None:
        fcntl.flock(fd, how)
        return
    at = int.from_bytes(hashlib.sha256(name.encode()).digest()[:7])
    fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _FLOCK.pack(_KINDS[how], os.SEEK_SET, at, 1, 0))


def replace(path: str, content: bytes) -> None:
    """Write the file with mode 0600 in one step: a reader sees the old content or the new. Needs `locked`."""
    temporary = path + TEMPORARY
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(fd, "wb") as file:
        file.write(content)
    os.rename(temporary, path)


def remove(path: str) -> None:
    """Delete the file and what a killed writer left of it. Absent: nothing happens. Needs `locked`."""
    for name in (path + TEMPORARY, path):
        with suppress(FileNotFoundError):
            os.unlink(name)


def clear(path: str, *, whole: bool = False) -> None:
    """Rename what is in a file's place and is none, such as a directory, with all that is in it; `whole`: a file too.

    Needs `locked`. Raises `FileExistsError` for a link: what it leads to may be just what is wanted.
    """
    if os.path.islink(path):
        raise FileExistsError(f"{path} is a link: put the file itself in its place")
    if os.path.lexists(path) and (whole or not os.path.isfile(path)):
        os.rename(path, next(name for name in _names_beside(path) if not os.path.lexists(name)))


def _names_beside(path: str) -> Iterator[str]:
    return (f"{path}.aside-{number}" for number in count(1))


def put_aside(log: str) -> list[str]:
    """The files that virtlogd has made of the log so far, beside the one that grows; the newest is the first."""
    return list(takewhile(os.path.exists, (f"{log}.{number}" for number in count())))
