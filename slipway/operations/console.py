"""What a guest wrote to its first serial port: the end of its log, and what comes after that."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import BinaryIO

from slipway.drivers.compute.base import ComputeDriver
from slipway.errors import ConsoleUnavailable
from slipway.model.record import Instance

_BLOCK = 1 << 16


def find_log(instance: Instance, compute: ComputeDriver) -> str:
    """The path of the instance's log on its host. Raises `ConsoleUnavailable`."""
    path = compute.console_log(instance.id)
    if path is None:
        text = f"instance {instance.name} has no console log: {instance.host} simulates no guest that would write one"
        raise ConsoleUnavailable(text)
    if not os.path.exists(path):
        raise ConsoleUnavailable(f"instance {instance.name} has no console log yet: {path} is not there")
    return path


def read_log(path: str, lines: int | None, wait: Callable[[], bool] | None) -> Iterator[bytes]:
    """The log piece by piece, from its last `lines` lines on (None: all of it).

    `wait` waits for more and says whether there may be any; None: what is there now is all. A log that is begun anew
    is read from its beginning, and so is the next one where virtlogd put this one aside. Raises `OSError`.
    """
    file = open(path, "rb", buffering=0)  # noqa: SIM115 - another one takes its place
    try:
        file.seek(_start(file, lines))
        going_on = True
        while True:
            yield from _rest(file)
            if wait is None or not going_on:
                return
            # What it wrote before it ended is read once more after that.
            going_on = wait()
            if _put_aside(file, path):
                yield from _rest(file)
                file.close()
                file = open(path, "rb", buffering=0)  # noqa: SIM115
            elif os.fstat(file.fileno()).st_size < file.tell():
                file.seek(0)
    finally:
        file.close()


def _rest(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(_BLOCK):
        yield piece


def _put_aside(file: BinaryIO, path: str) -> bool:
    """Whether another file has the name by now; for a moment none may have it."""
    with suppress(FileNotFoundError):
        return not os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    return False


def _start(file: BinaryIO, lines: int | None) -> int:
    """Where the last lines begin; a line that is not ended counts."""
    if lines is None:
        return 0
    end = file.seek(0, os.SEEK_END)
    tail, size = b"", 0
    while size < end and tail.count(b"\n") <= lines:
        size = min(end, 2 * size or _BLOCK)
        file.seek(end - size)
        tail = file.read(size)
    parts = tail.split(b"\n")
    begun = 1 if parts[-1] == b"" else 0
    return end - len(b"\n".join(parts[len(parts) - lines - begun if lines + begun < len(parts) else 0 :]))
