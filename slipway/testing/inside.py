"""What a call changes on its way: each file that it makes, changes or removes, each process and each connection."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from slipway.flows.tasks import orphans

_CHANGES = frozenset(
    {
        *("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate"),
        *("subprocess.Popen", "os.posix_spawn", "os.system", "socket.connect", "socket.sendto"),
    }
)
"""Events of Python's own by which such a change is told before it is made."""
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT

_listener: Callable[[], None] | None = None
_is_heard = False


@contextmanager
def changes(listener: Callable[[], None]) -> Iterator[None]:
    """Call `listener` before each change that is made meanwhile, in whatever thread; what it raises keeps it away.

    What a program does that was started, or a library that is not Python's, nobody tells.
    """
    global _is_heard, _listener
    if not _is_heard:
        # Such a hook is for ever.
        sys.addaudithook(_hear)
        _is_heard = True
    before, _listener = _listener, listener
    try:
        yield
    finally:
        _listener = before


def _hear(event: str, args: tuple[Any, ...]) -> None:
    global _listener
    if _listener is None or not (event in _CHANGES or (event == "open" and _is_change(*args))):
        return
    if event == "os.posix_spawn" and orphans.__file__ in args[1]:
        # It changes nothing while this process lives.
        return
    listener, _listener = _listener, None
    try:
        listener()
    finally:
        _listener = listener


def _is_change(path: Any, _mode: Any, flags: int) -> bool:
    """Whether a file is opened to be written; modules that Python compiles by the way are none of the caller's."""
    return bool(flags & _WRITING) and not str(path).startswith("/dev/") and "__pycache__" not in str(path)
