"""Parts of an atom's result, by the indices under which it provides them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

log = logging.getLogger(__name__)

MISSING = object()
"""In place of a part that a result does not have."""


def part(result: Any, index: Any) -> Any:
    """A part of a result, all of it where the index is None, `MISSING` where it has no such part."""
    if index is None:
        return result
    try:
        return result[index]
    except (IndexError, KeyError, ValueError, TypeError):
        return MISSING


def check_provided(atom: str, saved_as: Mapping[str, Any], result: Any) -> None:
    """Warn where an atom did not give all that it was to provide."""
    for name, index in saved_as.items():
        if part(result, index) is MISSING:
            log.warning("Atom '%s' did not supply result with index %r (name '%s')", atom, index, name)
