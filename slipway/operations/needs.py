"""What it takes for a run to be gone on with, tried again, or undone once it has ended: texts, inputs, secrets."""

from __future__ import annotations

from typing import Any

from slipway import errors
from slipway.flows.definition import references_in
from slipway.flows.runs.prepared import Given, Prepared, check_allowed, recalled
from slipway.flows.runs.sealing import gone_secrets, sealed_in
from slipway.flows.tasks.base import Tools
from slipway.model.record import EffectState
from slipway.model.run import RunRecord
from slipway.states import effects, runs
from slipway.states.held import hold
from slipway.states.run_machine import TABLE, RunMove, RunState
from slipway.states.store import Transaction

_SEALED = b"\\u0001"
"""What stands around the name of a secret in inputs that are kept."""


def usable_or_let_go(tools: Tools, run: RunRecord) -> Prepared:
    """What a run goes by that is held; where that cannot be had here it is let go for others. Raises as `usable`."""
    try:
        with tools.store.read() as tx:
            return usable(tools, tx, run)
    except (errors.InvalidFile, errors.RecordDamaged, errors.CommandsNotAllowed):
        with tools.store.write() as tx:
            hold(tx, "run", run.id, run.generation, None)
        raise


def usable(tools: Tools, tx: Transaction, run: RunRecord) -> Prepared:
    """What a run goes by, where it can be gone on with here. Raises `InvalidFile`, `CommandsNotAllowed`,
    `RecordDamaged`."""
    try:
        known = recalled(run, runs.texts_of(tx, run.digest))
    except errors.InvalidFile as error:
        begun = f"; it was begun by {run.asked_by}" if run.asked_by else ""
        text = f"run {run.id[:8]} goes on with the tasks that it began with: name their modules by --tasks{begun}"
        raise errors.InvalidFile((*error.problems, text), (*error.excerpts, "")) from error
    check_allowed(known, tools)
    return known


def corrected(tools: Tools, run: RunRecord, inputs: Given, workflow: str | None) -> Prepared | None:
    """What a run goes by with other inputs or another text; None where it is as it was. Raises `InvalidFile`,
    `InvalidRequest`, `RunRefused`."""
    if not inputs and workflow is None and (run.secrets is not None or _SEALED not in run.inputs):
        return None
    with tools.store.read() as tx:
        done = [e for e in effects.effects_of(tx, run.id) if e.state is EffectState.DONE]
        texts = runs.texts_of(tx, run.digest)
    return recalled(run, texts).corrected(inputs, workflow, done)


def secrets_again(tools: Tools, run: RunRecord, given: Given) -> dict[str, Any]:
    """The column with what is kept of secrets while a run is undone. Raises `SecretGone`."""
    if not TABLE.may(RunMove.UNDO, RunState(run.state)) or not (given or _SEALED in run.inputs):
        return {}
    with tools.store.read() as tx:
        known = usable(tools, tx, run).with_secrets(given)
        gone = needed_secrets(tx, run, known) - known.secrets.keys()
    if gone:
        raise errors.SecretGone(f"run {run.id[:8]} is undone with what it began with, but {gone_secrets(gone)}")
    return {"secrets": known.kept_secrets}


def needed_secrets(tx: Transaction, run: RunRecord, prepared: Prepared) -> frozenset[str]:
    """The names of those inputs that the inverses of its standing steps name, also in the runs of its parts, and of
    those in what is on record for an undo."""
    steps = {step.id: step for step in (*prepared.definition.steps, *prepared.definition.finals)}
    needed = set[str]()
    for effect in effects.effects_of(tx, run.id):
        if effect.state is EffectState.UNDONE:
            continue
        needed |= sealed_in(effect.args)
        step = steps.get(effect.step)
        for _, value in step.revert.arguments if step and step.revert else ():
            named = {ref.path[1] for ref in references_in(value) if ref.path[0] == "inputs" and len(ref.path) > 1}
            needed |= {secret for name in named for secret in sealed_in(prepared.inputs.get(name))}
    for child in runs.children_of(tx, run.id):
        theirs = needed_secrets(tx, child, recalled(child, runs.texts_of(tx, child.digest)))
        needed |= {name.removesuffix(f" of {prepared.definition.name}") for name in theirs}
    return frozenset(needed)
