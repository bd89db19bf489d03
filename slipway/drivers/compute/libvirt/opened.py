"""An open connection to libvirt, closed in a thread of its own once nobody has it any more.

To close one asks the daemon, which may hang; libvirt's object does it by itself when it is collected as garbage, in
whichever thread that happens. So it is kept from that, and let go here.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import libvirt

R = TypeVar("R")

_KEPT: set[libvirt.virConnect] = set()
"""What is not closed yet: what can be reached from here is no garbage."""
# Nor when the interpreter ends and lets go of what modules have: a process would wait for a daemon that hangs.
ctypes.pythonapi.Py_IncRef(ctypes.py_object(_KEPT))


class Opened:
    """A connection that is open while anybody has this."""

    def __init__(self, uri: str) -> None:
        """Raises libvirt's error."""
        self.libvirtd = libvirt.open(uri)
        _KEPT.add(self.libvirtd)

    def answer(self, question: Callable[[libvirt.virConnect], R]) -> R:
        """What the question gives; the connection is not closed before it has ended."""
        return question(self.libvirtd)

    def __del__(self) -> None:
        # No thread can be started any more then; until Python 3.12 who tries waits for ever.
        if sys.is_finalizing():
            return
        # It has none where it could not be opened.
        with suppress(AttributeError, RuntimeError):
            threading.Thread(target=_close, args=(self.libvirtd,), name="libvirt close", daemon=True).start()


def _close(libvirtd: libvirt.virConnect) -> None:
    with suppress(libvirt.libvirtError):
        libvirtd.close()
    _KEPT.discard(libvirtd)
