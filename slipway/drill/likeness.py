"""Whether two runs came to rest alike: with the same on record and in the world, but for ids, times and texts.

What comes after that is the same for both: ids are drawn by chance, and nothing is decided by what an error or an event
says, nor by when something was that is over.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any

from slipway.drill.things import Row, Things

_HISTORY = "events"
"""The table that nobody goes by."""
_TIMES = frozenset(
    {"created_at", "launched_at", "deleted_at", "moved_at", "started_at", "finished_at", "undone_at", "deadline"}
    | {"ended_at", "wake_at"}
)
_TEXTS = frozenset({"fault", "error", "detail"})
_DRAWN = re.compile(r"[0-9a-f][0-9a-f:-]{10,}")
"""An id, or what follows from one: a tap, a MAC, an address that follows from a MAC, a digest."""


def likeness(now: Things, before: Things) -> str:
    """What is the same for all that are alike: each id stands there as the number that it comes as.

    `before` is a world that all of them began from: what is as it was there says nothing.
    """
    rows = [
        (table, _row(row))
        for table in now.rows
        if table != _HISTORY
        for row in _others(now.rows[table], before.rows.get(table, ()))
    ]
    files = sorted(item for item in now.files.items() if before.files.get(item[0]) != item[1])
    numbers: dict[str, str] = {}

    def numbered(found: re.Match[str]) -> str:
        return found[0] if found[0].isdigit() else numbers.setdefault(found[0], f"#{len(numbers)}")

    text = _DRAWN.sub(numbered, repr((rows, files, sorted(before.files.keys() - now.files.keys()))))
    return hashlib.sha256(text.encode()).hexdigest()


def _others(rows: Sequence[Row], before: Sequence[Row]) -> list[Row]:
    """The rows that are not among those before, then those that are gone."""
    return [row for row in rows if row not in before] + [row for row in before if row not in rows]


def _row(row: Row) -> list[Any]:
    return [value is None if name in _TIMES or name in _TEXTS else value for name, value in row.items()]
