"""Files that are replaced as a whole and survive a kill at any point, for one writer at a time.

No fsync: a process that is killed loses nothing that the kernel has, and after a power cut the machines that these
files describe are gone as well.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count, takewhile
from pathlib import Path
from urllib.parse import quote, unquote

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
def locked(directory: Path) -> Iterator[None]:
    """Be the only one who writes in the directory, among all threads and processes; ends with the process.

    Raises `FileNotFoundError` when the directory is absent.
    """
    # Opened anew each time: threads, and processes after a fork, would share the lock of a file that they share.
    fd = os.open(f"{directory}/.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        # Said, not left to the close: a child forked meanwhile still has the file open.
        fcntl.flock(fd, fcntl.LOCK_UN)
        os.close(fd)


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


def put_aside(log: str) -> list[str]:
    """The files that virtlogd has made of the log so far, beside the one that grows; the newest is the first."""
    return list(takewhile(os.path.exists, (f"{log}.{number}" for number in count())))
