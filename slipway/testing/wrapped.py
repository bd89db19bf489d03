"""A store and drivers that are as ever, but that each commit and each call is a fault point."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from slipway.drivers.registry import Drivers, HostDrivers
from slipway.model.request import Host
from slipway.states import installation
from slipway.states.store import Store, Transaction
from slipway.states.workers import CLOCK

D = TypeVar("D")

COMMIT = "commit"
"""The name of the fault points that are commits of ours."""


class Clock(Protocol):
    """The time that it is for them."""

    def of_a_server(self) -> datetime:
        """By the clock of a database's server."""


class Faults(Protocol):
    """Who lets calls and commits go wrong: `slipway.testing.Faults`."""

    @property
    def clock(self) -> Clock:
        """The time of all who have this store."""

    def at(self, call: str, family: str = "") -> AbstractContextManager[None]:
        """Around a call."""

    def begin(self) -> None:
        """Before a transaction begins."""

    def writing(self) -> AbstractContextManager[None]:
        """While a transaction is open that writes."""


class FaultyStore(Store):
    """A store whose commits are fault points; not those that make its tables."""

    def __init__(self, url: str, faults: Faults) -> None:
        self._faults: Faults | None = None
        super().__init__(url)
        self._faults = faults

    def forget(self) -> None:
        """Know nothing of the record that was here before: another one was put in its place."""
        with self.read() as tx:
            self.installation = installation.id_of(tx)

    @contextmanager
    def _transaction(self, begin: str | None, about: dict[str, Any], *, snapshot: bool) -> Iterator[Transaction]:
        """As the store's own, by a server's clock that goes with ours: leases pass where nobody waits for them."""
        if self._postgresql and self._faults is not None:
            about = {**about, CLOCK: self._faults.clock.of_a_server}
        with super()._transaction(begin, about, snapshot=snapshot) as tx:
            yield tx

    @contextmanager
    def write(self, *, once: bool = False) -> Iterator[Transaction]:
        """As the store's own; a single statement has a transaction around it, to die before its commit."""
        if self._faults is None:
            with super().write(once=once) as tx:
                yield tx
            return
        self._faults.begin()
        point = self._faults.at(COMMIT)
        with super().write() as tx:
            with self._faults.writing():
                yield tx
            point.__enter__()
        point.__exit__(None, None, None)


class FaultyDrivers(Drivers):
    """Drivers whose every call is a fault point."""

    def __init__(self, inner: Drivers, state: Path, faults: Faults) -> None:
        super().__init__(_wrapped(inner.network, faults, "network"), state)
        self._inner = inner
        self._faults = faults

    def make(self, host: Host) -> HostDrivers:
        """The host's own, wrapped."""
        made = self._inner.make(host)
        return HostDrivers(
            compute=_wrapped(made.compute, self._faults, "compute"),
            wiring=_wrapped(made.wiring, self._faults, "wiring"),
            disk=_wrapped(made.disk, self._faults, "disk"),
        )

    def forget(self) -> None:
        """Make the hosts' drivers anew: their world was put into another state behind their backs."""
        self._hosts.clear()


def _wrapped(driver: D, faults: Faults, family: str) -> D:
    return cast("D", _Wrapped(driver, faults, family))


class _Wrapped:
    """A driver whose every call is a fault point."""

    def __init__(self, driver: Any, faults: Faults, family: str) -> None:
        self._driver = driver
        self._faults = faults
        self._family = family

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._driver, name)
        if not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            with self._faults.at(name, self._family):
                return found(*args, **kwargs)

        return call
