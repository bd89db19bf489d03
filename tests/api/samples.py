"""A value of any type that our records are made of, with something in every attribute."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

PLAIN: dict[Any, Any] = {
    str: "text",
    int: 7,
    float: 1.5,
    bool: True,
    bytes: b"bytes",
    datetime: datetime(2026, 1, 2, 3, 4, 5, 678, UTC),
    Path: Path("/a/path"),
}


def sample(hint: Any) -> Any:
    """A value of the type, the richest of a union."""
    if hint in PLAIN:
        return PLAIN[hint]
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        hints = get_type_hints(hint)
        return hint(**{field.name: sample(hints[field.name]) for field in dataclasses.fields(hint) if field.init})
    if isinstance(hint, type) and issubclass(hint, Enum):
        return list(hint)[-1]
    parts = get_args(hint)
    if get_origin(hint) in (Union, UnionType):
        return sample(next(part for part in reversed(parts) if part is not type(None)))
    if get_origin(hint) is tuple:
        return tuple(sample(part) for part in parts if part is not Ellipsis)
    if get_origin(hint) is frozenset:
        return frozenset({sample(parts[0])})
    raise AssertionError(f"no sample of {hint}")
