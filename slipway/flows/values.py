"""What the values of a workflow stand for while it runs: references, expressions, texts with either in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from slipway.errors import ExpressionFailed
from slipway.flows.definition import Cel, ListValue, MapValue, Reference, Template, Value
from slipway.flows.plain import as_text, member, secrets_in
from slipway.texts import Secret

SUCCEEDED = "succeeded"


class Scope(Struct, frozen=True):
    """What the names in expressions stand for at one step.

    `outputs`: what the steps that have ended gave, by id; None of one that was skipped, or failed and is passed over.
    `statuses`: succeeded, failed or skipped; a step of which there are outputs alone has succeeded.
    `instance`: in the build of an instance that instance, for which each input without a value of its own stands.
    `result`: what the step's own task gave, in `outputs` (a list for `for_each`) and in `revert` (for this item).
    """

    outputs: Mapping[str, Any]
    inputs: Mapping[str, Any] = {}
    statuses: Mapping[str, str] = {}
    item: Any = None
    index: int | str | None = None
    run_id: str = ""
    run_name: str = ""
    instance: Any = None
    result: Any = None


def resolve(value: Value, scope: Scope) -> Any:
    """What a value stands for; a plain one stands for itself. Raises `ExpressionFailed`, which names the expression."""
    if isinstance(value, Reference):
        return _follow(value.path, scope)
    if not isinstance(value, Struct):
        return value
    match value:
        case Cel():
            return _evaluate(value, scope)
        case Template(parts):
            return _text(parts, scope)
        case ListValue(items):
            return [resolve(item, scope) for item in items]
        case MapValue(entries):
            return {key: resolve(one, scope) for key, one in entries}


def resolve_all(arguments: Iterable[tuple[str, Value]], scope: Scope, where: str = "") -> dict[str, Any]:
    """What named values stand for: a step's arguments, its outputs.

    `where`: the position in the file, for the `ExpressionFailed` of one that stands for nothing.
    """
    values = {}
    for name, value in arguments:
        try:
            values[name] = resolve(value, scope)
        except ExpressionFailed as error:
            raise ExpressionFailed(f"{where}: {name}: {error}" if where else f"{name}: {error}") from error
    return values


def holds(condition: Value, scope: Scope, where: str = "") -> bool:
    """Whether an `if` holds. Raises `ExpressionFailed`, also for what is neither true nor false."""
    found = resolve_all((("if", condition),), scope, where)["if"]
    if not isinstance(found, bool):
        prefix = f"{where}: if: " if where else "if: "
        raise ExpressionFailed(f"{prefix}{written(condition)} is neither true nor false, but {_kind(found)}")
    return found


def items_of(for_each: Value, scope: Scope, where: str = "") -> list[tuple[int | str, Any]]:
    """Index and item of all that a `for_each` goes over: of a mapping key and value. Raises `ExpressionFailed`."""
    found = resolve_all((("for_each", for_each),), scope, where)["for_each"]
    if isinstance(found, Mapping):
        return [(str(key), value) for key, value in found.items()]
    if isinstance(found, (list, tuple)):
        return list(enumerate(found))
    prefix = f"{where}: for_each: " if where else "for_each: "
    raise ExpressionFailed(f"{prefix}{written(for_each)} is neither a list nor a mapping, but {_kind(found)}")


def written(value: Value) -> str:
    """A reference or expression as it stands in a file."""
    match value:
        case Reference(path):
            return f"${{{{ {path_text(path)} }}}}"
        case Cel(text=text):
            return f"${{{{ {text} }}}}"
        case Template(parts):
            return "".join(part if isinstance(part, str) else written(part) for part in parts)
        case ListValue():
            return "a list"
        case MapValue():
            return "a mapping"
        case _:
            return as_text(value) if value is not None else "null"


def path_text(path: tuple[str, ...]) -> str:
    """A path as it stands in an expression: names after dots, numbers and all else in brackets."""
    head, *rest = path
    return head + "".join(
        f".{part}" if part.isidentifier() else f"[{part}]" if part.isdecimal() else f'["{part}"]' for part in rest
    )


def _follow(path: tuple[str, ...], scope: Scope) -> Any:
    found, rest = _begin(path, scope)
    for part in rest:
        try:
            found = member(found, part)
        except LookupError as error:
            raise ExpressionFailed(f"{written(Reference(path))}: {_missing(path, part, found, scope)}") from error
    return found


def _begin(path: tuple[str, ...], scope: Scope) -> tuple[Any, tuple[str, ...]]:
    """What the first names of a path stand for, and the rest of it."""
    head = path[0]
    if head == "steps":
        _, step, what, *_ = path
        if what == "status":
            return scope.statuses.get(step, SUCCEEDED if step in scope.outputs else None), path[3:]
        if step in scope.outputs:
            return scope.outputs[step], path[3:]
    elif head == "inputs":
        if len(path) == 1:
            return scope.inputs, ()
        if path[1] in scope.inputs:
            return scope.inputs[path[1]], path[2:]
        if scope.instance is not None:
            return scope.instance, path[2:]
    elif head == "run":
        return {"id": scope.run_id, "name": scope.run_name}, path[1:]
    elif head in ("item", "index", "result"):
        return getattr(scope, head), path[1:]
    what = f"step {path[1]} has not ended" if head == "steps" else f"there is no {path_text(path[:2])}"
    raise ExpressionFailed(f"{written(Reference(path))}: {what}")


def _missing(path: tuple[str, ...], part: str, found: Any, scope: Scope) -> str:
    if found is None:
        if path[0] == "steps" and scope.outputs.get(path[1]) is None:
            status = scope.statuses.get(path[1], "")
            return f"step {path[1]} has no outputs{f': it {_WAS[status]}' if status in _WAS else ''}"
        return f"what should have {_named(part)} is null"
    return f"there is no {_named(part)} in {_kind(found)}"


_WAS = {"skipped": "was skipped", "failed": "failed"}


def _named(part: str) -> str:
    return f"item {part}" if part.isdecimal() else f'"{part}"'


def _kind(value: Any) -> str:
    """What sort of value it is, for a message: never the value, which may be secret."""
    names = {bool: "a boolean", str: "a text", int: "an integer", float: "a number", dict: "a mapping"}
    if value is None:
        return "null"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    if isinstance(value, str):
        return "a text"
    return names.get(type(value), f"a {type(value).__name__}")


def _text(parts: tuple[str | Reference | Cel, ...], scope: Scope) -> str:
    texts, secret = [], False
    for part in parts:
        if isinstance(part, str):
            texts.append(part)
            continue
        found = resolve(part, scope)
        try:
            texts.append(as_text(found))
        except ValueError as error:
            raise ExpressionFailed(f"{written(part)} is {error}, which cannot be put into a text") from error
        secret = secret or any(secrets_in(found))
    whole = "".join(texts)
    return Secret(whole) if secret else whole


def _evaluate(expression: Cel, scope: Scope) -> Any:
    from slipway.flows.expressions import evaluate

    # Of a step all outputs and of an input the whole, so that an expression can ask whether something is there.
    roots = {reference.path[: _LENGTH.get(reference.path[0], 1)] for reference in expression.uses}
    return evaluate(expression.text, {root: _follow(root, scope) for root in roots})


_LENGTH = {"steps": 3, "inputs": 2}
