"""The types that inputs of workflows have: what a text, a value of YAML or of Python becomes, and what it must be."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from slipway.flows.definition import InputDefinition
from slipway.flows.plain import plain
from slipway.model.formats import parse_address, parse_cidr, parse_mac, suggest_cidr
from slipway.model.record import Instance
from slipway.texts import Secret
from slipway.yamlfile import scalars
from slipway.yamlfile.mistakes import quoted
from slipway.yamlfile.units import LARGEST, parse_duration, parse_size, suggest_size

MAX_PATTERN = 1000
SHORTEST_SECRET = 4
"""Characters of a secret, which is masked wherever it stands in a text: `a` would be in all of them."""


class InputType(NamedTuple):
    """`words`: what a value must be. `take` makes a value of YAML or Python one of the type, or raises `ValueError` or
    `TypeError`; `read` does so with a text (None: as `take`). `measured`: of what minimum and maximum are."""

    words: str
    take: Callable[[Any], Any]
    read: Callable[[str], Any] | None = None
    measured: str = ""
    suggest: Callable[[str], str | None] | None = None


def taken(kind: str, value: Any) -> Any:
    """A value of YAML or Python as one of the type. Raises `ValueError`: "must be a size, not ..."."""
    return _said(kind, value, TYPES[kind].take)


def read(kind: str, text: str) -> Any:
    """A text, as it is typed on a command line, as a value of the type. Raises `ValueError`."""
    return _said(kind, text, TYPES[kind].read or TYPES[kind].take)


def _said(kind: str, value: Any, make: Callable[[Any], Any]) -> Any:
    type_ = TYPES[kind]
    try:
        return make(value)
    except _Said:
        raise
    except (ValueError, TypeError) as error:
        meant = type_.suggest(value) if type_.suggest and isinstance(value, str) else None
        ending = f", did you mean {meant}?" if meant and meant != value else ""
        # What was meant to be secret is not shown, even where it is none.
        shown = "" if kind == "secret" else f", not {_shown(value)}"
        raise ValueError(f"must be {type_.words}{shown}{ending}") from error


class _Said(ValueError):
    """With a message of its own."""


def _shown(value: Any) -> str:
    if value is None or isinstance(value, (str, bool, int, float, dict, list)):
        return quoted(value)
    return f"a {type(value).__name__}"


def bounded(definition: InputDefinition, value: Any) -> str:
    """What is wrong with a value of the right type by the input's own rules, or nothing."""
    if value is None:
        return ""
    hidden = definition.type == "secret"
    shown = "" if hidden else f", not {_shown(value)}"
    if definition.enum and value not in definition.enum:
        return (
            "must be one of its choices"
            if hidden
            else f"must be one of {', '.join(map(quoted, definition.enum))}{shown}"
        )
    if definition.pattern is not None:
        from slipway.flows.expressions import matches

        if not matches(definition.pattern, value):
            return f"must match {definition.pattern}{shown}"
    measured = TYPES[definition.type].measured
    counted = measured in ("characters", "items")
    size = len(value) if counted else value
    words = ""
    if definition.minimum is not None and size < definition.minimum:
        words = f"at least {_figure(definition.minimum)}"
    elif definition.maximum is not None and size > definition.maximum:
        words = f"at most {_figure(definition.maximum)}"
    if not words:
        return ""
    return f"must {'have' if counted else 'be'} {words}{measured and ' '}{measured}, not {_figure(size)}"


def _figure(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    try:
        scalars.check_characters(value)
    except ValueError as error:
        raise _Said(f"is wrong: {error}") from error
    return str(value)


def _secret(value: Any) -> Secret:
    text = _text(value)
    if 0 < len(text) < SHORTEST_SECRET:
        raise _Said(f"must have at least {SHORTEST_SECRET} characters: a shorter one would be masked in every text")
    return Secret(text)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError
    if isinstance(value, int) and not -LARGEST <= value <= LARGEST:
        raise _Said(f"is out of bounds: integers go to {LARGEST}")
    return value


def _integer(value: Any) -> int:
    if not isinstance(value, int):
        raise TypeError
    return int(_number(value))


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _size(value: Any) -> int:
    """Of Python bytes as well, of YAML a text with its unit."""
    if isinstance(value, str):
        return parse_size(value)
    if _integer(value) < 0:
        raise ValueError
    return int(value)


def _duration(value: Any) -> float:
    if isinstance(value, timedelta):
        value = value.total_seconds()
    seconds = parse_duration(value) if isinstance(value, str) else float(_number(value))
    if seconds < 0:
        raise ValueError
    return seconds


def _instance(value: Any) -> Any:
    if isinstance(value, Instance):
        return value
    if not _text(value):
        raise ValueError
    return value


def _plain(kind: type) -> Callable[[Any], Any]:
    def take(value: Any) -> Any:
        if not isinstance(value, (list, tuple) if kind is list else Mapping):
            raise TypeError
        if kind is dict and not all(isinstance(key, str) for key in value):
            raise _Said("must have texts for keys")
        try:
            return plain(value)
        except ValueError as error:
            raise _Said(f"has {error} in it, which no input may have") from error

    return take


def _scalar(take: Callable[[Any], Any]) -> Callable[[str], Any]:
    return lambda text: take(scalars.resolve(text))


def _yaml(kind: type) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        from slipway.errors import InvalidFile
        from slipway.yamlfile.document import parse

        try:
            document = parse(text, "value")
            document.finish()
        except InvalidFile as error:
            raise _Said(f"is no YAML of a {'list' if kind is list else 'mapping'}: {error.problems[0]}") from error
        return _plain(kind)(document.value)

    return read


TYPES: Mapping[str, InputType] = {
    "string": InputType("a text", _text, measured="characters"),
    "integer": InputType("an integer", _integer, _scalar(_integer)),
    "number": InputType("a number", _number, _scalar(_number)),
    "boolean": InputType("true or false", _boolean, _scalar(_boolean)),
    "size": InputType("a size with a unit, such as 512MiB", _size, parse_size, "bytes", suggest_size),
    "duration": InputType("a duration with a unit, such as 30s", _duration, parse_duration, "seconds"),
    "address": InputType("an IP address", lambda value: str(parse_address(_text(value)))),
    "cidr": InputType(
        "a network, such as 10.0.0.0/24", lambda value: str(parse_cidr(_text(value))), suggest=suggest_cidr
    ),
    "mac": InputType("a MAC address, such as fa:16:3e:00:00:01", lambda value: parse_mac(_text(value))),
    "instance": InputType("the name of an instance", _instance),
    "list": InputType("a list", _plain(list), _yaml(list), "items"),
    "map": InputType("a mapping", _plain(dict), _yaml(dict), "items"),
    "secret": InputType("a text", _secret, measured="characters"),
}
"""By the name that a workflow gives. A size is bytes, a duration seconds."""
