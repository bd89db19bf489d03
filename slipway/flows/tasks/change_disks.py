"""Which disks an instance that was built gets besides those that it has."""

from __future__ import annotations

from slipway.flows.tasks.base import BuildWork, Task, Tools
from slipway.flows.tasks.disks import data_disk
from slipway.model.machine import DiskRequest
from slipway.model.request import Host
from slipway.states.intent import Durability


class MapNewDisks(Task):
    """List the disks that are to be attached, behind those that the instance has or ever had.

    Needs no undo and no record: the same change gives the same list.
    """

    name = "map-new-disks"
    kind = "new-mapping"
    in_build_only = True
    vital = True

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """A function of the change alone."""
        return Durability.PURE

    def do(self, work: BuildWork) -> tuple[DiskRequest, ...]:
        """The disks in the order of their slots."""
        assert work.change is not None
        return tuple(
            data_disk(work.instance.id, slot, disk) for slot, disk in enumerate(work.change.disks, work.change.slot)
        )
