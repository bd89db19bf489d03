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
from slipway.flows.loader import loads_definition
from slipway.flows.runs.sealing import Seal
from slipway.flows.tasks.base import Tools
from slipway.flows.tasks.catalog import CATALOG, SIGNATURES
from slipway.model.record import Effect
from slipway.model.run import RunRecord
from slipway.states import codec
from slipway.yamlfile.document import read_text


class Prepared(Struct, frozen=True):
    """All that a run goes by: its workflow's text, as it is kept and as it was read, and its inputs.

    `given`: the inputs that somebody gave, secrets among them; `inputs`: those, and the defaults, as their types say.
    """

    workflow: str
    text: str
    definition: Definition
    given: Mapping[str, Any]
    inputs: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """What the text is kept by."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def texts(self) -> bytes:
        """The text as it is kept."""
        return codec.encode({"": self.text})

    @property
    def secrets(self) -> Mapping[str, str]:
        """The values of the inputs that are secret."""
        names = {one.name for one in self.definition.inputs if one.type == "secret"}
        return {name: str(value) for name, value in self.inputs.items() if name in names and value}

    @property
    def kept_inputs(self) -> bytes:
        """What was given as it is kept, without secrets."""
        return Seal(self.secrets).seal(codec.encode(self.given))

    @property
    def kept_secrets(self) -> str | None:
        """The secrets as they are kept while the run goes on."""
        return codec.encode(self.secrets).decode() if self.secrets else None

    @property
    def secrets_digest(self) -> bytes:
        """What tells other secrets from these."""
        return hashlib.sha256(codec.encode(sorted(self.secrets.items()))).digest()

    def corrected(self, given: Mapping[str, Any], workflow: str | None, done: Sequence[Effect]) -> Prepared:
        """The same with other inputs, or another text. Raises `RunRefused` where what is done is not in that text."""
        text = self.text if workflow is None else _read(workflow)
        prepared = _made(self.workflow, text, {**self.given, **given})
        if workflow is not None:
            _check_done(self.definition, prepared.definition, done)
        return prepared


def prepare(workflow: str, given: Mapping[str, Any]) -> Prepared:
    """Read a workflow, and take its inputs. Raises `InvalidFile`, `InvalidRequest`."""
    return _made(os.path.abspath(workflow), _read(workflow), given)


def recalled(run: RunRecord, texts: bytes) -> Prepared:
    """What a run went by. Raises `RecordDamaged`; `InvalidFile` where its tasks are not to be had any more."""
    text = codec.decode(texts, dict[str, str])[""]
    secrets = codec.decode(run.secrets.encode(), dict[str, str]) if run.secrets else {}
    return _made(run.workflow, text, msgspec.json.decode(Seal(secrets).unseal(run.inputs)))


def check_allowed(definition: Definition, tools: Tools) -> None:
    """Raise `CommandsNotAllowed` for a workflow with steps that run commands where that is not allowed."""
    if tools.allow_commands:
        return
    for step in (*definition.steps, *definition.finals):
        for uses in (step.uses, step.revert.uses if step.revert else ""):
            if uses in CATALOG and CATALOG[uses].runs_commands:
                text = f"step {step.id} of {definition.name} runs a command: --allow-commands, where you trust it"
                raise errors.CommandsNotAllowed(text)


def _read(workflow: str) -> str:
    return read_text(Path(workflow))


def _made(workflow: str, text: str, given: Mapping[str, Any]) -> Prepared:
    definition = loads_definition(text, workflow, SIGNATURES)
    return Prepared(
        workflow, text, definition, given, {one.name: given.get(one.name, one.default) for one in definition.inputs}
    )


def _check_done(old: Definition, new: Definition, done: Sequence[Effect]) -> None:
    """What stands must be undone by the new text as by the old one, and in the same order."""
    before = {step.id: step for step in old.steps}
    after = {step.id: step for step in new.steps}
    for step_id in dict.fromkeys(effect.step for effect in done):
        was, now = before.get(step_id), after.get(step_id)
        if now is None:
            raise errors.RunRefused(f"the new text has no step {step_id}, which is done: keep it, or cancel the run")
        if was is not None and (was.uses, was.for_each, was.revert) != (now.uses, now.for_each, now.revert):
            raise errors.RunRefused(
                f"step {step_id} is done, and the new text has it otherwise: its uses, for_each and revert must stay"
            )
    kept = [step.id for step in new.steps if step.id in before]
    if kept != [step.id for step in old.steps if step.id in after]:
        raise errors.RunRefused("the new text has its steps in another order")
