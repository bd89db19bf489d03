"""The step that takes another one back: `revert:` in a workflow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from slipway import errors
from slipway.flows.definition import Inverse, StepDefinition, references_in
from slipway.flows.runs.execution import Execution
from slipway.flows.runs.sealing import opened
from slipway.flows.values import resolve_all
from slipway.model.record import Effect
from slipway.states import codec


class Item(Struct, frozen=True):
    """Which item of a `for_each` an effect is of: all that its inverse needs besides what others gave."""

    item: Any = None
    index: int | str | None = None


def invert(execution: Execution[Any, Any], step: StepDefinition, effect: Effect, _tx: Any) -> None:
    """Carry out the step's inverse for one effect of it, whose own result is `result`."""
    inverse = step.revert
    assert inverse is not None
    of = codec.decode(execution.seal.unseal(effect.args), Item)
    if effect.result is None and not _ended(execution, step, effect, of):
        return
    result = None
    if effect.result is not None:
        result = execution.result_of(effect)
    elif _needs_result(inverse):
        try:
            result = _again(execution, step, effect, of)
        except errors.UnexpectedAnswer:
            # It was asked for and refused: there is nothing to take back.
            return
    task = execution.catalog[inverse.uses]
    scope = execution.scope(of.item, of.index, result)
    given = opened(task.accept(resolve_all(inverse.arguments, scope, step.position)))
    back = replace(effect, key=f"{effect.key}/revert")
    task.do(execution.work(back, execution.tools.settings.step_timeout, back=True), **given)


def _needs_result(inverse: Inverse) -> bool:
    return any(ref.path[0] == "result" for _, value in inverse.arguments for ref in references_in(value))


def _ended(execution: Execution[Any, Any], step: StepDefinition, effect: Effect, of: Item) -> bool:
    """Whether there is something to make good for, where nobody knows how far the step came."""
    end = execution.catalog[step.uses].end
    return end is None or _called(end, execution, step, effect, of)


def _again(execution: Execution[Any, Any], step: StepDefinition, effect: Effect, of: Item) -> Any:
    """What the step gave, where its answer was lost: done once more under the same key it gives the same."""
    return _called(execution.catalog[step.uses].do, execution, step, effect, of)


def _called(
    call: Callable[..., Any], execution: Execution[Any, Any], step: StepDefinition, effect: Effect, of: Item
) -> Any:
    task = execution.catalog[step.uses]
    given = opened(task.accept(resolve_all(step.arguments, execution.scope(of.item, of.index), step.position)))
    return call(execution.work(effect, execution.tools.settings.step_timeout, back=True), **given)
