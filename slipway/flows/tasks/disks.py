"""Which disks an instance gets, and each of them made."""

from __future__ import annotations

from dataclasses import replace

from slipway.flows.tasks.base import Task, Tools, Work
from slipway.model import Disk, DiskRequest, DiskRole, Host, Scope
from slipway.states.ledger import Durability
from slipway.states.machines import Event


class MapDisks(Task):
    """List the disks: root, then those of the request, then the seed where there is user data (L1).

    Needs no undo and no record: the same request gives the same list.
    """

    name = "map-disks"
    kind = "mapping"

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """A function of the request alone."""
        return Durability.PURE

    def do(self, work: Work) -> tuple[DiskRequest, ...]:
        """The disks in the order of their slots."""
        request, owner = work.instance.request, work.instance.id
        disks = [(DiskRole.ROOT, request.flavor.disk)] if request.flavor.disk else []
        disks += [(DiskRole.DATA, size) for size in request.disks]
        made = [
            DiskRequest(owner, slot, role, size, request.image if role is DiskRole.ROOT else None)
            for slot, (role, size) in enumerate(disks)
        ]
        if request.user_data is not None:
            made.append(DiskRequest(owner, len(made), DiskRole.SEED, 0, hostname=request.name))
        return tuple(made)


class CreateDisk(Task):
    """Make one disk on the host."""

    name = "create-disk"
    kind = "disk"
    scope = Scope.HOST
    uses = frozenset({"claim"})
    enters = Event.MAP_DISKS

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """As the driver says."""
        return Durability.LOCAL if host and tools.drivers.on(host).disk.local else Durability.FOREIGN

    def do(self, work: Work, request: DiskRequest) -> Disk:
        """Raises `DiskError`, `ImageUnacceptable`."""
        if request.role is DiskRole.SEED:
            request = replace(request, user_data=work.instance.request.user_data)
        return work.on_host.disk.create_disk(request)

    def undo(self, work: Work, result: Disk | None) -> None:
        """Delete it."""
        work.on_host.disk.delete_disk(work.instance.id, work.effect.slot)
