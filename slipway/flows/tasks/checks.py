"""Whether a task of another package can be used, seen before any workflow uses it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from inspect import Parameter, isabstract, signature
from typing import Any, get_type_hints

import msgspec
from msgspec import inspect as types

from slipway.flows.tasks.base import Task
from slipway.flows.tasks.decorator import faults_of_function, said_of, task_of

_FIRST = {"do": ("self", "work"), "undo": ("self", "work", "result")}


def faults_of(thing: Any) -> Iterator[str]:
    """What is wrong with a class or function that is to be a task, and what to write instead."""
    if (said := said_of(thing)) is not None:
        wrong = list(faults_of_function(thing, said))
        try:
            thing = thing if wrong else task_of(thing)
        except NameError as error:
            wrong.append(_nowhere(thing.__name__, error))
        if wrong:
            yield from wrong
            return
    yield from _faults_of_class(thing)


def _faults_of_class(kind: Any) -> Iterator[str]:
    if not (isinstance(kind, type) and issubclass(kind, Task)):
        yield "it is no subclass of slipway.flows.tasks.base.Task, and no function with @task before it"
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
    passed = [] if kind.in_build_only else _further(kind.do, "do")
    yield from _badly_said(kind.do, ["return", *passed])
    yield from _badly_left_out(kind.do, passed)
    if kind.undo is None:
        return
    yield from _badly_taken(kind.undo, "undo")
    given, needed = _further(kind.do, "do"), _further(kind.undo, "undo")
    for name in needed:
        if name not in given:
            why = f"only what {kind.do.__name__}() is given is on record for it"
            yield f"{kind.undo.__name__}() takes {name}, which {kind.do.__name__}() does not take: {why}"
    yield from _badly_said(kind.undo, [name for name in needed if name in given])


def _further(method: Callable[..., Any], name: str) -> Sequence[str]:
    """The parameters after those that every task's method has."""
    return list(signature(method).parameters)[len(_FIRST[name]) :]


def _badly_taken(method: Callable[..., Any], name: str) -> Iterator[str]:
    parameters = list(signature(method).parameters.values())
    plain = all(one.kind in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY) for one in parameters)
    if len(parameters) < len(_FIRST[name]) or not plain:
        yield f"it must begin with `def {name}({', '.join(_FIRST[name])}` and take no `*` or `**`"


def _badly_said(method: Callable[..., Any], wanted: Sequence[str]) -> Iterator[str]:
    """What of it is passed or put on record without an annotation, or with one that says what no record can have."""
    name = method.__name__
    try:
        hints = get_type_hints(method)
    except NameError as error:
        yield _nowhere(name, error)
        return
    for one in wanted:
        what, example = ("what it gives", "-> str") if one == "return" else (f"what {one} is", f"{one}: str")
        if one not in hints:
            yield f"{name}() does not say {what}, which is put on record: add an annotation such as `{example}`"
        elif (unfit := _unfit(hints[one])) is not None:
            yield f"{name}() says with {unfit} {what}, which cannot be put on record: make it a dataclass"


def _badly_left_out(method: Callable[..., Any], passed: Sequence[str]) -> Iterator[str]:
    """The defaults that are not of the type that they stand for."""
    parameters = signature(method).parameters
    with suppress(NameError):
        hints = get_type_hints(method)
        for name in passed:
            default = parameters[name].default
            if default is Parameter.empty or name not in hints or _unfit(hints[name]) is not None:
                continue
            try:
                msgspec.convert(default, hints[name])
            except msgspec.ValidationError:
                yield f"{method.__name__}(): the default of {name} is not what it says that {name} is"


def _nowhere(name: str, error: NameError) -> str:
    return f"the annotations of {name}() name {error.name}, which its module does not have while it runs"


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
