"""Whether a record's attributes are of their types and within their limits, and make sense together.

The types are looked at once a class and made into functions, for every request passes through them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, NamedTuple, TypeAlias, Union, get_args, get_origin

from msgspec import Struct
from msgspec.structs import fields

from slipway.checks.rules import RULES
from slipway.checks.words import Mistake, Place, shown, with_article, wrong
from slipway.errors import InvalidRequest
from slipway.model.limits import AnyText
from slipway.yamlfile.scalars import check_characters
from slipway.yamlfile.units import LARGEST

_Look: TypeAlias = Callable[[Any, Place, list[Mistake]], None]


class _Type(NamedTuple):
    """A type in words, whether a value is of it, and what else is to be looked at in one that is."""

    words: str
    fits: Callable[[Any], bool]
    look: _Look = lambda _value, _place, _found: None

    def judge(self, value: Any, place: Place, found: list[Mistake]) -> None:
        """Note what is wrong with the value at a place."""
        if self.fits(value):
            self.look(value, place, found)
        else:
            found.append(Mistake(place, f"must be {self.words}, not {shown(value)}"))


def check(record: object, kind: Any, what: str = "") -> None:
    """Raise `InvalidRequest` with all that is wrong with a value of this type; `what` is its name in the text."""
    if found := mistakes_of(record, kind):
        raise InvalidRequest(tuple(map(str, found)), what)


def mistakes_of(record: object, kind: Any) -> list[Mistake]:
    """All that is wrong with a value of this type."""
    found: list[Mistake] = []
    _type_of(kind).judge(record, (), found)
    return found


@cache
def _type_of(hint: Any) -> _Type:
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _limited(_type_of(parts[0]), parts[1:])
    if origin in (Union, UnionType):
        return _union([_type_of(part) for part in parts])
    if origin is tuple:
        return _tuple([_type_of(part) for part in parts if part is not ...], endless=... in parts)
    if isinstance(hint, type) and issubclass(hint, Struct):
        return _record(hint)
    if isinstance(hint, type) and issubclass(hint, Enum):
        words = " or ".join(f"{hint.__name__}.{one.name}" for one in hint)
        return _Type(words, lambda value: isinstance(value, hint))
    return _PLAIN.get(hint) or _Type(with_article(hint.__name__), lambda value: isinstance(value, hint))


def _record(kind: type[Struct]) -> _Type:
    attributes = [(field.name, field.default, _type_of(field.type)) for field in fields(kind)]
    rule = RULES.get(kind)

    def look(value: Any, place: Place, found: list[Mistake]) -> None:
        before = len(found)
        for name, default, type_ in attributes:
            if (given := getattr(value, name)) is not default:
                type_.judge(given, (*place, name), found)
        # Of attributes that are wrong by themselves nobody can say whether they go together.
        if rule is not None and len(found) == before:
            found += [one._replace(place=(*place, *one.place)) for one in rule(value)]

    return _Type(with_article(kind.__name__), lambda value: isinstance(value, kind), look)


def _limited(type_: _Type, limits: tuple[object, ...]) -> _Type:
    # A text that may have any characters has none of the rules of other texts.
    first = _encodable if any(isinstance(limit, AnyText) for limit in limits) else type_.look

    def look(value: Any, place: Place, found: list[Mistake]) -> None:
        before = len(found)
        first(value, place, found)
        if len(found) == before:
            mistakes = [one for limit in limits if (one := wrong(limit, value)) is not None]
            found += [one._replace(place=(*place, *one.place)) for one in mistakes]

    return type_._replace(look=look)


def _union(types: list[_Type]) -> _Type:
    def look(value: Any, place: Place, found: list[Mistake]) -> None:
        next(one for one in types if one.fits(value)).look(value, place, found)

    words = " or ".join(dict.fromkeys(one.words for one in types))
    return _Type(words, lambda value: any(one.fits(value) for one in types), look)


def _tuple(types: list[_Type], *, endless: bool) -> _Type:
    def look(value: Any, place: Place, found: list[Mistake]) -> None:
        if not endless and len(value) != len(types):
            found.append(Mistake(place, f"must be a tuple of {len(types)}, not of {len(value)}"))
            return
        for index, item in enumerate(value):
            types[0 if endless else index].judge(item, (*place, index), found)

    return _Type("a tuple", lambda value: isinstance(value, tuple), look)


def _finite(value: float, place: Place, found: list[Mistake]) -> None:
    if not math.isfinite(value):
        found.append(Mistake(place, f"must be a finite number, not {value}"))


def _bounded(value: int, place: Place, found: list[Mistake]) -> None:
    if not -LARGEST <= value <= LARGEST:
        found.append(Mistake(place, f"is out of bounds: integers go to {LARGEST}"))


def _printable(value: str, place: Place, found: list[Mistake]) -> None:
    try:
        check_characters(value)
    except ValueError as error:
        found.append(Mistake(place, f"is wrong: {error}"))


def _encodable(value: str, place: Place, found: list[Mistake]) -> None:
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        found.append(Mistake(place, "has half a character in it: it cannot be written as UTF-8"))


_PLAIN = {
    bool: _Type("True or False", lambda value: value is True or value is False),
    int: _Type("an integer", lambda value: type(value) is int, _bounded),
    float: _Type("a number", lambda value: type(value) in (float, int), _finite),
    str: _Type("a text", lambda value: isinstance(value, str), _printable),
    NoneType: _Type("None", lambda value: value is None),
}
