"""The `inputs:` of a workflow's file, made into definitions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from slipway.flows.definition import InputDefinition
from slipway.flows.inputtypes import TYPES, bounded, taken
from slipway.flows.workflows.keys import INPUT, NAME, take
from slipway.yamlfile.document import Document, NodePath
from slipway.yamlfile.mistakes import Problem, quoted

_TEXTS = ("string", "secret")


def read_inputs(document: Document, entries: Mapping[str, Any]) -> dict[str, InputDefinition | None]:
    """Each input, or None where something is wrong with it, which is noted."""
    return {name: _read(document, name, entry) for name, entry in entries.items()}


def warnings_of(document: Document, inputs: Mapping[str, InputDefinition | None]) -> Iterator[Problem]:
    """What is no mistake and should not be: secrets that stand in the file, and on record with its text."""
    for name, one in inputs.items():
        if one is not None and one.type == "secret" and (one.default is not None or one.enum):
            path = ("inputs", name)
            yield Problem(document.key_position(path), f"secret {quoted(name)} stands in the file: give it to each run")


def _read(document: Document, name: str, entry: Any) -> InputDefinition | None:
    path: NodePath = ("inputs", name)
    before = len(document.problems)
    if not NAME[1](name):
        document.problem(path, f"an input's name must be {NAME[0]}, not {quoted(name)}", key=True)
    fields = take(document, path, entry, INPUT, required=("type",))
    kind = fields.get("type", "")
    if kind not in TYPES or len(document.problems) > before:
        return None
    if fields.get("required") and "default" in fields:
        document.problem((*path, "default"), "an input that is required has no default", key=True)
    for key in ("minimum", "maximum"):
        if key in fields and not TYPES[kind].measured and kind not in ("integer", "number"):
            document.problem((*path, key), f"an input of type {kind} has no {key}", key=True)
    if "pattern" in fields and kind not in _TEXTS:
        document.problem((*path, "pattern"), f"pattern is for inputs of type string, not {kind}", key=True)
    elif "pattern" in fields:
        _check_pattern(document, (*path, "pattern"), fields["pattern"])
    if len(document.problems) > before:
        return None
    return _checked(document, path, name, kind, fields)


def _checked(
    document: Document, path: NodePath, name: str, kind: str, fields: dict[str, Any]
) -> InputDefinition | None:
    """With bounds, choices and the default as values of the type, which keep to each other."""
    before = len(document.problems)
    bounds = {key: _bound(document, (*path, key), kind, fields[key]) for key in ("minimum", "maximum") if key in fields}
    least, most = bounds.get("minimum"), bounds.get("maximum")
    if least is not None and most is not None and least > most:
        document.problem((*path, "maximum"), "maximum is less than minimum")
    choices = fields.get("enum", [])
    enum = [_value(document, (*path, "enum", at), f"enum[{at}]", kind, one) for at, one in enumerate(choices)]
    definition = InputDefinition(
        name,
        kind,
        required=fields.get("required", False),
        pattern=fields.get("pattern"),
        minimum=least,
        maximum=most,
        description=fields.get("description", ""),
    )
    if len(document.problems) > before:
        return None
    full = _replaced(definition, enum=tuple(enum))
    if "default" not in fields:
        return full
    default = _value(document, (*path, "default"), "default", kind, fields["default"])
    if len(document.problems) == before and (wrong := bounded(full, default)):
        document.problem((*path, "default"), f"default {wrong}")
    return _replaced(full, default=default)


def _replaced(definition: InputDefinition, **values: Any) -> InputDefinition:
    from msgspec.structs import replace

    return replace(definition, **values)


def _value(document: Document, path: NodePath, label: str, kind: str, value: Any) -> Any:
    if path in document.unusable:
        return None
    if isinstance(value, str) and "${{" in value:
        document.problem(path, f"{label} is a plain value: no expression is evaluated in inputs")
        return None
    try:
        return taken(kind, str(value) if _lacks_unit(kind, value) else value)
    except ValueError as error:
        document.problem(path, f"{label} {error}")
        return None


def _bound(document: Document, path: NodePath, kind: str, value: Any) -> float | None:
    """A bound: of sizes and durations such a one, of the length of others an integer."""
    unit = kind if kind in ("size", "duration", "integer", "number") else "integer"
    found = _value(document, path, str(path[-1]), unit, value)
    return None if found is None else float(found) if isinstance(found, float) else found


def _lacks_unit(kind: str, value: Any) -> bool:
    """Whether it is a number of nobody knows what: in a file a unit tells it."""
    return kind in ("size", "duration") and isinstance(value, (int, float)) and not isinstance(value, bool)


def _check_pattern(document: Document, path: NodePath, pattern: str) -> None:
    from slipway.flows.expressions import matches

    try:
        matches(pattern, "")
    except ValueError as error:
        document.problem(path, f"pattern is no regular expression: {error}")
