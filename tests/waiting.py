"""Waiting for what happens elsewhere: until it has, with a limit that only a test that has failed comes to."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

PATIENCE = 600.0
"""Seconds: what takes a fraction of one takes a minute where the processors are busy with other things."""


def until(condition: Callable[[], Any], what: str) -> Any:
    """What `condition` gives once that is something."""
    give_up = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < give_up, f"{what}: not within {PATIENCE:g} s"
        time.sleep(0.02)
    return found
