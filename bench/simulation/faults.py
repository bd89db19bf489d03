"""What goes wrong, drawn from the seed at each point where a process meets what is outside of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from random import Random

from bench.simulation.kernel import Kernel, Killed, Process, Strand
from slipway import errors
from slipway.states.worker import Worker

EPOCH = datetime(2030, 1, 1, tzinfo=UTC)

RATES = {
    "killed": 1 / 4000,
    "stopped": 1 / 12000,
    "cut off from the database": 1 / 25000,
    "cut off from the board": 1 / 25000,
    "no answer": 1 / 3000,
    "refused": 1 / 1500,
}
"""How often each goes wrong at a point; what a driver refuses, and what gets no answer, at its calls and commits."""

ERRORS: dict[str, type[errors.SlipwayError]] = {
    "compute": errors.ComputeError,
    "wiring": errors.WiringError,
    "disk": errors.DiskError,
}


class Outside:
    """The machines, the network between them, and their clocks. `rate`: how often things go wrong, 1 as usual."""

    def __init__(self, kernel: Kernel, rate: float, ttl: float) -> None:
        self.kernel = kernel
        self.counts: Counter[str] = Counter()
        self.ttl = ttl
        self._rates = {what: often * rate for what, often in RATES.items()}
        self.database_away_until = 0.0
        self.dies: Callable[[Member], None] = lambda _member: None
        """Told which process has been killed."""

    def calm(self) -> None:
        """Nothing goes wrong any more."""
        self._rates = dict.fromkeys(self._rates, 0.0)

    def draws(self, what: str) -> bool:
        """Whether it goes wrong here."""
        if self.kernel.rng.random() >= self._rates[what]:
            return False
        self.counts[what] += 1
        self.kernel.told(what)
        return True

    def passes(self, what: str, most: float) -> None:
        """A point in the history of the running process, at which others come in between."""
        kernel = self.kernel
        member = kernel.current.process
        if kernel.current.in_transaction or not isinstance(member, Member):
            return
        kernel.told(what)
        if member.fragile:
            self._strikes(member)
        kernel.sleep(most * kernel.rng.random())

    def _strikes(self, member: Member) -> None:
        if self.draws("killed"):
            self.kill(member)
        rng, now = self.kernel.rng, self.kernel.now
        if self.draws("stopped"):
            member.stopped_until = now + rng.uniform(0.3, 2.0) * self.ttl
        if self.draws("cut off from the database"):
            member.no_database_until = now + rng.uniform(0.01, 1.5) * self.ttl
        if self.draws("cut off from the board"):
            member.no_board_until = now + rng.uniform(0.01, 1.5) * self.ttl

    def kill(self, member: Member) -> None:
        """Have it run no more. Raises `Killed` where it is the one that runs."""
        self.kernel.kill(member)
        self.dies(member)
        if self.kernel.current.process is member:
            raise Killed


class Member(Process):
    """A process with a machine's clocks, an orchestrator's chance, and a network that may be cut."""

    def __init__(self, outside: Outside, name: str, machine: Machine, number: int) -> None:
        worker = Worker(machine.name, machine.boot, 0, 0, number, number, machine.name)
        super().__init__(name, worker, lambda other: other in machine.gone)
        self.outside = outside
        self.machine = machine
        self.rng = Random(f"{name} {number} {machine.seed}")
        self.no_database_until = 0.0
        self.no_board_until = 0.0
        self.fragile = True
        """Whether it is killed and cut off."""
        self.main: Strand | None = None
        """The strand that looks for work: asleep it is not woken up but for some, or after `idle_for` seconds."""
        self.idle_for = 0.0
        self._stirred = self._idles = False

    def clock(self) -> datetime:
        """The machine's time of day."""
        return EPOCH + timedelta(seconds=self.outside.kernel.now + self.machine.ahead)

    def monotonic(self) -> float:
        """The machine's other clock."""
        return self.machine.up_at + self.outside.kernel.now

    def sleep(self, seconds: float) -> None:
        """By the clock that nobody waits for."""
        kernel = self.outside.kernel
        if kernel.current is not self.main:
            kernel.sleep(seconds)
            return
        self._idles = not self._stirred
        kernel.sleep(self.idle_for if self._idles else seconds)
        self._idles = self._stirred = False

    def stir(self) -> None:
        """There may be something to do for it."""
        self._stirred = True
        if self._idles and self.main is not None:
            self.outside.kernel.wake(self.main, self.outside.kernel.rng.uniform(0.0, 0.2))

    # --- the calls of drivers -------------------------------------------------------------------------------------

    def at(self, call: str, family: str = "") -> AbstractContextManager[None]:
        """Around a driver's call; what is our own database's is met there."""
        if family == "network" or self.outside.kernel.current.in_transaction:
            return nullcontext()
        return self._calls(call, family)

    @contextmanager
    def _calls(self, call: str, family: str) -> Iterator[None]:
        outside = self.outside
        outside.passes(call, 2.0)
        if outside.draws("refused"):
            raise ERRORS[family](f"{call} was refused")
        yield
        if outside.draws("no answer"):
            raise ERRORS[family](f"{call} was not answered")
        outside.passes(f"{call} done", 0.1)

    def begin(self) -> None:
        """Nothing: that is the store's."""

    def writing(self) -> AbstractContextManager[None]:
        """Nothing: that is the store's."""
        return nullcontext()


class Machine:
    """What has clocks: `ahead` of the true time by some minutes, and up since some time."""

    def __init__(self, name: str, rng: Random) -> None:
        self.name = name
        self.boot = f"{name}-1"
        self.seed = rng.random()
        self.ahead = rng.uniform(-300.0, 300.0)
        self.up_at = rng.uniform(100.0, 1e6)
        self.gone: set[Worker] = set()
