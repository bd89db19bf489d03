"""A workflow's YAML, checked as a whole and made into a definition."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from slipway.errors import InvalidRequest
from slipway.flows.definition import Definition, Reference, Retry, StepDefinition, TaskSignature, Value
from slipway.yamlfile.document import Document, NodePath, parse, read
from slipway.yamlfile.fields import DEFAULTS, INPUT, MAX_STEPS, RETRY, STEP, WORKFLOW, check_errors, check_names, take
from slipway.yamlfile.mistakes import did_you_mean, quoted
from slipway.yamlfile.units import parse_duration

_DEFINITIONS = Path(__file__).parent / "definitions"
_EXPRESSION = re.compile(r"\$\{\{(.*)\}\}", re.DOTALL)
_PATH = re.compile(r"[A-Za-z][\w-]*(\.[A-Za-z][\w-]*|\[[0-9]{1,9}\])*", re.ASCII)


def known_workflows() -> tuple[str, ...]:
    """The names of the workflows that come with Slipway."""
    return tuple(sorted(path.stem for path in _DEFINITIONS.glob("*.yaml")))


def absolute(workflow: str) -> str:
    """A workflow as it may stand on record: a name that is known, or the absolute path of a file.

    Raises `InvalidRequest` where it is neither.
    """
    known = known_workflows()
    if workflow in known:
        return workflow
    if not os.path.isfile(workflow):
        text = f"unknown workflow {quoted(workflow)}: neither a known name nor a file{did_you_mean(workflow, known)}"
        raise InvalidRequest((text,))
    return os.path.abspath(workflow)


def find_definition(workflow: str) -> Path:
    """The file of a workflow that is known by name, or the path as it is."""
    return _DEFINITIONS / f"{workflow}.yaml" if workflow in known_workflows() else Path(workflow)


def load_definition(path: Path, catalog: Mapping[str, TaskSignature]) -> Definition:
    """Read a workflow whose steps use tasks of the catalog. Raises `InvalidFile` with all that is wrong with it."""
    document = read(path)
    definition = _Loader(document, catalog).load()
    document.finish()
    return definition


def loads_definition(text: str, name: str, catalog: Mapping[str, TaskSignature]) -> Definition:
    """The same of a text; `name` is what problems call its file."""
    document = parse(text, name)
    definition = _Loader(document, catalog).load()
    document.finish()
    return definition


class _Loader:
    """Checks one document; problems are left in it, and what has one is left out of the definition."""

    def __init__(self, document: Document, catalog: Mapping[str, TaskSignature]) -> None:
        self.document = document
        self.catalog = catalog
        self.inputs: tuple[str, ...] = ()
        self.ids: dict[str, int] = {}
        """Which step has an id."""
        self.before: dict[str, frozenset[str]] = {}
        """All steps that have ended when a step begins."""

    def load(self) -> Definition:
        """The definition, whole only where the document has no problems."""
        top = take(self.document, (), self.document.value, WORKFLOW, required=("schema", "name", "steps"))
        self.inputs = tuple(top.get("inputs", {}))
        for name, entry in top.get("inputs", {}).items():
            take(self.document, ("inputs", name), entry, INPUT, required=("type",))
        defaults = take(self.document, ("defaults",), top.get("defaults", {}), DEFAULTS)
        entries = top.get("steps", [])
        if len(entries) > MAX_STEPS:
            self.document.problem(("steps",), f"a workflow has at most {MAX_STEPS} steps, not {len(entries)}")
            entries = []
        taken = [
            take(self.document, ("steps", index), entry, STEP, required=("id", "uses"))
            for index, entry in enumerate(entries)
        ]
        for index, step in enumerate(taken):
            self._note_id(index, step)
        steps = tuple(self._step(index, step, taken) for index, step in enumerate(taken))
        return Definition(top.get("name", ""), steps, _seconds(defaults.get("timeout")))

    def _note_id(self, index: int, step: dict[str, Any]) -> None:
        first = self.ids.setdefault(step.get("id", ""), index)
        if first != index and "id" in step:
            line = self.document.key_position(("steps", first, "id")).line
            text = f"step {quoted(step['id'])} is there already, in line {line}"
            self.document.problem(("steps", index, "id"), text)

    def _step(self, index: int, step: dict[str, Any], taken: list[dict[str, Any]]) -> StepDefinition:
        path: NodePath = ("steps", index)
        step_id = step.get("id", "")
        needs = self._needs(path, step, taken[index - 1] if index else {"id": ""})
        before = frozenset(needs).union(*(self.before[need] for need in needs))
        for_each = self._value((*path, "for_each"), step.get("for_each"), before)
        if for_each is not None and not isinstance(for_each, Reference):
            self.document.problem(
                (*path, "for_each"), "for_each must be an expression, such as ${{ steps.ID.outputs }}"
            )
            for_each = None
        arguments = step.get("with", {})
        if (*path, "with") not in self.document.dropped:
            self._check_arguments(path, step.get("uses"), arguments)
        each = "for_each" in step or (*path, "for_each") in self.document.dropped
        values = {key: self._value((*path, "with", key), value, before, each) for key, value in arguments.items()}
        self.before.setdefault(step_id, before)
        return StepDefinition(
            id=step_id,
            uses=step.get("uses", ""),
            arguments=tuple(values.items()),
            needs=needs,
            for_each=for_each,
            timeout=_seconds(step.get("timeout")),
            retry=self._retry((*path, "retry"), step["retry"]) if "retry" in step else None,
            position=self.document.where(path),
        )

    def _needs(self, path: NodePath, step: dict[str, Any], previous: dict[str, Any]) -> tuple[str, ...]:
        """The steps that are named, or the one before it in the file; where that is wrong, all steps before it, so that
        what refers to them is not called wrong too."""
        earlier = tuple(self.before)
        if "needs" not in step:
            return earlier[-1:] if "id" in previous else earlier
        needs = check_names(self.document, (*path, "needs"), step["needs"])
        for at, need in needs.items():
            if need not in self.ids:
                self.document.problem((*path, "needs", at), f"unknown step {quoted(need)}", wrong=need, known=self.ids)
            elif need not in self.before:
                self.document.problem((*path, "needs", at), f"step {quoted(need)} does not come before this one")
        good = tuple(need for need in needs.values() if need in self.before)
        return good if len(good) == len(step["needs"]) else earlier

    def _check_arguments(self, path: NodePath, uses: str | None, arguments: Mapping[str, Any]) -> None:
        if uses is None:
            return
        task = self.catalog.get(uses)
        if task is None:
            self.document.problem((*path, "uses"), f"unknown task {quoted(uses)}", wrong=uses, known=self.catalog)
            return
        if task.refused:
            self.document.problem((*path, "uses"), task.refused)
            return
        known = sorted(task.inputs | task.optional)
        for name in arguments:
            if name not in known:
                text = f"task {uses} takes no {quoted(name)}"
                self.document.problem((*path, "with", name), text, key=True, wrong=name, known=known)
        if missing := sorted(task.inputs - arguments.keys()):
            where = (*path, "with") if arguments else (*path, "uses")
            self.document.problem(where, f"task {uses} needs {', '.join(missing)} in with", key=True)

    def _value(self, path: NodePath, value: Any, before: frozenset[str], each: bool = False) -> Value:
        """A plain value as it is, an expression as a reference; `each`: whether there is an item to refer to."""
        if isinstance(value, (dict, list)):
            self.document.problem(path, f"{path[-1]} must be a single value or an expression, not {quoted(value)}")
            return None
        if not isinstance(value, str) or "${{" not in value:
            return value
        match = _EXPRESSION.fullmatch(value)
        inner = match[1].strip() if match else ""
        if not _PATH.fullmatch(inner):
            self.document.problem(path, f"{quoted(value)} is no plain path: write ${{{{ steps.ID.outputs.NAME }}}}")
            return None
        parts = tuple(re.split(r"\.|\[", inner.replace("]", "")))
        self._check_reference(path, parts, before, each)
        return Reference(parts)

    def _check_reference(self, path: NodePath, parts: tuple[str, ...], before: frozenset[str], each: bool) -> None:
        head, name = parts[0], parts[1] if len(parts) > 1 else ""
        text, wrong = "", name
        known: Iterable[str] = ()
        if head == "item":
            text = "" if each else "item is there only in the with of a step that has for_each"
        elif head in ("steps", "inputs") and not name:
            text = f"{head} alone is no value: write {'steps.ID.outputs' if head == 'steps' else 'inputs.NAME'}"
        elif head == "inputs":
            text, known = ("" if name in self.inputs else f"unknown input {quoted(name)}"), self.inputs
        elif head != "steps":
            text, wrong, known = f"unknown name {quoted(head)}", head, ("steps", "inputs", "item")
        elif name not in self.ids:
            text, known = f"unknown step {quoted(name)}", self.ids
        elif name not in self.before:
            text = f"step {quoted(name)} does not come before this one"
        elif name not in before:
            text = f"step {quoted(name)} may not have ended when this one begins: name it in needs"
        elif parts[2:3] != ("outputs",):
            text, wrong = f"a step has outputs only: write steps.{name}.outputs", ""
        if text:
            self.document.problem(path, text, wrong=wrong, known=known)

    def _retry(self, path: NodePath, entry: dict[str, Any]) -> Retry | None:
        fields = take(self.document, path, entry, RETRY, required=("max_attempts",))
        if "max_attempts" not in fields:
            return None
        waits: dict[str, Any] = {key: _seconds(fields[key]) for key in ("delay", "max_delay") if key in fields}
        if "backoff" in fields:
            waits["backoff"] = float(fields["backoff"])
        names = check_errors(self.document, (*path, "errors"), fields.get("errors", []))
        return Retry(fields["max_attempts"], errors=names, **waits)


def _seconds(duration: str | None) -> float | None:
    return None if duration is None else parse_duration(duration)
