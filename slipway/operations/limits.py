"""What a caller may ask for in numbers: said before anything is changed."""

from __future__ import annotations

import math

LONGEST = 10.0**9
"""Seconds, some thirty years: as a run file's longest duration."""


def check_count(what: str, count: int | None) -> None:
    """Raise `ValueError` for what counts nothing. None is the default's."""
    if count is not None and not (isinstance(count, int) and count >= 0):
        raise ValueError(f"{what} must be a whole number from 0 on, not {count!r}")


def check_seconds(what: str, seconds: float | None, *, most: float = LONGEST, whose: str = "") -> None:
    """Raise `ValueError` for what is no time to wait: negative, endless, or no number. None is the default's.

    `whose`: what sets the longest.
    """
    if seconds is None:
        return
    if type(seconds) not in (int, float):
        raise ValueError(f"{what} must be a number of seconds, not {seconds!r}")
    if not (math.isfinite(seconds) and 0 <= seconds <= most):
        longest = f"{whose} ({most:g} s)" if whose else f"{most:g} s"
        raise ValueError(f"{what} must be from 0 s to {longest}, not {seconds:g} s")
