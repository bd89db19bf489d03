"""By when a driver's call must be back: said around the call, and heeded by the driver wherever it waits.

It is by real time, holds for the thread that makes the call, and is no argument of each of the drivers' methods: what
waits is deep within them. Without a deadline a wait has its own bound alone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextvars import ContextVar, Token
from types import TracebackType
from typing import TypeVar

from slipway.errors import StepTimeout

R = TypeVar("R")

_until: ContextVar[float] = ContextVar("slipway_deadline", default=float("inf"))


class within:  # noqa: N801 - it is used as a function is
    """Calls made meanwhile are to be back after so many seconds, or earlier where that was said around this already."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        self._token: Token[float] = _until.set(min(_until.get(), time.monotonic() + self._seconds))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        _until.reset(self._token)


def left(most: float) -> float:
    """Seconds that a wait may take, `most` at most. Raises `StepTimeout` where the deadline has passed."""
    seconds = min(most, _until.get() - time.monotonic())
    if seconds <= 0:
        raise StepTimeout("the time of the step is over")
    return seconds


def in_time(
    call: Callable[[], R],
    seconds: float,
    *,
    name: str,
    check: Callable[[], None] = lambda: None,
    every: float = float("inf"),
) -> R:
    """What the call gives, made in a thread of this name; for calls that cannot be bounded otherwise.

    Raises what it raises, what `check` does, which is called `every` so many seconds, and `TimeoutError` after
    `seconds`: then the thread is left behind with it.
    """
    answer: Future[R] = Future()

    def work() -> None:
        try:
            answer.set_result(call())
        except BaseException as error:  # noqa: BLE001 - it is raised where the answer is waited for
            answer.set_exception(error)

    threading.Thread(target=work, name=name, daemon=True).start()
    until = time.monotonic() + seconds
    while until - time.monotonic() > every and not wait((answer,), every).done:
        check()
    return answer.result(max(0.0, until - time.monotonic()))
