"""Trying again what failed in passing, with doubling waits."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from typing import Any, TypeVar

from slipway import errors
from slipway.errors import TransientError
from slipway.flows.definition import Retry

log = logging.getLogger(__name__)

T = TypeVar("T")

UNDO_RETRIES = 3
"""How often an undo that failed in passing is tried again (Nova: three, on deallocation)."""


def with_retries(
    call: Callable[[], T],
    *,
    retries: int,
    sleep: Callable[[float], None],
    step: str,
    on: tuple[type[Exception], ...] = (TransientError,),
    delay: float = 1.0,
    backoff: float = 2.0,
    max_delay: float = 30.0,
    shorter: Callable[[int], float] = lambda _attempt: 0.0,
    tell: Callable[[Exception, float], None] = lambda _error, _seconds: None,
) -> T:
    """Call, and again at most `retries` times after an error of the classes `on`; the last one is raised as it was.

    `tell` is told of each error after which it is tried again, and of how long the wait before that is.
    The waits are `delay` seconds, then `backoff` times the one before, at most `max_delay` (Nova: 1, 2, 4 ... 30 s).
    `shorter` says which part of itself the wait after an attempt is shorter.
    A negative number of retries counts as none, with a warning (Nova: `network_allocate_retries`).
    """
    if retries < 0:
        log.warning("step %s: %d retries counts as none", step, retries)
    wait = min(delay, max_delay)
    for attempt in range(1, retries + 1):
        try:
            return call()
        except on as error:
            log.warning("step %s, attempt %d of %d: %s", step, attempt, retries + 1, error)
            rest = wait * (1 - shorter(attempt))
            tell(error, rest)
        sleep(rest)
        wait = min(wait * backoff, max_delay)
    return call()


def waits_of(retry: Retry, key: str) -> dict[str, Any]:
    """What `with_retries` takes of what a workflow says. `key`: by it the jitter is drawn, the same after a crash."""
    waits: dict[str, Any] = {"delay": retry.delay, "backoff": retry.backoff, "max_delay": retry.max_delay}
    if retry.errors:
        waits["on"] = tuple(getattr(errors, name) for name in retry.errors)
    if retry.jitter:
        waits["shorter"] = lambda attempt: retry.jitter * random.Random(f"{key}/{attempt}").random()
    return waits
