"""The keys of a workflow file and what may stand under each.

By hand and not by JSON Schema as run files are: every command reads the workflow, and the `jsonschema` library alone
would take longer to import than all the rest of the reading.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from slipway import errors
from slipway.flows.definition import OnError
from slipway.flows.inputtypes import TYPES
from slipway.yamlfile.document import Document, NodePath
from slipway.yamlfile.mistakes import quoted
from slipway.yamlfile.units import parse_duration

MAX_STEPS = 10_000

Field: TypeAlias = tuple[str, Callable[[Any], bool]]
"""What a value must be, in words, and whether it is."""


def _is_duration(value: Any) -> bool:
    try:
        return isinstance(value, str) and parse_duration(value) > 0
    except ValueError:
        return False


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


_TEXT: Field = ("a text", _is_text)
_PLAIN: Field = ("a text without expressions", lambda value: _is_text(value) and "${{" not in value)
NAME: Field = (
    "a name (letters, digits, `_`, `-`; the first a letter)",
    lambda value: isinstance(value, str) and re.fullmatch(r"[A-Za-z][\w-]{0,62}", value, re.ASCII) is not None,
)
_MAPPING: Field = ("a mapping", lambda value: isinstance(value, dict))
_LIST: Field = ("a list", lambda value: isinstance(value, list))
_DURATION: Field = ("a duration above zero with a unit, such as 30s, 2m or 500ms", _is_duration)
_BOOLEAN: Field = ("true or false", lambda value: isinstance(value, bool))
_STEPS: Field = ("a list of at least one step", lambda value: isinstance(value, list) and value != [])
_VALUE: Field = ("a value", lambda value: value is not None)

WORKFLOW: Mapping[str, Field] = {
    "schema": ("1, the version that this Slipway reads", lambda value: _is_number(value) and value == 1),
    "name": NAME,
    "description": _PLAIN,
    "inputs": _MAPPING,
    "defaults": _MAPPING,
    "steps": _STEPS,
    "finally": _STEPS,
    "outputs": _MAPPING,
}
INPUT: Mapping[str, Field] = {
    "type": (f"one of {', '.join(TYPES)}", lambda value: isinstance(value, str) and value in TYPES),
    "required": _BOOLEAN,
    "default": _VALUE,
    "enum": ("a list of at least one value", lambda value: isinstance(value, list) and value != []),
    "pattern": (
        "a regular expression of at most 1000 characters",
        lambda value: _is_text(value) and len(value) <= 1000,
    ),
    "minimum": _VALUE,
    "maximum": _VALUE,
    "description": _PLAIN,
}
DEFAULTS: Mapping[str, Field] = {"timeout": _DURATION, "retry": _MAPPING}
FINAL: Mapping[str, Field] = {
    "id": NAME,
    "name": _PLAIN,
    "uses": _TEXT,
    "with": _MAPPING,
    "needs": _LIST,
    "if": _VALUE,
    "for_each": _VALUE,
    "parallel": ("an integer from 1 to 1000", lambda value: type(value) is int and 1 <= value <= 1000),
    "timeout": _DURATION,
    "retry": _MAPPING,
    "outputs": _MAPPING,
}
STEP: Mapping[str, Field] = {
    **FINAL,
    "on_error": ("revert, continue or pause", lambda value: value in list(OnError)),
    "revert": _MAPPING,
}
REVERT: Mapping[str, Field] = {"uses": _TEXT, "with": _MAPPING}
RETRY: Mapping[str, Field] = {
    "max_attempts": ("an integer from 1 to 1000", lambda value: type(value) is int and 1 <= value <= 1000),
    "delay": _DURATION,
    "backoff": ("a number from 1 to 100", lambda value: _is_number(value) and 1 <= value <= 100),
    "max_delay": _DURATION,
    "jitter": ("a number from 0 to 1", lambda value: _is_number(value) and 0 <= value <= 1),
    "errors": _LIST,
}


def take(
    document: Document, path: NodePath, value: Any, fields: Mapping[str, Field], *, required: tuple[str, ...] = ()
) -> dict[str, Any]:
    """What of a mapping is right; the rest is noted (unknown keys, wrong values, keys that are missing) or dropped."""
    label = path[-1] if path and isinstance(path[-1], str) else "a step" if path else "the file"
    if path in document.unusable:
        return {}
    if not isinstance(value, dict):
        document.problem(path, f"{label} must be a mapping, not {quoted(value)}")
        return {}
    for key in value:
        if key not in fields:
            document.problem((*path, key), f"unknown key {quoted(key)}", key=True, wrong=key, known=fields)
    if missing := [key for key in required if key not in value]:
        document.problem(path, f"{label} needs {', '.join(missing)}", key=True)
    good = {}
    for key, (words, is_right) in fields.items():
        if key not in value or (*path, key) in document.unusable:
            continue
        if is_right(value[key]):
            good[key] = value[key]
        else:
            document.problem((*path, key), f"{key} must be {words}, not {quoted(value[key])}")
            document.drop((*path, key))
    return good


def check_names(document: Document, path: NodePath, items: list[Any]) -> dict[int, str]:
    """The names in a list, by index; what is no name, or there twice, is noted and left out."""
    names: dict[str, int] = {}
    for index, item in enumerate(items):
        if (*path, index) in document.unusable:
            continue
        if not isinstance(item, str):
            document.problem((*path, index), f"{path[-1]}[{index}] must be a text, not {quoted(item)}")
        elif item in names:
            document.problem((*path, index), f"{path[-1]}[{index}] {quoted(item)} is given twice")
        else:
            names[item] = index
    return {index: name for name, index in names.items()}


def check_errors(document: Document, path: NodePath, items: list[Any]) -> tuple[str, ...]:
    """The classes of `slipway.errors` that a list names."""
    known = [name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)]
    names = check_names(document, path, items)
    for index, name in names.items():
        if name not in known:
            document.problem((*path, index), f"unknown error {quoted(name)}", wrong=name, known=known)
    return tuple(names.values())
