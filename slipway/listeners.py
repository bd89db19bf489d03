"""Whoever is told of what happens: code of other programs, whose failures end nothing of ours."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

E = TypeVar("E")

log = logging.getLogger(__name__)


def tell(listener: Callable[[E], object], event: E, type_: str) -> None:
    """Have a listener told of an event. What it raises is logged, with the event's type."""
    try:
        listener(event)
    except Exception:
        log.exception("a listener failed at %s", type_)
