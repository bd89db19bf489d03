"""Values made plain: what expressions see of records, and which texts stand for values."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Any
from uuid import UUID

from slipway.texts import Secret

MAX_DEPTH = 64
MAX_VALUES = 200_000
"""How deep values are nested, and how many there are, at most, before they are made plain for an expression."""

_LARGEST = 2**63


def field_names(kind: type) -> frozenset[str]:
    """The names of a record's fields, none for anything else: methods and what begins with `_` are no fields."""
    if (names := _known.get(kind)) is None:
        names = _known[kind] = frozenset(name for name in _declared(kind) if not name.startswith("_"))
    return names


_known: dict[type, frozenset[str]] = {}


def _declared(kind: Any) -> Iterable[str]:
    """Of structs, dataclasses, named tuples and attrs' classes."""
    for attribute in ("__struct_fields__", "__dataclass_fields__", "_fields"):
        if attribute in dir(kind):
            return tuple(getattr(kind, attribute))
    return (one.name for one in getattr(kind, "__attrs_attrs__", ()))


def member(value: Any, name: str) -> Any:
    """The value under a key, index or field. Raises `LookupError` where there is none."""
    if name in field_names(type(value)):
        return getattr(value, name)
    if isinstance(value, Mapping):
        return value[name]
    if isinstance(value, (list, tuple)) and name.isdecimal():
        return value[int(name)]
    raise LookupError(name)


def plain(value: Any) -> Any:
    """Records as mappings, tuples as lists, all else as JSON has it. Raises `ValueError` for what has no such form."""
    return Plainer().convert(value)


class Plainer:
    """Makes values plain; `secret`: whether a secret was among them."""

    def __init__(self) -> None:
        self.secret = False
        self._left = MAX_VALUES

    def convert(self, value: Any, depth: int = 0) -> Any:
        """Raises `ValueError`, with what it is that has no plain form."""
        self._left -= 1
        if depth > MAX_DEPTH:
            raise ValueError(f"a value that is nested more than {MAX_DEPTH} levels deep")
        if self._left < 0:
            raise ValueError(f"more than {MAX_VALUES} values")
        kind = type(value)
        if value is None or kind is bool or kind is float:
            return value
        if isinstance(value, str) and "\0" in value:
            raise ValueError("a text with a NUL character")
        if kind is str:
            return value
        if kind is int:
            if not -_LARGEST <= value < _LARGEST:
                raise ValueError("an integer of more than 64 bits")
            return value
        if kind is list or kind is tuple or isinstance(value, (set, frozenset)):
            return [self.convert(one, depth + 1) for one in value]
        if isinstance(value, Mapping):
            return {_key(key): self.convert(one, depth + 1) for key, one in value.items()}
        if names := field_names(kind):
            return {name: self.convert(getattr(value, name), depth + 1) for name in sorted(names)}
        self.secret = self.secret or isinstance(value, Secret)
        return _scalar(value)


def _key(key: Any) -> str:
    text = str.__str__(key) if isinstance(key, str) else str(key)
    if "\0" in text:
        raise ValueError("a text with a NUL character")
    return text


def _scalar(value: Any) -> Any:
    match value:
        case Enum():
            return value.value
        case str():
            return str.__str__(value)
        case timedelta():
            return value.total_seconds()
        case datetime():
            return value.isoformat()
        case UUID():
            return str(value)
        case bytes() | bytearray():
            raise ValueError("bytes")
        case _:
            raise ValueError(f"a {type(value).__name__}")


def secrets_in(value: Any) -> Iterator[Secret]:
    """All secrets in a value, however deep."""
    if isinstance(value, Secret):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from secrets_in(one)
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from secrets_in(one)
    else:
        for name in field_names(type(value)):
            yield from secrets_in(getattr(value, name))


def as_secret(value: Any) -> Any:
    """The value with every text in it a secret."""
    if isinstance(value, str):
        return Secret(value)
    if isinstance(value, list):
        return [as_secret(one) for one in value]
    if isinstance(value, dict):
        return {key: as_secret(one) for key, one in value.items()}
    return value


def as_text(value: Any) -> str:
    """A value as it is put into a text: numbers as in YAML, lists and mappings as JSON.

    Raises `ValueError` for null, which is nothing that anybody wants in a URL, and for what is not plain.
    """
    if isinstance(value, str):
        return value
    value = plain(value)
    if value is None:
        raise ValueError("null")
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
