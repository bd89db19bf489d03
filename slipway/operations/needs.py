"""Which secrets it takes to undo a run that has ended, after which they are not kept."""

from __future__ import annotations

from slipway.flows.definition import references_in
from slipway.flows.runs.prepared import Prepared, recalled
from slipway.flows.runs.sealing import sealed_in
from slipway.model.record import EffectState
from slipway.model.run import RunRecord
from slipway.states import effects, runs
from slipway.states.store import Transaction


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
