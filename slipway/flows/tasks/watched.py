"""The worker's side of `orphans`: a watcher that outlives this process, and is told what it is to end then."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from slipway.flows.tasks import orphans


class _Watcher:
    """One for all commands of a process, started with the first; a fork of the process has its own."""

    def __init__(self) -> None:
        self._pipe: int | None = None
        self._lock = threading.Lock()
        os.register_at_fork(after_in_child=self._forget)

    def tell(self, line: str) -> None:
        """Have it know a line, from a new one where the last is gone, which never knew of what has ended by then."""
        with self._lock:
            try:
                self._write(line)
            except BrokenPipeError:
                self._drop()
                self._write(line)

    def _write(self, line: str) -> None:
        if self._pipe is None:
            self._pipe = _start()
        os.write(self._pipe, line.encode())

    def _forget(self) -> None:
        """In a fork: the watcher is not to take this process for the one that it watches."""
        self._lock = threading.Lock()
        self._drop()

    def _drop(self) -> None:
        if self._pipe is not None:
            with suppress(OSError):
                os.close(self._pipe)
        self._pipe = None


def _start() -> int:
    """A watcher, out of reach of what is sent to our process group; gives where it listens.

    Its environment is empty: it bears no key itself where this process runs within a command.
    """
    there, here = os.pipe()
    try:
        argv = [sys.executable, "-I", "-S", orphans.__file__]
        actions = [(os.POSIX_SPAWN_DUP2, there, 0)]
        os.posix_spawn(sys.executable, argv, {}, file_actions=actions, setsid=True)
    except BaseException:
        os.close(here)
        raise
    finally:
        os.close(there)
    return here


_watcher = _Watcher()


@contextmanager
def watched(key: str) -> Iterator[None]:
    """What is started meanwhile with this key in its environment ends with this process, however that ends.

    The watcher knows the key before anything has it, and hears of our end only when nothing is between fork and exec
    any more: until then it holds the pipe too.
    """
    _watcher.tell(f"+{key}\n")
    try:
        yield
    finally:
        with suppress(OSError):
            _watcher.tell(f"-{key}\n")
