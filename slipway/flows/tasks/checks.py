"""Whether a task of another package can be used, seen before any workflow uses it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from inspect import Parameter, isabstract, signature
from typing import Any, get_type_hints

from msgspec import inspect as types

from slipway.flows.tasks.base import Task

_FIRST = {"do": ("self", "work"), "undo": ("self", "work", "result")}


def faults_of(kind: Any) -> Iterator[str]:
    """What is wrong with a class that is to be a task, and what to write instead."""
    if not (isinstance(kind, type) and issubclass(kind, Task)):
        yield "it is no subclass of slipway.flows.tasks.base.Task"
        return
    for name in ("name", "kind"):
        if not isinstance(getattr(kind, name, None), str):
            yield f'it has no {name}: add `{name} = "..."`'
    if isabstract(kind):
        yield f"it does not define {', '.join(sorted(kind.__abstractmethods__))}()"
    if not hasattr(kind, "do"):
        yield "it does not define do(self, work, ...)"
        return
    yield from _badly_taken(kind.do, "do")
    yield from _badly_said(kind.do, "do", ["return"])
    if kind.undo is None:
        return
    yield from _badly_taken(kind.undo, "undo")
    given, needed = _further(kind.do, "do"), _further(kind.undo, "undo")
    for name in needed:
        if name not in given:
            yield f"undo() takes {name}, which do() does not take: only what do() is given is on record for it"
    yield from _badly_said(kind.undo, "undo", [name for name in needed if name in given])


def _further(method: Callable[..., Any], name: str) -> Sequence[str]:
    """The parameters after those that every task's method has."""
    return list(signature(method).parameters)[len(_FIRST[name]) :]


def _badly_taken(method: Callable[..., Any], name: str) -> Iterator[str]:
    parameters = list(signature(method).parameters.values())
    plain = all(one.kind in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY) for one in parameters)
    if len(parameters) < len(_FIRST[name]) or not plain:
        yield f"it must begin with `def {name}({', '.join(_FIRST[name])}` and take no `*` or `**`"


def _badly_said(method: Callable[..., Any], name: str, wanted: Sequence[str]) -> Iterator[str]:
    """What of it is put on record without an annotation, or with one that says what no record can have."""
    try:
        hints = get_type_hints(method)
    except NameError as error:
        yield f"the annotations of {name}() name {error.name}, which its module does not have while it runs"
        return
    for one in wanted:
        what, example = ("what it gives", "-> str") if one == "return" else (f"what {one} is", f"{one}: str")
        if one not in hints:
            yield f"{name}() does not say {what}, which is put on record: add an annotation such as `{example}`"
        elif (unfit := _unfit(hints[one])) is not None:
            yield f"{name}() says with {unfit} {what}, which cannot be put on record: make it a dataclass"


def _unfit(hint: Any) -> str | None:
    """The type in it that no record can have, if any."""
    try:
        return next(_customs(types.type_info(hint), set()), None)
    except TypeError as error:
        return f"{hint!r} ({error})"


def _customs(info: Any, seen: set[int]) -> Iterator[str]:
    """The types in a type that msgspec knows nothing of."""
    if isinstance(info, types.CustomType):
        yield getattr(info.cls, "__name__", str(info.cls))
    elif isinstance(info, tuple):
        for part in info:
            yield from _customs(part, seen)
    elif isinstance(info, (types.Type, types.Field)) and id(info) not in seen:
        seen.add(id(info))
        for name in info.__struct_fields__:
            yield from _customs(getattr(info, name), seen)
