"""A workflow's text and inputs made ready for a run, and known again by one that goes on."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from slipway import errors
from slipway.flows.definition import Definition
from slipway.flows.inputs import checked_inputs
from slipway.flows.runs.reading import read_workflow
from slipway.flows.runs.sealing import Seal, sealed_in
from slipway.flows.tasks.base import Tools
from slipway.flows.tasks.catalog import CATALOG, SIGNATURES
from slipway.flows.workflows.loading import Workflow
from slipway.model.record import Effect
from slipway.model.run import RunRecord
from slipway.states import codec
from slipway.texts import Secret


class Given(Struct, frozen=True):
    """Inputs as somebody gives them: values of Python's, texts (`NAME=VALUE`), the file of a YAML mapping."""

    values: Mapping[str, Any] = {}
    texts: tuple[str, ...] = ()
    file: Path | None = None

    def __bool__(self) -> bool:
        """Whether anything is given."""
        return bool(self.values or self.texts or self.file)


NOTHING = Given()
_OF = " of "
"""In the name of a secret that a part has from the whole; an input's own name has no blank."""


def as_given(inputs: Mapping[str, Any] | Given) -> Given:
    """Inputs of Python's, as they are given by any other way."""
    return inputs if isinstance(inputs, Given) else Given(inputs)


class Prepared(Struct, frozen=True):
    """All that a run goes by. `path` is its workflow's, `workflow` what was read; `inputs` have their types' values,
    and `secrets` those of them that are secret, with those of the run that it is a part of."""

    path: str
    workflow: Workflow
    inputs: Mapping[str, Any]
    secrets: Mapping[str, str]

    @property
    def definition(self) -> Definition:
        """The workflow's."""
        return self.workflow.definition

    @property
    def texts(self) -> bytes:
        """The texts of its file and of those that its steps use, as they are kept."""
        return self.workflow.kept_texts

    @property
    def digest(self) -> str:
        """What the texts are kept by."""
        return self.workflow.digest

    @property
    def kept_inputs(self) -> bytes:
        """The inputs as they are kept, without secrets: by the whole's first, which somebody can give again."""
        inherited = {name: value for name, value in self.secrets.items() if _OF in name}
        return Seal(self.secrets).seal(Seal(inherited).seal(codec.encode(self.inputs)))

    @property
    def kept_secrets(self) -> str | None:
        """The secrets as they are kept while the run goes on."""
        return codec.encode(self.secrets).decode() if self.secrets else None

    @property
    def request_digest(self) -> str:
        """What tells this request from another one."""
        secrets = hashlib.sha256(codec.encode(sorted(self.secrets.items()))).digest()
        return hashlib.sha256(self.digest.encode() + self.kept_inputs + secrets).hexdigest()

    def corrected(self, given: Given, path: str | None, done: Sequence[Effect]) -> Prepared:
        """The same with other inputs, or another text. Raises `InvalidFile`, `InvalidRequest`, and `RunRefused` where
        what is done is not in that text."""
        workflow = self.workflow if path is None else read_workflow(os.path.abspath(path))
        _check_done(self.definition, workflow.definition, done)
        known = {one.name for one in workflow.definition.inputs}
        kept = {name: value for name, value in self.inputs.items() if name in known and value is not None}
        given = Given({**kept, **given.values}, given.texts, given.file)
        return _prepared(os.path.abspath(path) if path else self.path, workflow, given)

    def with_secrets(self, given: Given) -> Prepared:
        """The same with secrets that are not on record any more. Raises `InvalidRequest` for other inputs."""
        known = [msgspec.structs.replace(one, required=False) for one in self.definition.inputs if one.type == "secret"]
        found = checked_inputs(known, values=given.values, texts=given.texts, file=given.file)
        again = {name: value for name, value in found.items() if value}
        secrets = {**self.secrets, **{name: str(value) for name, value in again.items()}}
        return Prepared(self.path, self.workflow, {**self.inputs, **again}, secrets)

    def part(self, path: str, values: Mapping[str, Any]) -> Prepared:
        """The workflow of that path as a step of this one uses it. Raises `InvalidRequest`."""
        return _prepared(path, read_workflow(path, self.workflow.texts), Given(values), self.handed_on)

    @property
    def handed_on(self) -> Mapping[str, str]:
        """The secrets as a part of it knows them."""
        return {f"{name}{_OF}{self.definition.name}": value for name, value in self.secrets.items()}


