"""Runs that ended long ago taken off the record, where nothing of theirs could still be taken back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from slipway.flows.tasks.base import Tools
from slipway.flows.tasks.catalog import BY_KIND
from slipway.model.record import Effect, EffectState
from slipway.model.run import RunRecord
from slipway.operations.limits import check_seconds
from slipway.states import effects, runs
from slipway.states.run_machine import RunState
from slipway.states.store import Transaction


def prune(tools: Tools, *, older_than: float) -> Sequence[RunRecord]:
    """Take those off that ended more than so many seconds ago, with the runs of their steps; gives which."""
    check_seconds("the age", older_than)
    before = tools.clock() - timedelta(seconds=older_than)
    with tools.store.write() as tx:
        old = [run for run in runs.listed(tx) if _is_over(tx, run, before)]
        for run in old:
            _forget(tx, run.id)
        runs.forget_texts(tx)
    return old


def _forget(tx: Transaction, run_id: str) -> None:
    for child in runs.children_of(tx, run_id):
        _forget(tx, child.id)
    runs.forget(tx, run_id)


def _is_over(tx: Transaction, run: RunRecord, before: datetime) -> bool:
    if run.ended_at is None or run.ended_at >= before or run.parent_id is not None:
        return False
    if run.instance_id is not None:
        # What a run left to a delete is that one's to take back.
        left = (effect for effect in effects.effects_of(tx, run.instance_id) if effect.run_id == run.id)
        return not any(effect.state is not EffectState.UNDONE and _has_undo(effect) for effect in left)
    if RunState(run.state) in (RunState.FAILED, RunState.CANCELLED):
        return True
    standing = (effect for effect in effects.effects_of(tx, run.id) if effect.state is not EffectState.UNDONE)
    return run.state != RunState.STUCK and not any(_has_undo(effect) for effect in standing)


def _has_undo(effect: Effect) -> bool:
    """Whether an effect that stands could be taken back, by its own task or, for all that is known here, by a step."""
    task = BY_KIND.get(effect.kind)
    return task is None or task.undo is not None or task.irreversible
