"""Faults at every driver call and every commit, and real crashes: for Slipway's own tests and for its users'.

A fault point is a call's name and how often it was called before: `spawn:crash_after:0` kills the process right after
the first `spawn` had its effect. Points are found by running once with a `Faults` that has no fault, and a `Faults`
knows whether its fault fired::

    seen = Faults()
    with seen.orchestrator(fresh_directory()) as orchestrator:
        orchestrator.run(file)
    for fault in seen.possible(Mode.ERROR):
        faults = Faults(fault)
        with faults.orchestrator(fresh_directory()) as orchestrator:
            orchestrator.run(file)
            assert faults.fired and not orchestrator.audit()
"""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar, cast

from slipway import errors
from slipway.drivers.registry import Drivers, HostDrivers, driver_class
from slipway.model import Host
from slipway.orchestrator import Orchestrator, default_drivers
from slipway.settings import Settings
from slipway.states.store import Store, Transaction

D = TypeVar("D")

COMMIT = "commit"
"""The name of the fault points that are commits of ours."""


class Mode(StrEnum):
    """What goes wrong at a fault point."""

    ERROR = "error"
    """The call raises before it did anything."""
    LOST_REPLY = "lost_reply"
    """The call has its effect, then raises."""
    CRASH_BEFORE = "crash_before"
    """The process dies by SIGKILL before the call."""
    CRASH_AFTER = "crash_after"
    """The process dies by SIGKILL after the call had its effect."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault at one point; `raises` makes the error of those modes that raise. `last`: up to which call it lasts."""

    call: str
    mode: Mode
    nth: int = 0
    raises: Callable[[], Exception] = lambda: errors.ComputeError("injected")
    last: int | None = None

    def __str__(self) -> str:
        """The name of the point, as `parse` takes it."""
        return f"{self.call}:{self.mode}:{self.nth}"

    @classmethod
    def parse(cls, text: str) -> Fault:
        """The fault of a name such as `spawn:crash_after:0`. Raises `ValueError`."""
        call, mode, nth = text.split(":")
        return cls(call, Mode(mode), int(nth))

    def meets(self, call: str, nth: int) -> bool:
        """Whether this call is the one, or one of those, that go wrong."""
        return call == self.call and self.nth <= nth <= (self.nth if self.last is None else self.last)


class Faults:
    """Counts every driver call and every commit, and lets those go wrong that it was told to."""

    def __init__(self, *faults: Fault, drivers: Callable[[Store, Settings, Path], Drivers] = default_drivers) -> None:
        """`drivers` makes the drivers that are wrapped."""
        self.calls: list[tuple[str, int]] = []
        """Every call in order, with its number among those of its name."""
        self.hits: Counter[str] = Counter()
        self._faults = faults
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._make_drivers = drivers

    @property
    def fired(self) -> bool:
        """Whether every fault went off. After a crash nobody can tell here: `crashed` says it."""
        return all(self.hits[str(fault)] for fault in self._faults)

    def possible(self, mode: Mode, *, commits: bool = False) -> Sequence[Fault]:
        """A fault of this mode for each point seen: the driver calls, or the commits."""
        return [Fault(call, mode, nth) for call, nth in self.calls if (call == COMMIT) is commits]

    @contextmanager
    def at(self, call: str) -> Iterator[None]:
        """Around a call: what is to go wrong before it and after it."""
        with self._lock:
            nth = self._counts[call]
            self._counts[call] += 1
            self.calls.append((call, nth))
            meeting = [fault for fault in self._faults if fault.meets(call, nth)]
            self.hits.update(str(fault) for fault in meeting)
        for fault in meeting:
            if fault.mode is Mode.CRASH_BEFORE:
                os.kill(os.getpid(), signal.SIGKILL)
            if fault.mode is Mode.ERROR:
                raise fault.raises()
        try:
            yield
        finally:
            if any(fault.mode is Mode.CRASH_AFTER for fault in meeting):
                os.kill(os.getpid(), signal.SIGKILL)
        for fault in meeting:
            if fault.mode is Mode.LOST_REPLY:
                raise fault.raises()

    def store(self, url: str) -> Store:
        """A store whose commits are fault points."""
        return _FaultyStore(url, self)

    def drivers(self, store: Store, settings: Settings, state: Path) -> Drivers:
        """Drivers whose calls are fault points."""
        return _FaultyDrivers(self._make_drivers(store, settings, state), state, store.installation, self)

    def orchestrator(self, state: Path, **options: Any) -> Orchestrator:
        """An orchestrator on such a store and such drivers; `options` as `Orchestrator` takes them."""
        # Its tables are made with the others once its module is there: the first run's commits are as the later ones'.
        driver_class("network", "embedded")
        options.setdefault("sleep", lambda _seconds: None)
        return Orchestrator(state, store=self.store, drivers=self.drivers, **options)


class _FaultyStore(Store):
    def __init__(self, url: str, faults: Faults) -> None:
        self._faults: Faults | None = None
        super().__init__(url)
        self._faults = faults

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        if self._faults is None:
            with super().write() as tx:
                yield tx
            return
        point = self._faults.at(COMMIT)
        with super().write() as tx:
            yield tx
            point.__enter__()
        point.__exit__(None, None, None)


class _FaultyDrivers(Drivers):
    def __init__(self, inner: Drivers, state: Path, installation: str, faults: Faults) -> None:
        super().__init__(_wrapped(inner.network, faults), state, installation)
        self._inner = inner
        self._faults = faults

    def make(self, host: Host) -> HostDrivers:
        made = self._inner.make(host)
        return HostDrivers(
            compute=_wrapped(made.compute, self._faults),
            wiring=_wrapped(made.wiring, self._faults),
            disk=_wrapped(made.disk, self._faults),
        )


def _wrapped(driver: D, faults: Faults) -> D:
    return cast("D", _Wrapped(driver, faults))


class _Wrapped:
    """A driver whose every call is a fault point."""

    def __init__(self, driver: Any, faults: Faults) -> None:
        self._driver = driver
        self._faults = faults

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._driver, name)
        if not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            with self._faults.at(name):
                return found(*args, **kwargs)

        return call


def crashed(action: Callable[[], object]) -> bool:
    """Do `action` in a forked process; whether it died by SIGKILL. Raises `RuntimeError` when it failed otherwise.

    The fork is from this process as it is: keep threads and open databases out of it.
    """
    child = os.fork()
    if child == 0:
        status = 1
        try:
            action()
            status = 0
        except BaseException:  # noqa: BLE001 - the parent is told by the status; nothing may leave the child
            import traceback

            traceback.print_exc()
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return True
    if os.WEXITSTATUS(status):
        raise RuntimeError("the forked process failed, see its traceback above")
    return False