def prepare(path: str, given: Given) -> Prepared:
    """Read a workflow, and take its inputs. Raises `InvalidFile`, `InvalidRequest`."""
    path = os.path.abspath(path)
    workflow = read_workflow(path)
    _check_kind(workflow.definition)
    return _prepared(path, workflow, given)


def _check_kind(definition: Definition) -> None:
    """Raise `InvalidRequest` for one by which an instance is built."""
    step = next((one for one in definition.steps if (s := SIGNATURES.get(one.uses)) and s.in_build_only), None)
    if step is not None:
        text = (
            f"workflow {definition.name} is for the build of an instance (step {step.id} uses {step.uses}): name it as "
            "`workflow:` in a run file"
        )
        raise errors.InvalidRequest((text,))


def check_allowed(prepared: Prepared, tools: Tools) -> None:
    """Raise `CommandsNotAllowed` for a workflow with steps that run commands where that is not allowed."""
    if tools.allow_commands:
        return
    for definition in (prepared.definition, *prepared.workflow.parts.values()):
        for step in (*definition.steps, *definition.finals):
            for uses in (step.uses, step.revert.uses if step.revert else ""):
                if uses in CATALOG and CATALOG[uses].runs_commands:
                    text = f"step {step.id} of {definition.name} runs a command: --allow-commands, where you trust it"
                    raise errors.CommandsNotAllowed(text)


def recalled(run: RunRecord, texts: bytes, given: Mapping[str, str] = {}) -> Prepared:
    """What a run went by; `given`: secrets that are not on record any more. Raises `RecordDamaged`, and `InvalidFile`
    where its tasks are not to be had any more."""
    workflow = read_workflow(run.workflow, codec.decode(texts, dict[str, str]))
    secrets = {**given, **(codec.decode(run.secrets.encode(), dict[str, str]) if run.secrets else {})}
    inputs = msgspec.json.decode(Seal(secrets).unseal(run.inputs))
    names = _secret_names(workflow.definition)
    own = {name: value for name, value in inputs.items() if name in names and value and not sealed_in(value)}
    known = {n: _secret(v) if n in names else v for n, v in inputs.items()}
    return Prepared(run.workflow, workflow, known, {**secrets, **own})


def _prepared(path: str, workflow: Workflow, given: Given, inherited: Mapping[str, str] = {}) -> Prepared:
    definition = workflow.definition
    inputs = checked_inputs(definition.inputs, values=given.values, texts=given.texts, file=given.file)
    secrets = {name: str(value) for name, value in inputs.items() if name in _secret_names(definition) and value}
    return Prepared(path, workflow, inputs, {**inherited, **secrets})


def _secret_names(definition: Definition) -> frozenset[str]:
    return frozenset(one.name for one in definition.inputs if one.type == "secret")


def _secret(value: Any) -> Any:
    return Secret(value) if isinstance(value, str) else value


def _check_done(old: Definition, new: Definition, done: Sequence[Effect]) -> None:
    """What stands must be undone by the new text as by the old one, and in the same order."""
    before = {step.id: step for step in old.steps}
    after = {step.id: step for step in new.steps}
    for step_id in dict.fromkeys(effect.step for effect in done):
        was, now = before.get(step_id), after.get(step_id)
        if now is None:
            raise errors.RunRefused(f"the new text has no step {step_id}, which is done: keep it, or cancel the run")
        if was is not None and (was.uses, was.for_each, was.revert) != (now.uses, now.for_each, now.revert):
            text = f"step {step_id} is done, and the new text has it otherwise: its uses, for_each and revert must stay"
            raise errors.RunRefused(text)
    kept = [step.id for step in new.steps if step.id in before]
    if kept != [step.id for step in old.steps if step.id in after]:
        raise errors.RunRefused("the new text has its steps in another order")
