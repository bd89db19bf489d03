"""A workflow as data: inputs, steps, what they take, and the order in which they need each other."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeAlias

from msgspec import Struct


class Reference(Struct, frozen=True):
    """A plain path such as `${{ steps.network.outputs.requests }}`, taken apart at the dots and brackets."""

    path: tuple[str, ...]

    @property
    def step(self) -> str | None:
        """The step whose outputs are meant, if any are."""
        return self.path[1] if self.path[0] == "steps" else None


class Cel(Struct, frozen=True):
    """An expression that is more than a plain path, in the Common Expression Language; `uses`: the paths in it."""

    text: str
    uses: tuple[Reference, ...] = ()


class Template(Struct, frozen=True):
    """Text with expressions in it; each is put in as text."""

    parts: tuple[str | Reference | Cel, ...]


class ListValue(Struct, frozen=True):
    """A list with expressions somewhere in it."""

    items: tuple[Value, ...]


class MapValue(Struct, frozen=True):
    """A mapping with expressions somewhere in it; its keys are texts."""

    entries: tuple[tuple[str, Value], ...]


Value: TypeAlias = Reference | Cel | Template | ListValue | MapValue | str | int | float | bool | None
"""What a `with:` argument may be. A list or mapping of plain values alone is a `ListValue` or `MapValue` as well."""


class Retry(Struct, frozen=True):
    """How often a step is tried, with which waits (seconds), and on which error classes (none: the transient ones).

    `jitter`: up to which part of itself each wait is drawn shorter, from 0 to 1.
    """

    max_attempts: int
    delay: float = 1.0
    backoff: float = 2.0
    max_delay: float = 30.0
    errors: tuple[str, ...] = ()
    jitter: float = 0.0


class OnError(StrEnum):
    """What becomes of the run when a step has failed for good."""

    REVERT = "revert"
    CONTINUE = "continue"
    PAUSE = "pause"


class Inverse(Struct, frozen=True):
    """The step that takes another one back, in place of its task's own undo."""

    uses: str
    arguments: tuple[tuple[str, Value], ...] = ()


class StepDefinition(Struct, frozen=True):
    """One step: the task that carries it out, its arguments, and the steps that must have ended before it.

    `uses` is a task of the catalog, or the path of another workflow. `parallel`: how many items of `for_each` are at
    work at once. `outputs`: what it gives by name, in place of the task's result.
    """

    id: str
    uses: str
    arguments: tuple[tuple[str, Value], ...] = ()
    needs: tuple[str, ...] = ()
    for_each: Value = None
    timeout: float | None = None
    retry: Retry | None = None
    position: str = ""
    name: str = ""
    condition: Value = True
    parallel: int = 1
    on_error: OnError = OnError.REVERT
    revert: Inverse | None = None
    outputs: tuple[tuple[str, Value], ...] = ()

    @property
    def references(self) -> tuple[Reference, ...]:
        """Everything that the step refers to when it is done."""
        values = [*(value for _, value in self.arguments), self.for_each, self.condition]
        return tuple(reference for value in values for reference in references_in(value))


class InputDefinition(Struct, frozen=True):
    """One input of a workflow. `default` has the input's type; `required` inputs have none.

    `type` is string, integer, number, boolean, size, duration, address, cidr, mac, instance, list, map or secret.
    `minimum` and `maximum` bound numbers, bytes, seconds, and the length of texts and lists.
    """

    name: str
    type: str
    required: bool = False
    default: object = None
    enum: tuple[object, ...] = ()
    pattern: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    description: str = ""


class Definition(Struct, frozen=True):
    """A checked workflow: its steps in an order in which they can run, and the time-out (seconds) of those without.

    `finals`: the steps that are done at the end, whatever came of the others.
    """

    name: str
    steps: tuple[StepDefinition, ...]
    timeout: float | None = None
    description: str = ""
    inputs: tuple[InputDefinition, ...] = ()
    finals: tuple[StepDefinition, ...] = ()
    outputs: tuple[tuple[str, Value], ...] = ()


class TaskSignature(Struct, frozen=True):
    """What a task takes: the arguments that it needs, and those that it does without. `refused`: why it has no use.

    `types`: of each argument the annotation, `result`: that of what it gives; both as Python has them, `Any` where
    nothing is said. `irreversible`: it has an effect and no undo, so that a workflow gives it a `revert`; not where an
    argument has one of the values that are `harmless`, None where it is left out. `waits`: it may have its run paused.
    `vital`: it is a part of an instance's build, which never goes on without it.
    """

    inputs: frozenset[str]
    optional: frozenset[str] = frozenset()
    refused: str = ""
    types: Mapping[str, Any] = {}
    result: Any = Any
    in_build_only: bool = False
    vital: bool = False
    irreversible: bool = False
    waits: bool = False
    harmless: Mapping[str, frozenset[object]] = {}


def references_in(value: Value) -> tuple[Reference, ...]:
    """All that a value refers to."""
    match value:
        case Reference():
            return (value,)
        case Cel(uses=uses):
            return uses
        case Template(parts=inner) | ListValue(items=inner):
            return tuple(found for one in inner for found in references_in(one))
        case MapValue(entries=entries):
            return tuple(found for _, one in entries for found in references_in(one))
        case _:
            return ()
