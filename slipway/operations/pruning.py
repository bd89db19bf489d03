"""Runs that ended long ago taken off the record, where nothing of theirs could still be taken back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace

from slipway.flows.tasks.base import Tools
from slipway.flows.tasks.catalog import BY_KIND
from slipway.model.deed import Pruned
from slipway.model.record import Effect, EffectState
from slipway.model.run import RunRecord
from slipway.operations.limits import check_seconds
from slipway.states import effects, forgetting, runs
from slipway.states.run_machine import RunState
from slipway.states.store import Transaction


def prune(tools: Tools, *, older_than: float) -> Sequence[RunRecord]:
    """Take those off that ended more than so many seconds ago, with the runs of their steps; gives which."""
    before = _since(tools, older_than)
    with tools.store.write() as tx:
        old = [run for run in runs.listed(tx) if _is_over(tx, run, before)]
        for run in old:
            _forget(tx, run.id)
        runs.forget_texts(tx)
    return old


def prune_all(tools: Tools, *, older_than: float, only_look: bool = False) -> Pruned:
    """Take off the instances that were deleted more than so many seconds ago, and the runs that ended then; gives how
    many rows.

    In transactions of some hundred instances each, so that nobody waits for long: interrupted, it can be repeated. With
    `only_look` nothing is changed, and it is counted what would be.
    """
    before = _since(tools, older_than)
    with tools.store.read() as tx:
        ids = forgetting.deleted_before(tx, before)
        gone = set(ids)
        old = [run for run in runs.listed(tx) if run.instance_id not in gone and _is_over(tx, run, before)]
    total = Pruned()
    for number in range(0, len(ids), _AT_ONCE):
        some = ids[number : number + _AT_ONCE]
        if only_look:
            with tools.store.read() as tx:
                total = _sum(total, forgetting.count(tx, some))
        else:
            with tools.store.write() as tx:
                total = _sum(total, forgetting.forget(tx, some))
    ended = len(old if only_look else prune(tools, older_than=older_than))
    return replace(total, runs=total.runs + ended)


_AT_ONCE = 200


def _since(tools: Tools, older_than: float) -> datetime:
    check_seconds("the age", older_than)
    return tools.clock() - timedelta(seconds=older_than)


def _sum(one: Pruned, other: Pruned) -> Pruned:
    return Pruned(*(getattr(one, name) + getattr(other, name) for name in Pruned.__struct_fields__))


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
