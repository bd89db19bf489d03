"""Room for images: a guest whose disk cannot grow any more is stopped, so some of it is left to those that run."""

from __future__ import annotations

import errno
import os

_KEPT = 1 << 30
_KEPT_PART = 20
"""Bytes of a file system that images do not take, at most one in so many."""


def check_room(path: str, size: int) -> None:
    """Raise the `OSError` of a full disk where the file system of `path` has not that much room to spare."""
    found = os.statvfs(path)
    kept = min(_KEPT, found.f_blocks * found.f_frsize // _KEPT_PART)
    free = found.f_bavail * found.f_frsize
    if size > free - kept:
        text = f"{os.strerror(errno.ENOSPC)}: {size} bytes are needed, {free} are free, of which {kept} are for guests"
        raise OSError(errno.ENOSPC, text)
