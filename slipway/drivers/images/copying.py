"""Files of this machine from which images are made: opened as what they must be, and copied with their holes."""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from slipway.drivers.deadline import left
from slipway.errors import ImageUnacceptable

_CHUNK = 1 << 20


@contextmanager
def opened(name: str, path: str) -> Iterator[int]:
    """The descriptor of an image's file. Raises `ImageUnacceptable` for what cannot be read or is no file."""
    try:
        # A named pipe would be waited for.
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise ImageUnacceptable(f"image {name}: {path} cannot be read: {error.strerror}") from error
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise ImageUnacceptable(f"image {name}: {path} is not a file")
        yield file
    finally:
        os.close(file)


def copy(file: int, target: str, digest: Any) -> None:
    """Copy the file, and tell hashlib's `digest` all of it; holes stay holes. Raises `OSError`, `StepTimeout`."""
    # Buffered: of a raw write to a disk that is nearly full a part is missing, and nobody says so.
    with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as made:
        while chunk := os.read(file, _CHUNK):
            left(math.inf)
            digest.update(chunk)
            if chunk.count(0) == len(chunk):
                made.seek(len(chunk), os.SEEK_CUR)
            else:
                made.write(chunk)
        made.truncate(made.tell())
