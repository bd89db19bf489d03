"""How it ended with an instance that is at rest."""

from __future__ import annotations

from slipway.flows.tasks.base import Tools
from slipway.model.record import Effect, Instance
from slipway.operations.batch import Ended, Status
from slipway.states import effects


def ended(tools: Tools, instance: Instance, status: Status, began: float) -> Ended:
    """As which it is told; `began` by the monotonic clock, with what became of the effects of one that failed."""
    undone: tuple[Effect, ...] = ()
    stuck: tuple[Effect, ...] = ()
    if status is Status.FAILED:
        with tools.store.read() as tx:
            undone, stuck = effects.undone_and_stuck(tx, instance.id)
    return Ended(instance.name, status, instance, "", undone, stuck, tools.monotonic() - began)
