"""Mistakes, and what is wrong with a value by one of its limits, in words."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from slipway.model.limits import AnyText, AtMost, Between, Distinct, Matching, NotEmpty, OneOf, Parsed
from slipway.yamlfile.mistakes import did_you_mean, quoted

Place: TypeAlias = tuple[str | int, ...]
"""The attributes and indexes that lead to a value."""


class Mistake(NamedTuple):
    """What is wrong, and with which attribute.

    `text` goes on after the attribute's name ("must be ..."), or is a `sentence` of its own. `there`: it is wrong that
    the attribute is there at all.
    """

    place: Place
    text: str
    sentence: bool = False
    there: bool = False

    def __str__(self) -> str:
        """`flavor.vcpus: must be an integer, not 2.0`."""
        path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.place).removeprefix(".")
        return f"{path}: {self.text}" if path else self.text


def wrong(limit: object, value: Any) -> Mistake | None:
    """What is wrong with a value of the right type by one of its limits, None where nothing is."""
    match limit:
        case Between():
            return _beyond(limit, value)
        case Matching(pattern, title) if not re.fullmatch(pattern, value):
            return Mistake((), f"must be {title}, not {shown(value)}")
        case Parsed(parse, title):
            return _misspelt(parse, title, value)
        case OneOf(values) if value not in values:
            meant = did_you_mean(value, values) if isinstance(value, str) else ""
            return Mistake((), f"must be one of {', '.join(map(str, values))}, not {shown(value)}{meant}")
        case NotEmpty() if not value:
            return Mistake((), "must not be empty")
        case AtMost(items) if len(value) > items:
            return Mistake((), f"may have at most {items} items, not {len(value)}")
        case Distinct():
            return _repeated(value)
        case AnyText() if "\0" in value:
            return Mistake((), "must not have a NUL character in it")
    return None


def _beyond(limit: Between, value: float) -> Mistake | None:
    low, high = limit.low, limit.high
    if low is not None and (value < low or (limit.above and value == low)):
        return Mistake((), f"must be {'more than' if limit.above else 'at least'} {low:g}, not {shown(value)}")
    return None if high is None or value <= high else Mistake((), f"must be at most {high}, not {shown(value)}")


def _misspelt(parse: Callable[[str], object], title: str, value: str) -> Mistake | None:
    try:
        usual = str(parse(value))
    except ValueError:
        return Mistake((), f"must be {title}, not {shown(value)}")
    return None if usual == value else Mistake((), f"must be written {usual}, not {shown(value)}")


def _repeated(items: tuple[Any, ...]) -> Mistake | None:
    seen = set()
    for index, item in enumerate(items):
        if item in seen:
            return Mistake((index,), f"{shown(item)} is given twice")
        seen.add(item)
    return None


def shown(value: object) -> str:
    """A value for a message: as it is where it is short and plain, otherwise its type, for it may be a secret."""
    if isinstance(value, str) and len(value) <= 64:
        return quoted(value)
    if value is None or isinstance(value, (bool, int, float)):
        return repr(value)
    return with_article(type(value).__name__)


def with_article(name: str) -> str:
    """`a Flavor`, `an Image`."""
    return f"{'an' if name[:1].lower() in ('a', 'e', 'i', 'o', 'u') else 'a'} {name}"


def amount_text(resource: str, amount: int) -> str:
    """How much of vCPUs, memory or disk, as a run file has it."""
    return size_text(amount) if resource in ("memory", "disk") else str(amount)


def size_text(size: int) -> str:
    """Bytes as a run file has them: `1025MiB`."""
    for power, unit in ((4, "TiB"), (3, "GiB"), (2, "MiB"), (1, "KiB")):
        if size and size % (1 << 10 * power) == 0:
            return f"{size >> 10 * power}{unit}"
    return f"{size}B"
