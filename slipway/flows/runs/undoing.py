"""How what a run did is taken back: by its task's own undo, or by the step that its workflow gives as its inverse."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

from slipway import errors
from slipway.drivers.deadline import within
from slipway.flows.retries import UNDO_RETRIES, with_retries
from slipway.flows.runs.execution import Execution
from slipway.flows.runs.inverse import invert
from slipway.flows.runs.sealing import has_sealed, opened
from slipway.flows.tasks.base import Task
from slipway.flows.tasks.catalog import no_task
from slipway.model.record import Effect, EffectState
from slipway.model.run import NOTES
from slipway.states import codec
from slipway.states.intent import Durability

AnyRun: TypeAlias = Execution[Any, Any]
Call = Callable[[Effect, Any], None]


def undo(run: AnyRun, effect: Effect) -> None:
    """Take one effect back if it is to be; never raises. What failed once in this roll-back is not tried twice."""
    if run.halted or effect.key in run.tried or effect.state is EffectState.UNDONE or run.keeps(effect):
        return
    try:
        found = inverse_of(run, effect, run.rest)
        if found is None:
            return
        run.tried.add(effect.key)
        after = run.ledger.undo(effect, *found, held_by=run.holder(effect))
    except Exception as error:  # noqa: BLE001 - a revert never raises; the conductor reports it and stops
        run.halted = error
        return
    stuck = f"stuck: {after.error}" if after.state is EffectState.STUCK else ""
    run.tell("step.undo", effect.step, effect.slot, stuck)


def undo_step(run: AnyRun, step: str) -> None:
    """Take back what a step did that failed, for the run goes on. Raises `UndoFailed` where that is stuck."""
    for effect in run.ledger.effects(step):
        undo(run, effect)
    if run.halted is not None:
        raise run.halted
    stuck = next((effect for effect in run.ledger.stuck() if effect.step == step), None)
    if stuck is not None:
        raise errors.UndoFailed(f"{stuck.key} could not be undone: {stuck.error}")


def inverse_of(run: AnyRun, effect: Effect, sleep: Callable[[float], None]) -> tuple[Durability, Call] | None:
    """How an effect is taken back, and the call that does it; None where there is nothing to take back.

    What keeps it from being taken back, as a text that is gone, is raised by the call. Raises a `StoreError`.
    """
    if effect.kind in NOTES:
        return Durability.PURE, _nothing
    task = run.kinds.get(effect.kind)
    try:
        step = run.step_of(effect)
        if step is not None and step.revert is not None:
            return Durability.FOREIGN, _guarded(run, partial(invert, run, step), sleep)
        if task is None:
            return Durability.FOREIGN, no_task
        if task.undo is None:
            return None
        if task.passing and not run.changing:
            return Durability.PURE, _nothing
        return task.durability(run.tools, run.host_of(effect)), _guarded(run, partial(_undo_by, run, task), sleep)
    except (errors.StoreError, errors.HostElsewhere):
        raise
    except Exception as error:  # noqa: BLE001 - it is on record as stuck, with this error
        return Durability.FOREIGN, _failing(error)


def _guarded(run: AnyRun, call: Call, sleep: Callable[[float], None]) -> Call:
    """With retries, within a step's time, and with no secret in what it raises."""
    seconds = run.tools.settings.step_timeout

    def once(effect: Effect, tx: Any) -> None:
        with within(seconds):
            call(effect, tx)

    def guarded(effect: Effect, tx: Any) -> None:
        retries = 0 if tx is not None else UNDO_RETRIES
        try:
            with_retries(lambda: once(effect, tx), retries=retries, sleep=sleep, step=effect.step)
        except (errors.StaleWorker, errors.StoreError, errors.HostElsewhere):
            raise
        except Exception as error:
            if not run.seal:
                raise
            raise errors.UndoFailed(run.named(error)) from error

    return guarded


def _undo_by(run: AnyRun, task: Task, effect: Effect, tx: Any) -> None:
    assert task.undo is not None
    arguments = codec.decode(run.seal.unseal(effect.args), task.arguments_type)
    given = {name: getattr(arguments, name) for name in arguments.__struct_fields__}
    if has_sealed(effect.args):
        opened(given)
    task.undo(run.work(effect, run.tools.settings.step_timeout, tx, back=True), run.result_of(effect), **given)


def _failing(error: Exception) -> Call:
    def call(_effect: Effect, _tx: Any) -> None:
        raise error

    return call


def _nothing(_effect: Effect, _tx: Any) -> None:
    """There is but a row."""
