"""A workflow's file read as a whole, with the workflows that its steps use."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from msgspec import Struct

from slipway.errors import InvalidFile
from slipway.flows.definition import Definition, InputDefinition, OnError, Retry, StepDefinition, TaskSignature
from slipway.flows.workflows.calls import Call, call_of_task, call_of_workflow
from slipway.flows.workflows.inputs import read_inputs, warnings_of
from slipway.flows.workflows.keys import DEFAULTS, NAME, WORKFLOW, take
from slipway.flows.workflows.names import Names, Wrong
from slipway.flows.workflows.steps import StepReader, read_retry, seconds
from slipway.flows.workflows.types import Outputs
from slipway.states import codec
from slipway.yamlfile.document import Document, NodePath, parse, read
from slipway.yamlfile.mistakes import quoted

MAX_NESTED = 20
"""How deep workflows may use each other."""

_ENDINGS = (".yaml", ".yml")
_NOT_FOR_BUILDS = "for runs of their own, not for the build of an instance"

FINISH = "finish"
"""The task that ends the build of an instance."""


class Workflow(Struct, frozen=True, dict=True):
    """A file that was read. `warnings`: one `file:line:column: what` each. `outputs`: the types of its outputs.

    `parts`: the workflows that its steps use, at any depth, by their paths; `texts`: what stood in each file.
    """

    definition: Definition
    warnings: tuple[str, ...] = ()
    parts: Mapping[str, Definition] = {}
    texts: Mapping[str, str] = {}
    outputs: Outputs = Outputs({})

    @cached_property
    def kept_texts(self) -> bytes:
        """The texts of its file and of those that its steps use, as they are kept on record."""
        return codec.encode(dict(sorted(self.texts.items())))

    @cached_property
    def digest(self) -> str:
        """What the texts are kept by."""
        return hashlib.sha256(self.kept_texts).hexdigest()


class Loading:
    """Reads one workflow and all that it uses, each file once."""

    def __init__(
        self, catalog: Mapping[str, TaskSignature], known: Callable[[str], Path | None], texts: Mapping[str, str]
    ) -> None:
        """`known`: the file of a workflow that is known by name. `texts`: what is read in place of files."""
        self.catalog = catalog
        self.read_texts: dict[str, str] = {}
        self.warnings: list[str] = []
        self.parts: dict[str, Definition] = {}
        self._known = known
        self._texts = texts
        self._types: dict[str, Outputs] = {}
        self._broken: dict[str, InvalidFile] = {}
        self._open: list[str] = []

    def load(self, path: Path) -> Workflow:
        """Raises `InvalidFile` with all that is wrong in any of the files."""
        try:
            definition, outputs = self._load(path)
        except InvalidFile as error:
            others = [one for one in self._broken.values() if one is not error]
            raise _together([error, *others]) from None
        if self._broken:
            raise _together(list(self._broken.values()))
        return Workflow(definition, tuple(self.warnings), self.parts, self.read_texts, outputs)

    def _load(self, path: Path) -> tuple[Definition, Outputs]:
        key = os.path.abspath(path)
        self._open.append(key)
        try:
            document = parse(self._texts[key], str(path)) if key in self._texts else read(path)
            self.read_texts[key] = document.text
            file = _File(document, self, path.parent)
            definition, outputs = file.load()
            document.finish()
            self.warnings += [warning.render(document.name) for warning in file.steps.warnings]
            return definition, outputs
        finally:
            self._open.pop()

    def call(self, uses: str, directory: Path) -> Call | None:
        """What a `uses` is, None for another workflow with mistakes of its own. Raises `Wrong` where it is nothing."""
        if uses.startswith(("./", "../", "/")):
            return self._part(uses, os.path.abspath(directory / uses), directory / uses)
        if (signature := self.catalog.get(uses)) is not None:
            if signature.refused:
                raise Wrong(signature.refused)
            return call_of_task(uses, signature)
        if (file := self._known(uses)) is not None:
            return self._part(uses, uses, file)
        if uses.endswith(_ENDINGS):
            raise Wrong(f"unknown task {quoted(uses)}: a workflow's path begins with ./, ../ or /")
        raise Wrong(f"unknown task {quoted(uses)}", uses, self.catalog)

    def _part(self, written: str, uses: str, file: Path) -> Call | None:
        key = os.path.abspath(file)
        if key in self._open:
            names = [os.path.basename(one) for one in [*self._open[self._open.index(key) :], key]]
            raise Wrong(f"workflow {quoted(written)} would use itself: {' -> '.join(names)}")
        if key not in self.parts and key not in self._broken:
            if len(self._open) >= MAX_NESTED:
                raise Wrong(f"workflows use each other more than {MAX_NESTED} deep")
            if key not in self._texts and not file.is_file():
                others = [one.name for one in _workflows_in(file.parent) if os.path.abspath(one) not in self._open]
                near = sorted(f"{written.rpartition('/')[0]}/{name}" for name in others)
                raise Wrong(f"there is no workflow {quoted(written)}: no such file", written, near)
            try:
                self.parts[key], self._types[key] = self._load(file)
            except InvalidFile as error:
                self._broken[key] = error
        if key in self._broken:
            return None
        if any(self.catalog[one.uses].in_build_only for one in self.parts[key].steps if one.uses in self.catalog):
            raise Wrong(
                f"workflow {quoted(written)} is an instance's build, which is no step: use the task build-instance"
            )
        return call_of_workflow(written, uses, self.parts[key], self._types[key])


def _workflows_in(directory: Path) -> list[Path]:
    """What may be workflows beside one that is not there; none where nobody may look."""
    try:
        return [one for one in islice(directory.iterdir(), 1000) if one.name.endswith(_ENDINGS)]
    except OSError:
        return []


class _File:
    """One document; problems are left in it, and what has one is left out of the definition."""

    def __init__(self, document: Document, loading: Loading, directory: Path) -> None:
        self.document = document
        self.loading = loading
        self.directory = directory
        self.names = Names()
        self.steps = StepReader(document, self.names, self._find)

    def load(self) -> tuple[Definition, Outputs]:
        document = self.document
        top = take(document, (), document.value, WORKFLOW, required=("schema", "name", "steps"))
        inputs = read_inputs(document, top.get("inputs", {}))
        self.steps.warnings += warnings_of(document, inputs)
        self.names.inputs = None if ("inputs",) in document.dropped else inputs
        defaults = take(document, ("defaults",), top.get("defaults", {}), DEFAULTS)
        retry: Retry | None = None
        if "retry" in defaults:
            retry = read_retry(document, ("defaults", "retry"), defaults["retry"])
        steps, finals = self.steps.read(top.get("steps", []), top.get("finally", []), retry)
        for name in top.get("outputs", {}):
            if not NAME[1](name):
                document.problem(("outputs", name), f"an output's name must be {NAME[0]}, not {quoted(name)}", key=True)
        outputs = self.steps.outputs(top.get("outputs", {}))
        self._check_build(inputs, top, steps)
        definition = Definition(
            top.get("name", ""),
            steps,
            seconds(defaults.get("timeout")),
            top.get("description", ""),
            tuple(one for one in inputs.values() if one is not None),
            finals,
            tuple((name, value) for name, value, _ in outputs),
        )
        return definition, Outputs({name: kind for name, _, kind in outputs})

    def _find(self, path: NodePath, uses: str) -> Call | None:
        try:
            return self.loading.call(uses, self.directory)
        except Wrong as error:
            self.document.problem(path, str(error), wrong=error.wrong, known=error.known)
            return None

    def _check_build(
        self,
        inputs: Mapping[str, InputDefinition | None],
        top: Mapping[str, Any],
        steps: Sequence[StepDefinition],
    ) -> None:
        """A build is of an instance, ends, and waits for nobody."""
        calls = self.steps.calls.items()
        of_build = [(path, call) for path, call in calls if call.takes.in_build_only]
        if not of_build:
            return
        self._check_plain(top)
        kinds = [None if one is None else one.type for one in inputs.values()]
        if "instance" not in kinds and None not in kinds:
            path, call = of_build[0]
            text = f"{call.what} is a step of an instance's build: the workflow needs an input of type instance"
            self.document.problem((*path, "uses"), text)
        for name, one in inputs.items():
            if one is not None and one.required and one.type != "instance":
                text = f"the build of an instance is given the instance and nothing else: input {name} needs a default"
                self.document.problem(("inputs", name), text, key=True)
        self._check_end(of_build, steps)

    def _check_plain(self, top: Mapping[str, Any]) -> None:
        """The build of an instance waits for nobody, and what the instance is made of is as the tasks have it."""
        for path, call in self.steps.calls.items():
            if call.takes.waits:
                text = f"{call.what} may have its run paused, which the build of an instance cannot be"
                self.document.problem((*path, "uses"), text)
            elif call.uses in self.loading.parts:
                self.document.problem((*path, "uses"), f"{call.what} is {_NOT_FOR_BUILDS}")
            elif call.takes.vital and path[0] == "finally":
                text = f"{call.what} makes a part of the instance: steps of finally come when all of those have ended"
                self.document.problem((*path, "uses"), text)
            elif call.takes.in_build_only and path[-1] == "revert":
                text = f"{call.what} is a step of an instance's build, which takes nothing back"
                self.document.problem((*path, "uses"), text)
        for at, step in enumerate(top.get("steps", [])):
            if isinstance(step, dict):
                self._check_step(("steps", at), step)

    def _check_step(self, path: NodePath, step: Mapping[str, Any]) -> None:
        if step.get("on_error") == OnError.PAUSE:
            text = f"on_error: pause is {_NOT_FOR_BUILDS}, which cannot be paused"
            self.document.problem((*path, "on_error"), text)
        call = self.steps.calls.get(path)
        if call is None or not call.takes.vital:
            return
        if step.get("on_error") == OnError.CONTINUE:
            text = f"there is no instance without {call.what}: on_error: continue is for what a build does beside it"
            self.document.problem((*path, "on_error"), text)
        if "revert" in step:
            text = f"{call.what} takes itself back: revert is for what a build does beside the instance"
            self.document.problem((*path, "revert"), text, key=True)

    def _check_end(self, of_build: Sequence[tuple[NodePath, Call]], steps: Sequence[StepDefinition]) -> None:
        """Nothing comes after the step that ends the build."""
        ends = [path for path, call in of_build if call.uses == FINISH and path[0] == "steps"]
        if FINISH in self.loading.catalog and not ends:
            text = f"the build of an instance would never end: no step uses {FINISH}"
            self.document.problem(("steps",), text, key=True)
        last = {step.id for step in steps if step.uses == FINISH}
        for step in steps if last else ():
            # One that stands below the last without more words is done before it.
            said = next(one for one in self.document.value["steps"] if isinstance(one, dict) and one["id"] == step.id)
            used = {reference.path[1] for reference in step.references if reference.path[0] == "steps"}
            if after := last.intersection(step.needs if "needs" in said else used):
                path = ("steps", self.document.value["steps"].index(said))
                text = f"the build of an instance ends with step {quoted(min(after))}: nothing comes after it"
                self.document.problem(path, text, key=True)


def _together(found: list[InvalidFile]) -> InvalidFile:
    problems = tuple(problem for error in found for problem in error.problems)
    return InvalidFile(problems, tuple(excerpt for error in found for excerpt in error.excerpts))
