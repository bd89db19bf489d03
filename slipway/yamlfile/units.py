"""Sizes and durations as people write them, always with a unit: "512MiB", "2GB", "500ms", "1.5h"."""

from __future__ import annotations

import re
from decimal import Decimal

LARGEST = 2**63 - 1
"""The largest integer that a file may hold and a database can keep."""

_SIZES = {"B": 1} | {
    f"{prefix}{i}B": base**power for power, prefix in enumerate("KMGTP", 1) for i, base in (("i", 1024), ("", 1000))
}
_SECONDS = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600), "d": Decimal(86400)}
_QUANTITY = re.compile(r"([0-9]{1,19}(?:\.[0-9]{1,9})?)([A-Za-z]+)", re.ASCII)


def parse_size(text: str) -> int:
    """Bytes of a size such as "512MiB" or "500GB". Raises `ValueError` for anything else, parts of a byte among it."""
    number, unit = _split(text)
    if unit not in _SIZES:
        raise ValueError(f"unknown unit {unit}")
    size = number * _SIZES[unit]
    if size != int(size) or size > LARGEST:
        raise ValueError("not a whole number of bytes, or too large")
    return int(size)


def parse_duration(text: str) -> float:
    """Seconds of a duration such as "30s", "2m" or "500ms". Raises `ValueError` for anything else."""
    number, unit = _split(text)
    if unit not in _SECONDS:
        raise ValueError(f"unknown unit {unit}")
    seconds = number * _SECONDS[unit]
    if seconds > 10**9:
        raise ValueError("too long")
    return float(seconds)


def suggest_size(text: str) -> str | None:
    """What was probably meant by a size that `parse_size` refuses: "512MiB" for "512 mb" or "512M"."""
    match = re.fullmatch(r"([0-9.]+) *([kmgtp])i?b?", text, re.IGNORECASE)
    return f"{match[1]}{match[2].upper()}iB" if match else None


def _split(text: str) -> tuple[Decimal, str]:
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError("not a number with a unit")
    return Decimal(match[1]), match[2]
