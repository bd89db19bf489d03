"""An instance of a stack that is to go."""

from __future__ import annotations

from collections.abc import Callable

from slipway.flows.tasks.base import Tools
from slipway.model.record import Event, Stack
from slipway.operations.batch import Ended, Status
from slipway.operations.ended import ended
from slipway.operations.lifecycle import Builder
from slipway.states import instances
from slipway.states.machines import VmState


def remove_instance(
    builder: Builder,
    tools: Tools,
    name: str,
    stack: Stack,
    notify: Callable[[Event], None],
    stopping: Callable[[], bool],
) -> Ended:
    """Delete the stack's instance of that name, if it is there; another one of that name stays."""
    if stopping():
        return Ended(name, Status.INTERRUPTED, message="not begun")
    began = tools.monotonic()
    with tools.store.read() as tx:
        found = instances.find(tx, name, stack.project)
    if found is None:
        return Ended(name, Status.UNCHANGED, message="it is not there")
    if found.stack != stack.name:
        return Ended(name, Status.UNCHANGED, found, f"it is not of stack {stack.name}, and stays")
    gone = builder.delete(found.id, None, notify)
    return ended(tools, gone, Status.FAILED if gone.vm_state == VmState.ERROR else Status.DELETED, began)
