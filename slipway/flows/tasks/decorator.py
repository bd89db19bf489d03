"""Tasks that are plain functions: `@task(revert=...)` before one makes it a task, and it stays a function as well."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from inspect import Parameter, Signature, iscoroutinefunction, signature
from typing import Any, TypeVar, get_type_hints

from msgspec import Struct

from slipway.flows.tasks.base import BuildWork, Task, Tools
from slipway.model.request import Host
from slipway.states.intent import Durability

F = TypeVar("F", bound=Callable[..., Any])

_SAID = "__slipway_task__"
_MADE = "__slipway_task_class__"


class Said(Struct, frozen=True):
    """What stands in brackets after `@task`."""

    name: str
    kind: str
    revert: Callable[..., None] | None
    durability: Durability


def task(
    *,
    name: str | None = None,
    kind: str | None = None,
    revert: Callable[..., None] | None = None,
    durability: Durability = Durability.FOREIGN,
) -> Callable[[F], F]:
    """Have a function be a task: its parameters are what a workflow passes in `with`, those with a default may be left
    out, and a first one that is called `work` gets the `Work`.

    `name`: what a workflow `uses`, by default the function's with `-` for `_`; `kind`: what the ledger calls its
    effect, by default the name. `revert` takes the effect back: it names those of the function's parameters that it
    needs, `work` and `result` (None where that is not on record) as well if it likes, and does nothing where there is
    nothing to take back. Without one the effect is irreversible; where there is none `durability` says so, RECORDED or
    PURE.
    What is wrong with a function is said when the task is loaded.
    """

    def mark(function: F) -> F:
        own = name or function.__name__.replace("_", "-")
        setattr(function, _SAID, Said(own, kind or own, revert, durability))
        return function

    return mark


def said_of(thing: Any) -> Said | None:
    """What stands after `@task` before a function; None where that is not there."""
    said = getattr(thing, _SAID, None)
    return said if isinstance(said, Said) else None


def task_of(thing: Any) -> type[Task]:
    """The class of a task: of a function that is one, or as it is. Raises `NameError` for an annotation of nothing."""
    said = said_of(thing)
    if said is None:
        kind: type[Task] = thing
        return kind
    if not hasattr(thing, _MADE):
        setattr(thing, _MADE, _made(thing, said))
    made: type[Task] = getattr(thing, _MADE)
    return made


def faults_of_function(function: Callable[..., Any], said: Said) -> Iterator[str]:
    """What makes a function none that can be a task, whatever its annotations say."""
    if iscoroutinefunction(function):
        yield f"{function.__name__}() is a coroutine: a task is done by calling it"
    for one in (function, said.revert):
        if one is not None and any(two.kind not in _PLAIN for two in signature(one).parameters.values()):
            yield f"{one.__name__}() takes `*` or `**` or `/`: a workflow passes arguments by their names"
    if said.durability is Durability.LOCAL:
        yield "its durability is LOCAL: that is for rows of Slipway's own database"
    elif said.durability is not Durability.FOREIGN and said.revert is not None:
        yield f"it has a revert and no effect: its durability is {said.durability.name}"


_PLAIN = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)


def _made(function: Callable[..., Any], said: Said) -> type[Task]:
    hints = get_type_hints(function, include_extras=True)
    work = hints.get("work")

    def durability(self: Task, tools: Tools, host: Host | None) -> Durability:
        return said.durability

    attributes = {
        "__doc__": function.__doc__,
        "__module__": function.__module__,
        "__qualname__": function.__qualname__,
        "name": said.name,
        "kind": said.kind,
        "irreversible": said.durability is Durability.FOREIGN and said.revert is None,
        "in_build_only": isinstance(work, type) and issubclass(work, BuildWork),
        "durability": durability,
        "do": _method(function, ("work",)),
        "undo": _method(said.revert, ("work", "result")) if said.revert is not None else None,
    }
    return type(function.__name__, (Task,), attributes)


def _method(function: Callable[..., Any], first: tuple[str, ...]) -> Callable[..., Any]:
    """A function as a method that is given `first`, whether the function wants it or not."""
    parameters = signature(function).parameters
    wanted = [name for name in first if name in parameters]

    def method(self: Task, *fixed: Any, **given: Any) -> Any:
        own = dict(zip(first, fixed, strict=True))
        return function(**{name: own[name] for name in wanted}, **given)

    method.__name__, method.__doc__ = function.__name__, function.__doc__
    method.__annotations__ = get_type_hints(function, include_extras=True)
    fixed = [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in ("self", *first)]
    further = [
        one.replace(kind=Parameter.KEYWORD_ONLY, annotation=Parameter.empty)
        for name, one in parameters.items()
        if name not in first
    ]
    method.__signature__ = Signature([*fixed, *further])  # type: ignore[attr-defined]
    return method
