"""A terminal joined to a socket, key by key, until a key ends it."""

from __future__ import annotations

import os
import select
import socket
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager

LEAVE = b"\x1d"
"""Ctrl-], as in telnet and virsh."""


def attach(there: socket.socket) -> bool:
    """Have the user type there and see what comes from there; false where that ended first.

    All that is typed goes there as it is, Ctrl-C too, but for Ctrl-], which ends it, as the terminal's own end does.
    """
    with there, _raw(sys.stdin.fileno()) as keys:
        while True:
            ready, _, _ = select.select([keys, there.fileno()], [], [])
            if there.fileno() in ready:
                try:
                    data = there.recv(65536)
                except ConnectionError:
                    data = b""
                if not data:
                    return False
                _write(data)
            if keys in ready:
                typed, left, _ = os.read(keys, 4096).partition(LEAVE)
                try:
                    there.sendall(typed)
                except OSError:
                    return False
                if left or not typed:
                    return True


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(sys.stdout.fileno(), data) :]


@contextmanager
def _raw(keys: int) -> Iterator[int]:
    """The terminal gives each key at once and shows none by itself; as it was afterwards."""
    before = termios.tcgetattr(keys)
    try:
        # What was typed before is not lost.
        tty.setraw(keys, termios.TCSADRAIN)
        yield keys
    finally:
        termios.tcsetattr(keys, termios.TCSAFLUSH, before)
