"""The connections to a database that are open and that nobody uses: a transaction takes one and puts it back."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

import sqlalchemy as sa


class IdleConnections:
    """Those of one process: at most one for each thread that uses them, and one more for transactions within others.

    So threads that write one after the other share one, which has its statements and pages already.
    """

    def __init__(self, not_ours: IdleConnections | None = None) -> None:
        """`not_ours`: those of the process that this one was forked from, which must stay as they are."""
        self.not_ours = not_ours
        self.pid = os.getpid()
        self._connections: list[sa.Connection] = []
        self._threads = 0
        self._closed = False
        self._lock = threading.RLock()

    def take(self, is_gone: Callable[[sa.Connection], bool]) -> sa.Connection | None:
        """The one that was used last; None where there is none that is not gone."""
        while connection := self._pop():
            if not is_gone(connection):
                return connection
            connection.invalidate()
            connection.close()
        return None

    def _pop(self) -> sa.Connection | None:
        with self._lock:
            return self._connections.pop() if self._connections else None

    def put(self, connection: sa.Connection) -> None:
        """Keep it for the next transaction, or close it."""
        with self._lock:
            most = 0 if self._closed else self._threads + 1
            if len(self._connections) < most and not (connection.closed or connection.invalidated):
                self._connections.append(connection)
                return
        connection.close()

    def count(self, more: int) -> None:
        """Have so many threads more that use them, or fewer."""
        with self._lock:
            self._threads += more
            most = 0 if self._closed else self._threads + 1
            self._connections, too_many = self._connections[:most], self._connections[most:]
        for connection in too_many:
            connection.close()

    def close(self) -> None:
        """Close all of them, and those that are in use as each is put back."""
        self._closed = True
        self.count(0)


class UseOfThread:
    """Goes with what is local to a thread: when that ends, one connection fewer is kept."""

    def __init__(self, idle: IdleConnections) -> None:
        self.idle = idle
        idle.count(1)

    def __del__(self) -> None:
        if self.idle.pid == os.getpid():
            self.idle.count(-1)
