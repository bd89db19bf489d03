"""A build as a flow of TaskFlow's, for engines and flows of anybody's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from taskflow import task
from taskflow.types.failure import Failure

from slipway.errors import InstanceNotFound, UndoFailed
from slipway.flows.engine.flow import Flow
from slipway.model.record import Instance
from slipway.states.machines import VmState


def instance_flow(name: str, provides: str, create: Callable[[], Instance], delete: Callable[[str], Instance]) -> Flow:
    """A flow that creates an instance, provides its id, and deletes it where it is reverted."""
    return Flow(f"build {name}").add(_CreateInstance(f"create {name}", provides, create, delete))


class _CreateInstance(task.Task):  # type: ignore[misc]
    """What it gives is the id alone, which comes back as it was from any persistence: the rest is on record."""

    def __init__(
        self, name: str, provides: str, create: Callable[[], Instance], delete: Callable[[str], Instance]
    ) -> None:
        super().__init__(name, provides=provides)
        self._create = create
        self._delete = delete

    def execute(self) -> str:
        """Raises what `create` raises."""
        return self._create().id

    def revert(self, result: Any, **_given: Any) -> None:
        """Delete it, also where its build failed. Raises `UndoFailed` where something of it is stuck."""
        built = getattr(result.exception, "instance", None) if isinstance(result, Failure) else result
        instance_id = built.id if isinstance(built, Instance) else built
        if instance_id is None:
            return
        try:
            left = self._delete(instance_id)
        except InstanceNotFound:
            return
        if left.vm_state != VmState.DELETED:
            cause = f"{left.fault.type}: {left.fault.message}" if left.fault else f"it is {left.vm_state}"
            raise UndoFailed(f"instance {left.name} could not be deleted: {cause}; `slipway show` has what is stuck")
