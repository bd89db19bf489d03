"""Programs that a worker has started and left behind: known by the key in their environment, and ended.

Run as a program of its own it is the watcher of one worker: it learns of keys from its standard input, a line each
(`+KEY`, `-KEY`), and when that ends, because the worker is gone, ends what bears one of them. Imports nothing of
Slipway, so that it starts at once.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress

KEY_VARIABLE = "SLIPWAY_EFFECT_KEY"
"""In a command's environment: what is the same when it is run again after a crash."""

GRACE = 2.0
"""Seconds for a program that is told to end, before it is killed."""
_POLL = 0.02
_LONGEST = 10.0
"""Seconds after which one that does not go although it is killed is left: it waits for a disk, say."""


def bearing(keys: Collection[str]) -> Iterator[int]:
    """The processes of this user that were started for one of these effects, with all that those started: an
    environment is inherited, also by what has left the group and closed every file."""
    wanted = {f"{KEY_VARIABLE}={key}".encode() for key in keys}
    for name in os.listdir("/proc") if os.path.isdir("/proc") else ():
        if name.isdecimal() and int(name) != os.getpid():
            # It has ended since, or is another user's.
            with suppress(OSError), open(f"/proc/{name}/environ", "rb") as file:
                if not wanted.isdisjoint(file.read().split(b"\0")):
                    yield int(name)


def end(
    keys: Collection[str],
    *,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Have all that bears one of these keys end, and kill what does not; whether it is gone."""
    began, told = monotonic(), set[int]()
    while found := set(bearing(keys)):
        late = monotonic() - began
        if late > _LONGEST:
            return False
        for process in found if late > GRACE else found - told:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL if late > GRACE else signal.SIGTERM)
        told |= found
        sleep(_POLL)
    return True


def watch() -> None:
    """Be the watcher of whoever writes to the standard input."""
    keys = set[str]()
    for line in sys.stdin:
        if line.startswith("+"):
            keys.add(line[1:-1])
        else:
            keys.discard(line[1:-1])
    if keys:
        end(keys)


if __name__ == "__main__":
    watch()
