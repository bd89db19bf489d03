"""What can go wrong at a call or a commit, and who sees to it that it does."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from msgspec import Struct

from slipway import errors
from slipway.drivers.registry import Drivers, driver_class
from slipway.orchestrator import Orchestrator, default_drivers
from slipway.runfile import FaultEntry
from slipway.settings import Settings
from slipway.states.store import Store
from slipway.testing.wrapped import COMMIT, FaultyDrivers, FaultyStore


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
    HANG = "hang"
    """The call has its effect and comes back only after every deadline."""
    PAUSE = "pause"
    """The process is stopped by SIGSTOP before the call, after a commit; somebody else must continue it."""
    LOCKED = "locked"
    """The transaction cannot begin: another process holds the database. For commits only."""
    FULL = "full"
    """No space is left for the commit. For commits only."""
    CLOCK_FORWARD = "clock_forward"
    """The time of day is set an hour forward before the call."""
    CLOCK_BACK = "clock_back"
    """The time of day is set an hour back before the call."""
    MEANWHILE = "meanwhile"
    """Somebody else does something, before the call or after the commit: what `Fault.also` says."""
    REBOOT = "reboot"
    """The process dies after the commit, with the machine: what it was is no process of this boot. For drills only."""


HANG_TIME = timedelta(hours=1)
"""How long a call hangs by the clock of `Faults`; nobody waits for it."""


CLOCK_STEP = timedelta(hours=1)
"""By how much the time of day is set."""


class Clock:
    """The time of day, and by how much it was put forward: whoever sleeps by it wakes up at once, that much later."""

    def __init__(self) -> None:
        self.ahead = timedelta()
        self.set_by = timedelta()
        """By how much somebody has set the time of day; the monotonic clock does not know of it."""

    def __call__(self) -> datetime:
        """Now."""
        return datetime.now(UTC) + self.ahead + self.set_by

    def of_a_server(self) -> datetime:
        """Now by the clock of a database's server: it is put forward as well, and nobody sets it."""
        return datetime.now(UTC) + self.ahead

    def monotonic(self) -> float:
        """Seconds by the clock that nobody sets, put forward as well."""
        return time.monotonic() + self.ahead.total_seconds()

    def sleep(self, seconds: float) -> None:
        """Put it forward."""
        self.ahead += timedelta(seconds=seconds)


class Fault(Struct, frozen=True):
    """One fault at one point; `raises` makes the error of those modes that raise. `last`: up to which call it lasts.

    `also` is what somebody else does in the mode `meanwhile`.
    """

    call: str
    mode: Mode
    nth: int = 0
    raises: Callable[[], BaseException] = lambda: errors.ComputeError("injected")
    last: int | None = None
    also: Callable[[], None] = lambda: None

    def __str__(self) -> str:
        """The name of the point, as `parse` takes it."""
        return f"{self.call}:{self.mode}:{self.nth}"

    @classmethod
    def parse(cls, text: str) -> Fault:
        """The fault of a name such as `spawn:crash_after:0`. Raises `ValueError`."""
        call, mode, nth = text.split(":")
        return cls(call, Mode(mode), int(nth))

    @classmethod
    def declared(cls, entry: FaultEntry) -> Fault:
        """The fault that a run file declares."""
        kind: type[Exception] = getattr(errors, entry.error)
        text = f"injected at {entry.at}, call {entry.call}"
        return cls(entry.at.rpartition(".")[2], Mode(entry.mode), entry.call - 1, lambda: kind(text))

    def meets(self, call: str, nth: int) -> bool:
        """Whether this call is the one, or one of those, that go wrong."""
        return call == self.call and self.nth <= nth <= (self.nth if self.last is None else self.last)


class Call(Struct, frozen=True):
    """A fault point that was reached: `nth` of its name, of which family of drivers ("" for commits and others)."""

    name: str
    nth: int
    family: str
    in_transaction: bool


