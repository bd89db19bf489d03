"""What is known of types before a workflow runs: of its inputs, of what tasks take and give.

By annotations of Python. Only what can never fit is a mistake; of what is not known nothing is said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from msgspec import Struct

from slipway.flows.definition import InputDefinition
from slipway.flows.plain import field_names

_WORDS = {str: "text", bool: "boolean", int: "integer", float: "number", NoneType: "null"}
_INPUTS: Mapping[str, Any] = {
    "integer": int, "size": int, "number": float, "duration": float, "boolean": bool, "list": list[Any],
    "map": dict[str, Any], "instance": Any,
}  # fmt: skip


class Outputs(Struct, frozen=True):
    """The type of the outputs of a step or workflow that names them: of each name its type."""

    names: Mapping[str, Any]


class OneOf(Struct, frozen=True):
    """A type of several, which no union of Python could have."""

    types: tuple[Any, ...]


def _union(types: Sequence[Any]) -> Any:
    return types[0] if len(types) == 1 else Any if Any in types else OneOf(tuple(types))


class NoMember(Exception):
    """A type has no member of that name; `known` are those that it has."""

    def __init__(self, what: str, known: Sequence[str] = ()) -> None:
        super().__init__(what)
        self.known = known


def type_of_input(definition: InputDefinition) -> Any:
    """What an input is when it has a value."""
    return _INPUTS.get(definition.type, str)


def member_of(hint: Any, name: str) -> Any:
    """The type of what a value has under a name or index. Raises `NoMember`; `Any` where that is open."""
    found, known, what = [], list[str](), list[str]()
    for one in _alternatives(hint):
        try:
            found.append(_member(one, name))
        except NoMember as error:
            known += error.known
            what.append(str(error))
    if not found:
        raise NoMember(" or ".join(dict.fromkeys(what)) or "null", known)
    return _union(found)


def _member(hint: Any, name: str) -> Any:
    if isinstance(hint, Outputs):
        if name not in hint.names:
            raise NoMember("the outputs", tuple(hint.names))
        return hint.names[name]
    origin, parts = get_origin(hint) or hint, get_args(hint)
    if _kind(hint) == "list":
        if not name.isdecimal():
            raise NoMember("a list")
        return _item(parts, int(name))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return parts[1] if len(parts) == 2 else Any
    if isinstance(origin, type) and (names := field_names(origin)):
        if name not in names:
            raise NoMember(f"a {origin.__name__}", sorted(names))
        return get_type_hints(origin).get(name, Any)
    if origin in _WORDS:
        raise NoMember(f"{'an' if _WORDS[origin] == 'integer' else 'a'} {_WORDS[origin]}")
    return Any


def item_of(hint: Any) -> Any:
    """The type of what a `for_each` goes over. Raises `NoMember` for what is neither list nor mapping."""
    found = []
    for one in _alternatives(hint):
        origin, parts = get_origin(one) or one, get_args(one)
        if origin in (tuple, list):
            fixed = origin is tuple and parts and parts[-1] is not ...
            found.append(_union(parts) if fixed else _item(parts, 0))
        elif isinstance(one, Outputs) or one is Any:
            found.append(Any)
        elif isinstance(origin, type) and issubclass(origin, Mapping):
            found.append(parts[1] if len(parts) == 2 else Any)
        elif origin not in _WORDS and not (isinstance(origin, type) and field_names(origin)):
            found.append(Any)
    if not found:
        raise NoMember(words_of(hint))
    return _union(found)


def list_of(item: Any) -> Any:
    """The type of a list of such items."""
    return tuple.__class_getitem__((item, ...))


def _item(parts: tuple[Any, ...], index: int) -> Any:
    if not parts:
        return Any
    if len(parts) == 1 or parts[1] is ...:
        return parts[0]
    return parts[index] if index < len(parts) else Any


def fits(given: Any, wanted: Any) -> bool:
    """Whether a value of the one type could be one of the other: false only where none ever is."""
    return any(_fit(one, other) for one in _alternatives(given) for other in _alternatives(wanted))


def _fit(given: Any, wanted: Any) -> bool:
    kind, other = _kind(given), _kind(wanted)
    if "" in (kind, other):
        return True
    if kind == "record" and other == "record":
        left, right = get_origin(given) or given, get_origin(wanted) or wanted
        return issubclass(left, right) or issubclass(right, left)
    if kind == other:
        pair = (get_args(given)[:1], get_args(wanted)[:1]) if kind == "list" else ((), ())
        return not all(pair) or fits(pair[0][0], pair[1][0])
    return {kind, other} in ({"integer", "number"}, {"record", "mapping"})


def _kind(hint: Any) -> str:
    """text, boolean, integer, number, null, list, mapping, record, or "" where it is open."""
    if isinstance(hint, Outputs):
        return "mapping"
    origin = get_origin(hint) or hint
    if origin in _WORDS:
        return _WORDS[origin]
    if not isinstance(origin, type):
        return ""
    if issubclass(origin, (tuple, list)) and not field_names(origin):
        return "list"
    if issubclass(origin, Mapping):
        return "mapping"
    return "record" if field_names(origin) else ""


def words_of(hint: Any) -> str:
    """A type in words, for a message."""
    words = []
    for one in _alternatives(hint):
        kind = _kind(one)
        name = getattr(one, "__name__", kind) if kind == "record" else kind
        if name:
            words.append(name if name == "null" else f"{'an' if name[0] in 'aeiou' else 'a'} {name}")
    return " or ".join(dict.fromkeys(words)) or "anything"


def may_be_null(hint: Any) -> bool:
    """Whether null is one of a type's values, as far as is known."""
    origin = get_origin(hint)
    if isinstance(hint, OneOf) or origin in (Union, UnionType):
        return any(may_be_null(one) for one in (hint.types if isinstance(hint, OneOf) else get_args(hint)))
    return hint in (None, NoneType, Any)


def _alternatives(hint: Any) -> list[Any]:
    """The types of which a value is one; null is left out where there is another."""
    origin = get_origin(hint)
    if origin is Annotated:
        return _alternatives(get_args(hint)[0])
    if origin is Literal:
        return list({type(value): None for value in get_args(hint)})
    if isinstance(hint, OneOf) or origin in (Union, UnionType):
        parts = hint.types if isinstance(hint, OneOf) else get_args(hint)
        found = [one for part in parts for one in _alternatives(part)]
        return [one for one in found if one is not NoneType] or found
    return [NoneType if hint is None else hint]


def of_expression(hint: Any) -> str:
    """The type as the library for expressions has it: string, integer, boolean, list, map, or "" where it is open."""
    if may_be_null(hint):
        return ""
    kinds = {_kind(one) for one in _alternatives(hint)}
    names = {"text": "string", "mapping": "map", "integer": "integer", "boolean": "boolean", "list": "list"}
    return names.get(kinds.pop(), "") if len(kinds) == 1 else ""
