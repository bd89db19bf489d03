"""Waiting for what happens elsewhere: until it has, with a limit that only a test that has failed comes to."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

PATIENCE = 600.0
"""Seconds: what takes a fraction of one takes a minute where the processors are busy with other things."""


def until(condition: Callable[[], Any], what: str) -> Any:
    """What `condition` gives once that is something."""
    begun = time.monotonic()
    while not (found := condition()):
        waited = time.monotonic() - begun
        assert waited < PATIENCE, f"{what}: not within {PATIENCE:g} s"
        # What takes long is asked less often: each look takes from what is waited for.
        time.sleep(min(0.02 + waited / 20, 0.25))
    return found
