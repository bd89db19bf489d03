"""Time, and whose turn it is: threads of which one runs at a time, as a seed has it, by a clock that nobody waits for.

Each simulated process has threads of its own (`Strand`). A strand runs until it lets time pass; then the one whose time
has come first goes on, and of those at the same moment one that is drawn. So one seed makes one history.
"""

from __future__ import annotations

import hashlib
import heapq
import threading
from collections.abc import Callable
from itertools import count
from random import Random

from slipway.states.worker import Played, Worker, played


class Killed(BaseException):
    """The process that the strand is of runs no more."""


class Process:
    """A simulated process. It has been `killed`, is `stopped_until` some time, or goes on."""

    def __init__(self, name: str, worker: Worker, is_gone: Callable[[Worker], bool]) -> None:
        self.name = name
        self.played = Played(worker, is_gone)
        self.killed = False
        self.stopped_until = 0.0
        self.strands: set[Strand] = set()


class Strand:
    """A thread of a process."""

    def __init__(self, process: Process, call: Callable[[], object], done: Callable[[Strand], None]) -> None:
        self.process = process
        self.in_transaction = 0
        self.ticket = 0
        self.ended = False
        self._gate = threading.Lock()
        self._gate.acquire()
        self._call = call
        self._done = done
        self._thread: threading.Thread | None = None

    def go_on(self) -> None:
        """Let it run: nobody else does."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self.process.name, daemon=True)
            self._thread.start()
        else:
            self._gate.release()

    def wait(self) -> None:
        """Until somebody lets it go on."""
        self._gate.acquire()

    def join(self) -> None:
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        played.set(self.process.played)
        try:
            self._call()
        finally:
            self._done(self)


class Kernel:
    """The clock, the queue of those who wait for a time, and what has happened so far."""

    def __init__(self, seed: int, tell: Callable[[str], None] | None = None) -> None:
        """`tell` is told each line of the history."""
        self.rng = Random(seed)
        self.now = 0.0
        self.points = 0
        self.failure: BaseException | None = None
        self._tell = tell
        self._digest = hashlib.sha256()
        self._queue: list[tuple[float, float, int, Strand, int]] = []
        self._count = count()
        nobody = Worker("world", "world", 0, 0, 0, 0, "world")
        self._main = Strand(Process("main", nobody, lambda _worker: False), lambda: None, lambda _strand: None)
        self._main._thread = threading.current_thread()
        self.current = self._main

    @property
    def digest(self) -> str:
        """Of all that has happened, in its order."""
        return self._digest.hexdigest()

    def told(self, what: str) -> None:
        """Have something in the history."""
        self.points += 1
        line = f"{self.now:.6f} {self.current.process.name} {what}"
        self._digest.update(line.encode())
        if self._tell is not None:
            self._tell(line)

    def start(self, process: Process, call: Callable[[], object], *, after: float = 0.0) -> Strand:
        """Have a new strand of the process call it, so many seconds from now on."""
        strand = Strand(process, lambda: self._calling(call), self._ended)
        process.strands.add(strand)
        self._push(strand, self.now + after)
        return strand

    def wake(self, strand: Strand, after: float = 0.0) -> None:
        """Have one that sleeps go on earlier."""
        if not strand.ended:
            self._push(strand, self.now + after)

    def sleep(self, seconds: float) -> None:
        """Let time pass. Raises `Killed` where the process is dead by then."""
        me = self.current
        if me.process.killed:
            raise Killed
        self._push(me, self.now + seconds)
        following = self._following()
        if following is not me:
            self._hand_to(following)
            me.wait()
        if me.process.killed:
            raise Killed
        if me is self._main and self.failure is not None:
            raise self.failure

    def kill(self, process: Process) -> None:
        """Have the process run no more: each of its strands unwinds, and reaches nothing any more."""
        process.killed = True
        for strand in list(process.strands):
            if strand is not self.current:
                self.wake(strand)

    def _calling(self, call: Callable[[], object]) -> None:
        try:
            call()
        except Killed:
            pass
        except BaseException as error:  # noqa: BLE001 - whoever runs the simulation is told
            self.failure = self.failure or error
            self.wake(self._main)

    def _ended(self, strand: Strand) -> None:
        strand.ended = True
        strand.process.strands.discard(strand)
        self._hand_to(self._following())

    def _hand_to(self, strand: Strand) -> None:
        self.current = strand
        strand.go_on()

    def _push(self, strand: Strand, at: float) -> None:
        heapq.heappush(self._queue, (at, self.rng.random(), next(self._count), strand, strand.ticket))

    def _following(self) -> Strand:
        while True:
            at, _, _, strand, ticket = heapq.heappop(self._queue)
            if strand.ended or strand.ticket != ticket:
                continue
            process = strand.process
            if process.stopped_until > at and not process.killed:
                self._push(strand, process.stopped_until)
                continue
            self.now = max(self.now, at)
            strand.ticket += 1
            return strand

    def close(self) -> None:
        """Have all others end."""
        self.failure = None
        while waiting := {entry[3] for entry in self._queue if entry[3] is not self._main and not entry[3].ended}:
            for strand in waiting:
                strand.process.killed = True
                self.wake(strand)
            self.sleep(1.0)