class Faults:
    """Counts every driver call and every commit, and lets those go wrong that it was told to."""

    def __init__(
        self,
        *faults: Fault,
        drivers: Callable[[Store, Settings, Path], Drivers] = default_drivers,
        on_call: Callable[[Call], None] = lambda _call: None,
        on_fault: Callable[[Fault], None] = lambda _fault: None,
    ) -> None:
        """`drivers` makes the drivers that are wrapped; the other two are told of every call and every fault."""
        self.clock = Clock()
        self.die: Callable[[Fault], None] = _die
        """What is done where the process is to die."""
        self._make_drivers = drivers
        self._on_call, self._on_fault = on_call, on_fault
        self._lock = threading.Lock()
        self._writing = threading.local()
        self.arm(*faults)

    def arm(self, *faults: Fault) -> None:
        """Count from nought again, and let these faults go off from now on."""
        self.calls: list[tuple[str, int]] = []
        """Every call in order, with its number among those of its name."""
        self.hits: Counter[str] = Counter()
        self._faults = faults
        self._counts: Counter[str] = Counter()

    @property
    def fired(self) -> bool:
        """Whether every fault went off. After a crash nobody can tell here: `crashed` says it."""
        return all(self.hits[str(fault)] for fault in self._faults)

    def possible(self, mode: Mode, *, commits: bool = False) -> Sequence[Fault]:
        """A fault of this mode for each point seen: the driver calls, or the commits."""
        return [Fault(call, mode, nth) for call, nth in self.calls if (call == COMMIT) is commits]

    @contextmanager
    def at(self, call: str, family: str = "") -> Iterator[None]:
        """Around a call: what is to go wrong before it and after it."""
        meeting = self._arrive(call, family)
        for fault in meeting:
            self._before(fault)
        try:
            yield
        finally:
            for fault in meeting:
                if fault.mode is Mode.CRASH_AFTER:
                    self.die(fault)
        for fault in meeting:
            if fault.mode is Mode.LOST_REPLY:
                raise fault.raises()
            if fault.mode is Mode.HANG:
                self.clock.ahead += HANG_TIME
            if fault.mode is Mode.PAUSE and call == COMMIT:
                os.kill(os.getpid(), signal.SIGSTOP)
            if fault.mode is Mode.MEANWHILE and call == COMMIT:
                fault.also()

    def _arrive(self, call: str, family: str) -> Sequence[Fault]:
        """Count the call; gives the faults that meet it."""
        with self._lock:
            nth = self._counts[call]
            self._counts[call] += 1
            self.calls.append((call, nth))
            meeting = [fault for fault in self._faults if fault.meets(call, nth)]
            self.hits.update(str(fault) for fault in meeting)
        self._on_call(Call(call, nth, family, getattr(self._writing, "now", False)))
        for fault in meeting:
            self._on_fault(fault)
        return meeting

    def _before(self, fault: Fault) -> None:
        match fault.mode:
            case Mode.CRASH_BEFORE:
                self.die(fault)
            case Mode.ERROR:
                raise fault.raises()
            case Mode.FULL:
                raise errors.DatabaseFull("injected: no space is left on its disk")
            case Mode.PAUSE if fault.call != COMMIT:
                os.kill(os.getpid(), signal.SIGSTOP)
            case Mode.MEANWHILE if fault.call != COMMIT:
                fault.also()
            case Mode.CLOCK_FORWARD:
                self.clock.set_by += CLOCK_STEP
            case Mode.CLOCK_BACK:
                self.clock.set_by -= CLOCK_STEP

    def begin(self) -> None:
        """Before a transaction begins. Raises `DatabaseLocked` where it is the one that cannot."""
        nth = self._counts[COMMIT]
        if any(fault.mode is Mode.LOCKED and fault.meets(COMMIT, nth) for fault in self._faults):
            self._arrive(COMMIT, "")
            raise errors.DatabaseLocked("injected: another process holds it")

    @contextmanager
    def writing(self) -> Iterator[None]:
        """While a transaction is open that writes."""
        self._writing.now = True
        try:
            yield
        finally:
            self._writing.now = False

    def store(self, url: str) -> FaultyStore:
        """A store whose commits are fault points."""
        return FaultyStore(url, self)

    def drivers(self, store: Store, settings: Settings, state: Path) -> FaultyDrivers:
        """Drivers whose calls are fault points."""
        return FaultyDrivers(self._make_drivers(store, settings, state), state, self)

    def orchestrator(self, state: Path, **options: Any) -> Orchestrator:
        """An orchestrator on such a store and such drivers; `options` as `Orchestrator` takes them."""
        # Its tables are made with the others once its module is there: the first run's commits are as the later ones'.
        driver_class("network", "embedded")
        options.setdefault("clock", self.clock)
        options.setdefault("monotonic", self.clock.monotonic)
        options.setdefault("sleep", self.clock.sleep)
        made = Orchestrator(state, store=self.store, drivers=self.drivers, **options)
        # Drivers are made when they are first asked for: now, before the first point is counted.
        assert made.network is not None
        return made


def _die(_fault: Fault) -> None:
    os.kill(os.getpid(), signal.SIGKILL)
