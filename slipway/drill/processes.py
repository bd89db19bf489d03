"""Processes that may be killed or stopped, and the deadline in which everything must have come to rest."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager

DEADLINE = 30
"""Seconds in which every part of a run must have come to rest (A1)."""


class Overdue(BaseException):
    """The deadline of a run has passed."""


@contextmanager
def deadline() -> Iterator[None]:
    """Raise `Overdue` within, in the main thread, when the deadline passes."""

    def passed(_signal: int, _frame: object) -> None:
        raise Overdue

    before = signal.signal(signal.SIGALRM, passed)
    signal.alarm(DEADLINE)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def fork(action: Callable[[], object]) -> int:
    """Do it in a process of its own, which SIGALRM kills at the deadline; gives its number."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(DEADLINE)
            action()
            status = 0
        finally:
            os._exit(status)
    return child


def wait_for(child: int, options: int = 0) -> int:
    """How the process ended, or that it was stopped where `options` say WUNTRACED."""
    return os.waitpid(child, options)[1]


def stand_still() -> None:
    """Stop this process until another one lets it go on; its deadline begins anew then."""
    os.kill(os.getpid(), signal.SIGSTOP)
    signal.alarm(DEADLINE)


def stops(action: Callable[[], object]) -> Generator[None, None, None]:
    """Do it in a process of its own; comes by each time that it has stopped itself, and kills it when that was all."""
    child = fork(action)
    ended = False
    try:
        while not (ended := not os.WIFSTOPPED(wait_for(child, os.WUNTRACED))):
            yield
            os.kill(child, signal.SIGCONT)
    finally:
        if not ended:
            os.kill(child, signal.SIGKILL)
            wait_for(child)
