"""What a workflow passes to a task, made into what the task takes; and how arguments are written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, TypeAlias, get_args

import msgspec

from slipway.errors import InvalidArguments
from slipway.flows.definition import TaskSignature
from slipway.yamlfile.mistakes import did_you_mean, quoted
from slipway.yamlfile.units import parse_duration

_A_TIME = "a time such as 30s, 2m or 500ms, or seconds"
Duration: TypeAlias = Annotated[
    Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,19}(\.[0-9]{1,9})?(ms|s|m|h|d)$")]
    | Annotated[float, msgspec.Meta(ge=0, le=10**9)],
    msgspec.Meta(title="duration", description=_A_TIME),
]
"""A time as people write it ("30s", "2m"), or seconds."""

HttpUrl: TypeAlias = Annotated[
    str, msgspec.Meta(pattern=r"^[hH][tT][tT][pP][sS]?://", title="URL", description="an http or https URL")
]
"""Where a request goes; what else is wrong with it is seen when it is sent."""

_EXPECTED = re.compile(r"Expected `([^`]+)`, got `([^`]+)`")
_MISSING = re.compile(r"Object missing required field `([^`]+)`")
_PLACE = re.compile(r" - at `(?:key in )?\$([^`]*)`")
_WORDS = {
    "str": "a text",
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "object": "a mapping",
    "array": "a list",
    "null": "null",
}


def accept(task: str, given: Mapping[str, Any], takes: TaskSignature) -> dict[str, Any]:
    """The arguments as their types say: lists as tuples, mappings as records. Raises `InvalidArguments`, with no value
    in its text: it may be secret."""
    if missing := sorted(takes.inputs - given.keys()):
        raise InvalidArguments(f"{task} needs {', '.join(missing)}")
    return dict(_each(task, given, takes.types))


def _each(task: str, given: Mapping[str, Any], types: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in given.items():
        if name not in types:
            raise InvalidArguments(f"{task} takes no {quoted(name)}{did_you_mean(name, types)}")
        try:
            yield name, msgspec.convert(value, types[name])
        except msgspec.ValidationError as error:
            raise InvalidArguments(f"{task}: {_said(name, types[name], str(error))}") from None


def _said(name: str, hint: Any, text: str) -> str:
    """What msgspec has against a value, in our words."""
    place = _PLACE.search(text)
    where = f"{name}{place[1]}" if place else name
    if where == name and (words := _description(hint)):
        return f"{name} must be {words}"
    if expected := _EXPECTED.match(text):
        wanted = " or ".join(_WORDS.get(one, one) for one in sorted(expected[1].split(" | ")))
        return f"{where} must be {wanted}, not {_WORDS.get(expected[2], expected[2])}"
    if missing := _MISSING.match(text):
        return f"{where} needs {missing[1]}"
    return f"{where}: {_PLACE.sub('', text)}"


def _description(hint: Any) -> str:
    """What a type says in words of the values that it takes."""
    own = (one.description for one in getattr(hint, "__metadata__", ()) if isinstance(one, msgspec.Meta))
    return next(filter(None, own), "") or next(filter(None, map(_description, get_args(hint))), "")


def seconds_of(task: str, name: str, duration: Duration) -> float:
    """The seconds of a time that a task was given. Raises `InvalidArguments` for what is none, or negative."""
    try:
        seconds = parse_duration(duration) if isinstance(duration, str) else float(duration)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 10**9:
        raise InvalidArguments(f"{task}: {name} must be {_A_TIME}")
    return seconds
