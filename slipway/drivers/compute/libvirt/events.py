"""What a host's libvirt tells of its domains while they live: heard by a thread, on a connection of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from queue import SimpleQueue

import libvirt

from slipway.drivers.compute.base import Change, DomainEvent, Hearing
from slipway.drivers.compute.libvirt.connection import run_events
from slipway.drivers.compute.libvirt.opened import Opened
from slipway.drivers.compute.libvirt.translation import one_line, suppress_code

PAUSE = 2.0
"""Seconds before a libvirt that was lost is looked for again."""

_KEEP_ALIVE = (5, 3)
"""Asked every so many seconds whether it is there, and lost after so many times without an answer."""

_CHANGES = {
    libvirt.VIR_DOMAIN_EVENT_STARTED: Change.STARTED,
    libvirt.VIR_DOMAIN_EVENT_SUSPENDED: Change.PAUSED,
    libvirt.VIR_DOMAIN_EVENT_PMSUSPENDED: Change.PAUSED,
    libvirt.VIR_DOMAIN_EVENT_RESUMED: Change.RESUMED,
}
_ENDS = {
    libvirt.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN: Change.SHUTDOWN,
    libvirt.VIR_DOMAIN_EVENT_STOPPED_CRASHED: Change.CRASHED,
    libvirt.VIR_DOMAIN_EVENT_STOPPED_FAILED: Change.CRASHED,
}
"""By which detail a domain ended; by any other somebody ended it: destroyed, saved, migrated."""

_CLOSED = {
    libvirt.VIR_CONNECT_CLOSE_REASON_EOF: "libvirt has ended",
    libvirt.VIR_CONNECT_CLOSE_REASON_KEEPALIVE: "libvirt does not answer",
}

Heard = tuple[str, int, int]
"""A domain's uuid, the event's number and its detail's."""


class Events:
    """Tells of our domains from a thread of its own, until `close`; finds a libvirt that was restarted again."""

    def __init__(
        self,
        uri: str,
        is_ours: Callable[[libvirt.virConnect, str], bool],
        tell: Callable[[DomainEvent | Hearing], None],
    ) -> None:
        """`is_ours` says of a uuid whether there is a domain with our tag."""
        self._uri = uri
        self._is_ours = is_ours
        self._tell = tell
        self._lost = False
        self._closed = threading.Event()
        self._heard: SimpleQueue[Heard | str] = SimpleQueue()
        """What happens to domains, or why nothing more is heard. libvirt's own thread only puts things in."""
        run_events()
        threading.Thread(target=self._run, name=f"libvirt events of {uri}", daemon=True).start()

    def close(self) -> None:
        """Tell nothing more. The thread ends once libvirt lets it."""
        self._closed.set()
        self._heard.put("")

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                # However long that takes: whoever asks this libvirt something is told that it does not answer.
                why = Opened(self._uri).answer(self._listen)
            except libvirt.libvirtError as error:
                why = one_line(error)
            if not self._lost and not self._closed.is_set():
                self._tell(Hearing(lost=why))
            self._lost = True
            self._closed.wait(PAUSE)

    def _listen(self, connection: libvirt.virConnect) -> str:
        """Pass on what is heard; gives why there is no more of it."""
        while not self._heard.empty():
            self._heard.get()
        with self._registered(connection):
            self._lost = False
            self._tell(Hearing())
            while not self._closed.is_set():
                heard = self._heard.get()
                if isinstance(heard, str):
                    return heard
                instance_id, event, detail = heard
                change = _change(event, detail)
                if change is not None and self._is_ours(connection, instance_id):
                    self._tell(DomainEvent(instance_id, change))
        return ""

    @contextmanager
    def _registered(self, connection: libvirt.virConnect) -> Iterator[None]:
        def happened(_connection: object, domain: libvirt.virDomain, event: int, detail: int, _opaque: object) -> None:
            self._heard.put((domain.UUIDString(), event, detail))

        def closed(_connection: object, reason: int, _opaque: object) -> None:
            self._heard.put(_CLOSED.get(reason, "the connection to libvirt was lost"))

        connection.registerCloseCallback(closed, None)
        # Where it is in this process nobody need ask.
        with suppress_code(libvirt.VIR_ERR_NO_SUPPORT):
            connection.setKeepAlive(*_KEEP_ALIVE)
        number = connection.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, happened, None)
        try:
            yield
        finally:
            # What is registered would hold the connection open; one that was lost says that it is.
            for let_go in (partial(connection.domainEventDeregisterAny, number), connection.unregisterCloseCallback):
                with suppress(libvirt.libvirtError):
                    let_go()


def _change(event: int, detail: int) -> Change | None:
    """None: it changes nothing of what a domain does."""
    if event == libvirt.VIR_DOMAIN_EVENT_STOPPED:
        return _ENDS.get(detail, Change.DESTROYED)
    return _CHANGES.get(event)
