"""Compressed images (xz, gzip, zstd) unpacked while they are read, never to more bytes than was said."""

from __future__ import annotations

import lzma
import math
import os
import subprocess
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from slipway.drivers.deadline import left
from slipway.drivers.images.room import check_room
from slipway.errors import DiskError, ImageUnacceptable

_CHUNK = 1 << 20
_MEMORY = 1 << 30
"""Bytes of memory that unpacking may take: a dictionary's size is up to who has packed."""

_MAGIC = {b"\xfd7zXZ\0": "xz", b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}


def packed_by(path: str) -> str | None:
    """By what a file is compressed, told by its first bytes. Raises `OSError`."""
    with open(path, "rb") as file:
        start = file.read(6)
    return next((name for magic, name in _MAGIC.items() if start.startswith(magic)), None)


def unpack(what: str, packed: str, path: str, target: str, most: int) -> None:
    """Write to `target` what is packed in `path`, `most` bytes at most; holes become holes. `what` is its name.

    Raises `ImageUnacceptable` for what is cut off, damaged, or larger, `DiskError` where it cannot be unpacked here,
    `StepTimeout` in time, and `OSError`, also for want of room.
    """
    chunks = _zstd if packed == "zstd" else _by_library
    fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(fd, "wb") as file, open(path, "rb") as source:
        size = 0
        for chunk in chunks(what, packed, source):
            left(math.inf)
            size += len(chunk)
            if size > most:
                raise ImageUnacceptable(f"{what} has more than {most} bytes unpacked; --max-size allows more")
            if chunk.count(0) == len(chunk):
                file.seek(len(chunk), os.SEEK_CUR)
            else:
                check_room(target, len(chunk))
                file.write(chunk)
        file.truncate(size)


class _Stream:
    """One of the library's, which gives so much at most at a time, whatever has been packed."""

    def __init__(self, packed: str) -> None:
        if packed == "xz":
            self._of: Any = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY)
            self.more: Callable[[bytes], bytes] = lambda data: self._of.decompress(data, _CHUNK)
            self.wants: Callable[[], bool] = lambda: self._of.needs_input
        else:
            self._of = zlib.decompressobj(zlib.MAX_WBITS | 16)
            self.more = lambda data: self._of.decompress(self._of.unconsumed_tail + data, _CHUNK)
            self.wants = lambda: not self._of.unconsumed_tail

    @property
    def ended(self) -> bool:
        """Whether its end was seen."""
        return bool(self._of.eof)

    @property
    def rest(self) -> bytes:
        """What came after that."""
        return bytes(self._of.unused_data)


def _by_library(what: str, packed: str, source: BinaryIO) -> Iterator[bytes]:
    """Several streams may follow each other, and zeros the last one."""
    stream = _Stream(packed)
    data = source.read(_CHUNK)
    with _translated(what, packed):
        while True:
            if chunk := stream.more(data):
                yield chunk
            data = b""
            if stream.ended:
                data = stream.rest.lstrip(b"\0") or _next(source)
                if not data:
                    return
                stream = _Stream(packed)
            elif stream.wants():
                data = source.read(_CHUNK)
                if not data:
                    raise EOFError
            elif not chunk and not stream.wants():
                # It has more to give from what it has.
                continue


def _next(source: BinaryIO) -> bytes:
    """What comes after zeros."""
    while data := source.read(_CHUNK):
        if data := data.lstrip(b"\0"):
            return data
    return b""


@contextmanager
def _translated(what: str, packed: str) -> Iterator[None]:
    try:
        yield
    except EOFError as error:
        raise ImageUnacceptable(f"{what} is cut off: its end ({packed}) is missing; get it once more") from error
    except (lzma.LZMAError, zlib.error) as error:
        raise ImageUnacceptable(f"{what} cannot be unpacked ({packed}): {error}") from error


def _zstd(what: str, packed: str, source: BinaryIO) -> Iterator[bytes]:
    """By the program, since Python has no library for it."""
    command = ["prlimit", f"--as={2 * _MEMORY}", "--", "zstd", "-dcq", "--memory=1024MiB"]
    try:
        process = subprocess.Popen(
            command, stdin=source, stdout=subprocess.PIPE, stderr=subprocess.PIPE, process_group=0
        )
    except OSError as error:
        raise DiskError(f"{error.filename} cannot be run: {error.strerror}; install util-linux") from error
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        while chunk := process.stdout.read(_CHUNK):
            yield chunk
        said = " ".join(process.stderr.read().decode(errors="replace").split())
        code = process.wait()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()
    if code == 127:
        raise DiskError("zstd cannot be run; install zstd")
    if code:
        cut = " is cut off:" if "unexpected end" in said.lower() or "premature" in said.lower() else ""
        raise ImageUnacceptable(f"{what}{cut} cannot be unpacked ({packed}): {said or f'zstd ended with {code}'}")
