"""What a step uses, a task or another workflow: whether it is there, takes the arguments, and what it gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from slipway.errors import InvalidArguments
from slipway.flows.definition import Definition, InputDefinition, TaskSignature, Value
from slipway.flows.inputtypes import bounded, taken
from slipway.flows.workflows.reading import is_plain, plain_of
from slipway.flows.workflows.types import OneOf, Outputs, fits, type_of_input, words_of
from slipway.yamlfile.document import Document, NodePath

_FROM_TEXT = ("size", "duration")


class Call(Struct, frozen=True):
    """What a step uses. `what` names it in messages; `uses` is what stands in the definition."""

    what: str
    uses: str
    takes: TaskSignature
    inputs: Mapping[str, InputDefinition] = {}


def call_of_task(name: str, signature: TaskSignature) -> Call:
    """A step that uses a task."""
    return Call(f"task {name}", name, signature)


def call_of_workflow(written: str, uses: str, definition: Definition, result: Any) -> Call:
    """A step that uses another workflow; its arguments are that one's inputs, its outputs that one's."""
    needed = frozenset(one.name for one in definition.inputs if one.required)
    optional = frozenset(one.name for one in definition.inputs) - needed
    inputs = {one.name: one for one in definition.inputs}
    types = {name: _taken_by(one) for name, one in inputs.items()}
    return Call(f"workflow {written}", uses, TaskSignature(needed, optional, types=types, result=result), inputs)


def _taken_by(definition: InputDefinition) -> Any:
    kind = type_of_input(definition)
    kinds = (kind, str) if definition.type in _FROM_TEXT else (kind,)
    return OneOf(kinds if definition.required else (*kinds, None))


def outputs_type(named: Mapping[str, Any]) -> Outputs:
    """The type of outputs that are named."""
    return Outputs(named)


def check_names_of(document: Document, path: NodePath, call: Call, arguments: Mapping[str, Any]) -> None:
    """Note arguments that what the step uses does not take, and those that it needs; `path` is the step's."""
    known = sorted(call.takes.inputs | call.takes.optional)
    for name in arguments:
        if name not in known:
            text = f'{call.what} takes no "{name}"'
            document.problem((*path, "with", name), text, key=True, wrong=name, known=known)
    if missing := sorted(call.takes.inputs - arguments.keys()):
        where = (*path, "with") if arguments else (*path, "uses")
        document.problem(where, f"{call.what} needs {', '.join(missing)} in with", key=True)


def check_value_of(document: Document, path: NodePath, call: Call, name: str, value: Value, kind: Any) -> None:
    """Note an argument whose value, as far as it is known, can never be what is taken; `path` is the argument's."""
    if name not in call.takes.types or path in document.unusable:
        return
    if not is_plain(value):
        wanted = call.takes.types[name]
        if not fits(kind, wanted):
            document.problem(path, f"{name} must be {words_of(wanted)}, not {words_of(kind)}")
    elif text := _mistake(call, name, plain_of(value)):
        document.problem(path, text)


def _mistake(call: Call, name: str, value: Any) -> str:
    if definition := call.inputs.get(name):
        if value is None:
            return f"{name} must be {words_of(type_of_input(definition))}, not empty" if definition.required else ""
        try:
            wrong = bounded(definition, taken(definition.type, value))
        except ValueError as error:
            wrong = str(error)
        return wrong and f"{name} {wrong}"
    from slipway.flows.tasks.arguments import accept

    try:
        accept(call.uses, {name: value}, replace(call.takes, inputs=frozenset()))
    except InvalidArguments as error:
        return str(error).removeprefix(f"{call.uses}: ")
    except (TypeError, msgspec.MsgspecError):
        return ""  # an annotation that is no type of data: the task is given the value as it is
    return ""
