"""What a task says of itself to people: its docstrings, types and defaults, in words."""

from __future__ import annotations

import types
from collections.abc import Mapping
from enum import Enum
from functools import reduce
from inspect import Parameter, cleandoc, signature
from operator import or_
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Struct

from slipway.flows.tasks.base import Task


class Argument(Struct, frozen=True):
    """What a workflow passes in `with`. `default` is None for what is `required`, and where it is null."""

    name: str
    type: str
    required: bool
    default: Any = None


class Card(Struct, frozen=True):
    """A task in words. `details` is what else it promises, `undo` what its own undo does (None: it has none).

    `origin` is where it stands. `refused`: why it cannot be used, then the rest is empty.
    """

    name: str
    kind: str = ""
    description: str = ""
    details: str = ""
    builds_only: bool = False
    irreversible: bool = False
    inputs: tuple[Argument, ...] = ()
    output: str = ""
    undo: str | None = None
    origin: str = ""
    refused: str | None = None


def card_of(task: Task) -> Card:
    """What people are shown of it."""
    kind = type(task)
    takes = task.signature
    about = [_one_line(part) for part in cleandoc(kind.__doc__ or "").split("\n\n") if part]
    does = [_one_line(part) for part in cleandoc(kind.do.__doc__ or "").split("\n\n") if part]
    defaults = {one.name.removesuffix("_"): one.default for one in signature(kind.do).parameters.values()}
    return Card(
        name=task.name,
        kind=task.kind,
        description=about[0] if about else "",
        # A function has one docstring: that of its class is the same.
        details="\n".join([*about[1:], *(part for part in does if part not in about)]),
        builds_only=takes.in_build_only,
        irreversible=takes.irreversible,
        inputs=tuple(
            Argument(
                name,
                words_of(type_ if defaults[name] is not None else _unless_none(type_)),
                name in takes.inputs,
                None if defaults[name] is Parameter.empty else msgspec.to_builtins(defaults[name]),
            )
            for name, type_ in takes.types.items()
        ),
        output=_result_words(takes.result),
        undo=undo_words(task),
        origin=f"{kind.__module__}:{kind.__qualname__}",
    )


def undo_words(task: Task) -> str | None:
    """What its own undo does; None: it has none."""
    undo = type(task).undo
    return None if undo is None else _one_line(cleandoc(undo.__doc__ or ""))


def _one_line(text: str) -> str:
    return " ".join(text.split())


_PLAIN = {str: "text", int: "integer", float: "number", bool: "true or false", type(None): "null", Any: "anything"}


def _unless_none(hint: Any) -> Any:
    """The type without None, which stands for an argument that is left out."""
    parts = [part for part in get_args(hint) if part is not type(None)]
    return reduce(or_, parts) if get_origin(hint) in (Union, types.UnionType) else hint


def _result_words(hint: Any) -> str:
    """A type in words, of a record with what is in it."""
    if isinstance(hint, type) and issubclass(hint, Struct):
        hints = get_type_hints(hint, include_extras=True)
        return f"{hint.__name__}: " + ", ".join(f"{name} ({words_of(hints[name])})" for name in hint.__struct_fields__)
    return words_of(hint)


def words_of(hint: Any) -> str:
    """A type in the words of a workflow."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        title = next((one.title for one in parts[1:] if isinstance(one, msgspec.Meta) and one.title), None)
        return title or words_of(parts[0])
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(words_of(part) for part in parts))
    if origin is tuple and parts[1:] != (...,):
        return f"list of {', '.join(map(words_of, parts))}"
    if origin in (tuple, list, set, frozenset) or (isinstance(origin, type) and issubclass(origin, Mapping | dict)):
        of = words_of(parts[0 if origin in (tuple, list, set, frozenset) else -1])
        what = "list" if origin in (tuple, list, set, frozenset) else "map"
        return f"{what} of {of}" if of != "anything" else what
    if isinstance(hint, type) and issubclass(hint, Enum):
        return " or ".join(str(one.value) for one in hint)
    return _PLAIN.get(hint) or str(getattr(hint, "__name__", hint))
