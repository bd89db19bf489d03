"""Which disks an instance gets, and each of them made."""

from __future__ import annotations

from typing import ClassVar

from msgspec.structs import replace

from slipway.drivers.disk.cloudinit import make_seed, needs_seed
from slipway.flows.tasks.base import BuildWork, Task, Tools
from slipway.model.machine import Disk, DiskRequest, DiskRole, Vif
from slipway.model.record import Instance, Scope
from slipway.model.request import Host, Volume
from slipway.states.intent import Durability
from slipway.states.machines import Move


class MapDisks(Task):
    """List the disks: root, then those of the request (L1).

    Needs no undo and no record: the same request gives the same list.
    """

    name = "map-disks"
    kind = "mapping"
    in_build_only = True
    vital = True

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """A function of the request alone."""
        return Durability.PURE

    def do(self, work: BuildWork) -> tuple[DiskRequest, ...]:
        """The disks in the order of their slots."""
        request, owner = work.instance.request, work.instance.id
        root = [request.flavor.disk] if request.flavor.disk else []
        disks = [DiskRequest(owner, 0, DiskRole.ROOT, size, request.image) for size in root]
        disks += [data_disk(owner, slot, disk) for slot, disk in enumerate(request.disks, start=len(root))]
        return tuple(disks)


def data_disk(instance_id: str, slot: int, disk: int | Volume) -> DiskRequest:
    """A disk that was asked for by its size in bytes, or as a volume."""
    if isinstance(disk, Volume):
        return DiskRequest(instance_id, slot, DiskRole.DATA, 0, volume=disk)
    return DiskRequest(instance_id, slot, DiskRole.DATA, disk)


def request_of(instance: Instance, disk: Disk) -> DiskRequest:
    """What makes a disk again that is no seed: disks come and go, so its slot says nothing of what it is."""
    if disk.role is DiskRole.ROOT:
        return DiskRequest(instance.id, disk.slot, disk.role, disk.size, instance.request.image)
    return data_disk(instance.id, disk.slot, Volume(disk.path, disk.format) if disk.volume else disk.size)


class DiskTask(Task):
    """A step that makes a disk on the host."""

    scope = Scope.HOST
    uses = frozenset({"claim", "more-claimed"})

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """As the driver says."""
        return Durability.LOCAL if host and tools.drivers.on(host).disk.local else Durability.FOREIGN


class CreateDisk(DiskTask):
    """Make one disk on the host, or take the volume that was brought along."""

    name = "create-disk"
    kind = "disk"
    in_build_only = True
    vital = True
    enters: ClassVar[Move | None] = Move.MAP_DISKS

    def do(self, work: BuildWork, request: DiskRequest) -> Disk:
        """Raises `DiskError`, `ImageUnacceptable`, `VolumeInUse`."""
        return work.on_host.disk.create_disk(request)

    def undo(self, work: BuildWork, result: Disk | None) -> None:
        """Delete it, or give the volume back."""
        work.on_host.disk.delete_disk(work.instance.id, work.effect.slot)


class MapSeed(Task):
    """Say whether the guest gets a seed, which comes after its other disks; not before its ports are known.

    On a host whose disks a guest can read each has one, from which it has its host name at least.

    Needs no undo and no record: the same request with the same ports gives the same answer.
    """

    name = "map-seed"
    kind = "seed-mapping"
    in_build_only = True
    vital = True

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """A function of what other steps found."""
        return Durability.PURE

    def do(self, work: BuildWork, vifs: tuple[Vif, ...], disks: tuple[Disk, ...]) -> tuple[DiskRequest, ...]:
        """The seed, as yet without its content, or nothing."""
        if not work.on_host.disk.keeps_seeds and not needs_seed(work.instance, vifs):
            return ()
        return (DiskRequest(work.instance.id, len(disks), DiskRole.SEED, 0),)


class CreateSeed(DiskTask):
    """Make the disk from which cloud-init has user data, SSH keys, files, the host name and the NICs' addresses."""

    name = "create-seed"
    kind = "seed"
    in_build_only = True
    vital = True

    def do(self, work: BuildWork, request: DiskRequest, vifs: tuple[Vif, ...]) -> Disk:
        """Raises `DiskError`."""
        return work.on_host.disk.create_disk(replace(request, seed=make_seed(work.instance, vifs)))

    def undo(self, work: BuildWork, result: Disk | None, request: DiskRequest) -> None:
        """Delete it."""
        work.on_host.disk.delete_disk(work.instance.id, request.slot)
