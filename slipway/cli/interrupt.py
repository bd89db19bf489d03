"""Ctrl-C: once, the running steps are finished and nothing more is begun; twice, the process ends at once."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

from slipway.cli.telling import Progress
from slipway.errors import BuildInterrupted

T = TypeVar("T")

TICK = 0.1
"""Seconds between two redraws of a live display."""

FINISHING = "finishing the running steps; Ctrl-C again to stop at once"
_AT_ONCE = "\nslipway: stopped at once; '{}' goes on from what is on record\n"
_SHOW_CURSOR = b"\x1b[?25h"


class Stop:
    """Whether the user wants no further step; call it to ask."""

    def __init__(self, resume: str = "slipway resume", *, reader: bool = False) -> None:
        """`resume`: the command that goes on with what is stopped at once. `reader`: who reads all that it is for."""
        self._wanted = threading.Event()
        self._reader = reader
        self.resume = resume

    def __call__(self) -> bool:
        """Whether to stop."""
        return self._wanted.is_set() or (self._reader and reader_gone())

    def want(self) -> None:
        """Begin no further step from now on."""
        self._wanted.set()

    def sleep(self, seconds: float) -> None:
        """Wait, unless the user wants to stop: then raise `BuildInterrupted`, since who waits has nothing under way."""
        if self._wanted.wait(seconds):
            raise BuildInterrupted("stopped while it waited")


def reader_gone() -> bool:
    """Whether nobody reads standard output any more: who has nothing to write is told of it by no signal or error."""
    poll = select.poll()
    poll.register(1, 0)
    return any(found & (select.POLLERR | select.POLLHUP) for _, found in poll.poll(0))


def interruptible(work: Callable[[], T], stop: Stop, progress: Progress) -> T:
    """Do the work in a thread, while this one draws its progress and heeds SIGINT and SIGTERM.

    The main thread alone is told of signals, and only between two bytecodes: a call that hangs in a driver would hold
    them up if it were made here.
    """
    with ThreadPoolExecutor(1) as pool, heeding(stop):
        future = pool.submit(work)
        told = done = False
        while not done:
            done = future in wait([future], timeout=TICK).done
            if stop() and not told:
                progress.announce(FINISHING)
                told = True
            progress.tick()
        return future.result()


@contextmanager
def heeding(stop: Stop) -> Iterator[None]:
    """Have SIGINT and SIGTERM say that the user wants to stop, and a second one end the process."""

    def first(number: int, _frame: FrameType | None) -> None:
        if stop():
            _end_at_once(stop.resume)
        stop.want()

    # What the parent had ignored (nohup, a shell's background job) stays ignored.
    heeded = [s for s in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(s) is not signal.SIG_IGN]
    before = {number: signal.signal(number, first) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def following(stop: Stop) -> Iterator[None]:
    """As `heeding`, for who tells what comes until Ctrl-C, or until nobody reads it any more: neither is an error."""
    with heeding(stop):
        try:
            yield
        except BrokenPipeError:
            stop.want()
        except BuildInterrupted:
            # It is what Ctrl-C does to who waits: there is no more to say.
            pass


def _end_at_once(resume: str) -> None:
    """Leave as a crash would: no lock is taken and no buffer is flushed, what is on record is enough."""
    if sys.stdout.isatty():
        os.write(1, _SHOW_CURSOR)
    os.write(2, _AT_ONCE.format(resume).encode(errors="backslashreplace"))
    os._exit(130)
