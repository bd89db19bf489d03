"""A value of any type that our records are made of, with something in every attribute."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from msgspec import Struct

PLAIN: dict[Any, Any] = {
    str: "text",
    int: 7,
    float: 1.5,
    bool: True,
    bytes: b"bytes",
    datetime: datetime(2026, 1, 2, 3, 4, 5, 678, UTC),
    Path: Path("/a/path"),
    Any: ["anything"],
}


def sample(hint: Any) -> Any:
    """A value of the type, the richest of a union."""
    if hint in PLAIN:
        return PLAIN[hint]
    if isinstance(hint, type) and issubclass(hint, Struct):
        hints = get_type_hints(hint)
        return hint(**{name: sample(hints[name]) for name in hint.__struct_fields__})
    if isinstance(hint, type) and issubclass(hint, Enum):
        return list(hint)[-1]
    parts = get_args(hint)
    if get_origin(hint) in (Union, UnionType):
        return sample(next(part for part in reversed(parts) if part is not type(None)))
    if get_origin(hint) is tuple:
        return tuple(sample(part) for part in parts if part is not Ellipsis)
    if get_origin(hint) is Mapping:
        return {sample(parts[0]): sample(parts[1])}
    if get_origin(hint) is frozenset:
        return frozenset({sample(parts[0])})
    raise AssertionError(f"no sample of {hint}")
