"""Trying again what failed in passing, with doubling waits."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from slipway.errors import TransientError

log = logging.getLogger(__name__)

T = TypeVar("T")


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
) -> T:
    """Call, and again at most `retries` times after an error of the classes `on`; the last one is raised as it was.

    The waits are `delay` seconds, then `backoff` times the one before, at most `max_delay` (Nova: 1, 2, 4 ... 30 s).
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
        sleep(wait)
        wait = min(wait * backoff, max_delay)
    return call()
