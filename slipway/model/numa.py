"""NUMA cells of hosts: which CPUs are near the same memory."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from itertools import groupby

CPUS = r"\d{1,5}(-\d{1,5})?(,\d{1,5}(-\d{1,5})?)*"
"""How CPUs are said, such as `0-3,8`."""


def parse_cpus(text: str) -> frozenset[int]:
    """The CPUs of such a text. Raises `ValueError` for another one, and for a range that goes down."""
    if not re.fullmatch(CPUS, text):
        raise ValueError(f"{text!r} says no CPUs, such as 0-3,8")
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        if int(last or first) < int(first):
            raise ValueError(f"the range {part} goes down")
        found |= {*range(int(first), int(last or first) + 1)}
    return frozenset(found)


def cpus_text(cpus: Collection[int]) -> str:
    """`0-3,8`."""
    parts = []
    for _, run in groupby(enumerate(sorted(cpus)), lambda one: one[1] - one[0]):
        first, *rest = [cpu for _, cpu in run]
        parts.append(f"{first}-{rest[-1]}" if rest else str(first))
    return ",".join(parts)


def cells_of(numa: Sequence[str], cpus: Sequence[int]) -> Sequence[int]:
    """In which cells of a host these CPUs are; -1: in none that is known."""
    cells = [parse_cpus(cell) for cell in numa]
    return sorted({next((number for number, cell in enumerate(cells) if cpu in cell), -1) for cpu in cpus})


def guest_cells(pins: Sequence[int], cells: int) -> Iterator[Sequence[int]]:
    """The CPUs to which each cell of a guest is pinned: its vCPUs are divided evenly, one after the other."""
    each = len(pins) // max(1, cells)
    return (pins[start : start + each] for start in range(0, len(pins), max(1, each)))
