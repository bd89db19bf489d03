"""One libvirt connection: opened when it is first needed, again when it was lost, and never waited for without end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import TypeVar

import libvirt

from slipway.drivers.compute.libvirt.opened import Opened
from slipway.drivers.compute.libvirt.translation import one_line, translated
from slipway.drivers.deadline import in_time, left
from slipway.errors import HypervisorUnavailable

R = TypeVar("R")

LOOK = 15.0
"""Seconds that opening a connection, or looking at something, may take."""

CHANGE = 60.0
"""Seconds that starting or stopping a domain may take; libvirt itself gives QEMU 30 to begin."""


class Connection:
    """A host's libvirt; may be used by many threads at once.

    Keepalive would need an event loop that runs all the time, and does not help while a connection is opened. So each
    question is asked in a thread of its own, which is left behind when no answer comes in time: a daemon that was
    stopped, not killed, holds nobody up. A question may be asked twice, when the first connection proves to be dead.
    """

    def __init__(self, host: str, uri: str, *, look: float = LOOK) -> None:
        """`look`: seconds for a question where it has no time of its own, and for the connection to be opened."""
        self._host = host
        self._look = look
        self._uri = uri
        self._lock = threading.Lock()
        self._open: Opened | None = None
        # libvirt's own handler writes each error to standard error, besides raising it.
        libvirt.registerErrorHandler(_silent, None)
        if "///embed" in uri:
            run_events()

    def ask(self, what: str, question: Callable[[libvirt.virConnect], R], *, within: float | None = None) -> R:
        """What `question` gives. Raises our error for libvirt's, `HypervisorUnavailable` after `within` seconds.

        So it does when the driver's call is to be back. What was asked may be done all the same, whenever libvirt comes
        to it.
        """
        for last in (False, True):
            seconds = left(within or self._look)
            connection = self._connected(min(seconds, self._look))
            try:
                return self._in_time(what, partial(connection.answer, question), seconds)
            except libvirt.libvirtError as error:
                if connection.libvirtd.isAlive():
                    raise translated(f"{self._host}: {what}", error) from error
                self._drop(connection)
                if last:
                    raise HypervisorUnavailable(f"{self._host}: {what}: {one_line(error)}") from error
            except HypervisorUnavailable:
                self._drop(connection)
                raise
        raise AssertionError

    def opened(self) -> Opened:
        """The connection, for a call that takes longer than any question. Raises `HypervisorUnavailable`."""
        return self._connected(left(self._look))

    @contextmanager
    def translated(self, what: str) -> Iterator[None]:
        """Raise our error for libvirt's."""
        try:
            yield
        except libvirt.libvirtError as error:
            raise translated(f"{self._host}: {what}", error) from error

    def _connected(self, seconds: float) -> Opened:
        # Another thread may be at it, and have to wait as long as we.
        if not self._lock.acquire(timeout=seconds):
            raise self._unanswered("connecting", seconds)
        try:
            connection = self._open or self._in_time("connecting", partial(Opened, self._uri), seconds)
            self._open = connection
        except libvirt.libvirtError as error:
            text = f"{self._host}: libvirt at {self._uri} cannot be reached: {one_line(error)}"
            raise HypervisorUnavailable(text) from error
        finally:
            self._lock.release()
        return connection

    def _drop(self, connection: Opened) -> None:
        """Use it no more. It closes itself when the last question to it has ended."""
        with self._lock:
            if self._open is connection:
                self._open = None

    def _in_time(self, what: str, call: Callable[[], R], seconds: float) -> R:
        try:
            return in_time(call, seconds, name=f"libvirt {self._host}")
        except TimeoutError as error:
            raise self._unanswered(what, seconds) from error

    def _unanswered(self, what: str, seconds: float) -> HypervisorUnavailable:
        where = f"{self._host}: {what}: libvirt at {self._uri}"
        return HypervisorUnavailable(f"{where} did not answer within {seconds:.3g} s")


@cache
def run_events() -> None:
    """The event loop without which libvirt tells no events and its QEMU driver does not work in a process; one for all.

    To be called before the connection is opened that needs it.
    """
    libvirt.virEventRegisterDefaultImpl()

    def run() -> None:
        while True:
            libvirt.virEventRunDefaultImpl()

    threading.Thread(target=run, name="libvirt events", daemon=True).start()


def _silent(_context: object, _error: object) -> None:
    """Nothing: what libvirt complains of is raised as well."""
