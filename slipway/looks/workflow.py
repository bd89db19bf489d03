"""A workflow as a picture: its steps, what each needs, what each leaves behind, and what takes that back."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from slipway.flows.definition import (
    Cel,
    Definition,
    ListValue,
    MapValue,
    OnError,
    Reference,
    StepDefinition,
    Template,
    Value,
)
from slipway.flows.tasks.base import Task
from slipway.looks.drawing import Drawing, Edge, Node, Status

FINALLY = "finally"


def draw_workflow(
    definition: Definition, catalog: Mapping[str, Task], statuses: Mapping[str, Status] | None = None
) -> Drawing:
    """The steps as boxes, their needs as arrows, and the final steps in a frame of their own.

    `statuses`: what became of each step, by its id, in a run or a build.
    """
    statuses = statuses or {}
    nodes = [_node(step, catalog, statuses) for step in definition.steps]
    nodes += [_node(step, catalog, statuses, group=FINALLY) for step in definition.finals]
    edges = [Edge(need, step.id) for step in (*definition.steps, *definition.finals) for need in step.needs]
    needed = {need for step in definition.steps for need in step.needs}
    ends = [step.id for step in definition.steps if step.id not in needed]
    first = [step.id for step in definition.finals if not step.needs]
    edges += [Edge(end, one, faint=True) for one in first for end in ends]
    return Drawing(definition.name, tuple(nodes), tuple(edges))


def _node(step: StepDefinition, catalog: Mapping[str, Task], statuses: Mapping[str, Status], group: str = "") -> Node:
    named = (f"\u201c{step.name}\u201d",) if step.name else ()
    lines = (*named, f"uses {_short(step.uses)}", *_marks(step), *_inverse(step, catalog))
    return Node(step.id, step.id, lines, statuses.get(step.id), group)


def _short(uses: str) -> str:
    """A task's name, or that of the file of another workflow, wherever that is."""
    return os.path.basename(uses)


def _marks(step: StepDefinition) -> Iterator[str]:
    if step.condition is not True:
        yield f"if {value_text(step.condition)}"
    if step.for_each is not None:
        at_once = f", {step.parallel} at once" if step.parallel > 1 else ""
        yield f"for each of {value_text(step.for_each)}{at_once}"
    if step.retry is not None:
        yield f"retry: {step.retry.max_attempts} attempts"
    if step.on_error is not OnError.REVERT:
        yield f"on error: {step.on_error.value}"


def _inverse(step: StepDefinition, catalog: Mapping[str, Task]) -> Iterator[str]:
    """What the step leaves behind, and by what that is undone."""
    task = catalog.get(step.uses)
    effect = f"effect: {task.kind}, undone by" if task is not None else "undone by"
    if step.revert is not None:
        yield f"{effect} {step.revert.uses} (revert)"
    elif task is not None and task.irreversible:
        yield f"effect: {task.kind}, which nothing undoes"
    elif task is None:
        yield f"{effect} the steps of {_short(step.uses)}"
    elif task.undo is not None:
        yield f"{effect} its own undo"
    else:
        yield "nothing to undo"


def value_text(value: Value) -> str:
    """A value as it stands in the YAML, more or less: what is in lists and maps is not for pictures."""
    match value:
        case Reference(path=path):
            return path[0] + "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in path[1:])
        case Cel(text=text):
            return text
        case Template(parts=parts):
            return "".join(part if isinstance(part, str) else f"${{{{ {value_text(part)} }}}}" for part in parts)
        case ListValue(items=items):
            return f"a list of {len(items)}"
        case MapValue(entries=entries):
            return f"a map of {len(entries)}"
        case bool():
            return str(value).lower()
        case None:
            return "null"
    return str(value)
