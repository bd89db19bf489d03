"""Room for images: a guest whose disk cannot grow any more is stopped, so some of it is left to those that run."""

from __future__ import annotations

import errno
import os

_KEPT = 1 << 30
_KEPT_PART = 20
"""Bytes of a file system that images do not take, at most one in so many."""


def spare(path: str) -> int:
    """The bytes that the file system of `path` has to spare."""
    free, kept = _free_and_kept(path)
    return max(0, free - kept)


def capacity(path: str) -> int:
    """The bytes of the file system of `path`, whoever has them."""
    found = os.statvfs(path)
    return found.f_blocks * found.f_frsize


def _free_and_kept(path: str) -> tuple[int, int]:
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize, min(_KEPT, found.f_blocks * found.f_frsize // _KEPT_PART)


def check_room(path: str, size: int) -> None:
    """Raise the `OSError` of a full disk where the file system of `path` has not that much room to spare."""
    free, kept = _free_and_kept(path)
    if size > free - kept:
        text = f"{os.strerror(errno.ENOSPC)}: {size} bytes are needed, {free} are free, of which {kept} are for guests"
        raise OSError(errno.ENOSPC, text)
