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
    if retries <= 0:
        return call()
    import tenacity

    def warn(state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        log.warning("step %s, attempt %d of %d: %s", step, state.attempt_number, retries + 1, error)

    return tenacity.Retrying(
        stop=tenacity.stop_after_attempt(retries + 1),
        wait=tenacity.wait_exponential(multiplier=delay, exp_base=backoff, max=max_delay),
        retry=tenacity.retry_if_exception_type(on),
        sleep=sleep,
        before_sleep=warn,
        reraise=True,
    )(call)
