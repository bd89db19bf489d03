"""What a run is given: texts of a command line, a file, values of Python, checked and made the types of the inputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from slipway.errors import InvalidFile, InvalidRequest
from slipway.flows.definition import InputDefinition
from slipway.flows.inputtypes import bounded, read, taken
from slipway.yamlfile.mistakes import did_you_mean, quoted


def checked_inputs(
    definitions: Sequence[InputDefinition],
    *,
    values: Mapping[str, Any] = {},
    texts: Iterable[str] = (),
    file: Path | None = None,
) -> dict[str, Any]:
    """A value for each input of a workflow, its default or None where none was given.

    `file`: a YAML mapping; `values`: Python's; `texts`: `NAME=VALUE`. Of an input that is given more than once the last
    of these counts. Sizes become bytes, durations seconds, secrets a `Secret`, which does not show what it is.
    Raises `InvalidRequest` with all that is wrong with any of them.
    """
    known = {definition.name: definition for definition in definitions}
    given: dict[str, Any] = {}
    problems: list[str] = []
    if file is not None:
        problems += _from_file(file, known, given)
    problems += _from_values(values, known, given)
    problems += _from_texts(texts, known, given)
    for name, definition in known.items():
        if name not in given:
            given[name] = definition.default
            if definition.required:
                problems.append(f"{name}: is needed: give {name}={_example(definition)}")
    if problems:
        raise InvalidRequest(tuple(problems), "inputs")
    return {name: given[name] for name in known}


def _example(definition: InputDefinition) -> str:
    return str(definition.enum[0]) if definition.enum else definition.type.upper()


def _from_file(path: Path, known: Mapping[str, InputDefinition], given: dict[str, Any]) -> Iterator[str]:
    from slipway.yamlfile.document import read as read_document

    try:
        document = read_document(path)
    except InvalidFile as error:
        yield from error.problems
        return
    values = document.value
    if not isinstance(values, dict):
        document.problem((), f"the file must be a mapping of inputs, not {quoted(values)}")
        values = {}
    for name, value in values.items():
        if (name,) in document.unusable:
            given[name] = None
        elif name not in known:
            document.problem((name,), f"unknown input {quoted(name)}", key=True, wrong=name, known=known)
        else:
            numbers = known[name].type in ("size", "duration") and isinstance(value, (int, float))
            # A number of what: in a file a unit tells it.
            if problem := _take(known[name], str(value) if numbers else value, given):
                document.problem((name,), f"{name} {problem}")
    try:
        document.finish()
    except InvalidFile as error:
        yield from error.problems


def _from_values(
    values: Mapping[str, Any], known: Mapping[str, InputDefinition], given: dict[str, Any]
) -> Iterator[str]:
    for name, value in values.items():
        if name not in known:
            yield f"{name}: there is no such input{did_you_mean(name, known)}"
        elif problem := _take(known[name], value, given):
            yield f"{name}: {problem}"


def _from_texts(texts: Iterable[str], known: Mapping[str, InputDefinition], given: dict[str, Any]) -> Iterator[str]:
    seen: set[str] = set()
    for pair in texts:
        name, equals, text = pair.partition("=")
        if not equals:
            yield f"{quoted(pair)}: an input is given as NAME=VALUE"
        elif name not in known:
            yield f"{name}: there is no such input{did_you_mean(name, known)}"
        elif name in seen:
            yield f"{name}: is given twice"
        elif problem := _take(known[name], text, given, as_text=True):
            yield f"{name}: {problem}"
        seen.add(name)


def _take(definition: InputDefinition, value: Any, given: dict[str, Any], *, as_text: bool = False) -> str:
    """Keep a value; what is wrong with it, or nothing. One that is wrong was given all the same."""
    given[definition.name] = None
    if value is None and not definition.required and not as_text:
        return ""
    try:
        found = (read if as_text else taken)(definition.type, value)
    except ValueError as error:
        return str(error)
    given[definition.name] = found
    return bounded(definition, found)
