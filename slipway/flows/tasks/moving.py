"""The steps of a move: what an instance has on its host is made on another one, while the old stands."""

from __future__ import annotations

from contextlib import nullcontext

from msgspec import Struct

from slipway.drivers.registry import HostDrivers
from slipway.flows.tasks.base import BuildWork, Task, Tools
from slipway.flows.tasks.change_guest import GuestInStep
from slipway.flows.tasks.claim import ClaimHost
from slipway.flows.tasks.disks import CreateDisk, CreateSeed, request_of
from slipway.flows.tasks.domain import Spawn, Wait
from slipway.flows.tasks.ports import BindPort, owned_port
from slipway.flows.tasks.requirements import NetworkTask
from slipway.model.machine import Claim, Disk, DiskRequest, Domain, Nic
from slipway.model.request import Host
from slipway.states import hosts
from slipway.states.effects import done, effects_of, results
from slipway.states.intent import Durability
from slipway.states.machines import VmState


class Parts(Struct, frozen=True):
    """What goes from host to host, each kind in the order of its slots."""

    nics: tuple[Nic, ...]
    disks: tuple[DiskRequest, ...]
    seeds: tuple[DiskRequest, ...]


class FindParts(Task):
    """Say what is to go to the other host.

    Needs no undo and no record: it only looks, and what it looks at stands until the move is done.
    """

    name = "moving-parts"
    kind = "moving-parts"
    in_build_only = True
    vital = True

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """A look at the record, that a resume repeats."""
        return Durability.PURE

    def do(self, work: BuildWork) -> Parts:
        """Raises `RecordDamaged`."""
        with work.tools.store.read() as tx:
            found = effects_of(tx, work.instance.id)
        there = [effect for effect in found if effect.host in (None, work.instance.host)]
        seed = CreateSeed()
        return Parts(
            results(there, "port", Nic),
            tuple(request_of(work.instance, disk) for disk in results(there, "disk", Disk)),
            tuple(seed.arguments_of(effect).request for effect in done(there, seed.kind)),
        )


class ClaimTarget(ClaimHost):
    """Claim from the new host what the instance needs, while what it has claimed from the old one stands."""

    name = "claim-target"
    leads_to = None

    def do(self, work: BuildWork) -> Claim:  # type: ignore[override]
        """Raises `ComputeResourcesUnavailable`, `GroupAffinityViolation`."""
        assert work.host is not None
        return self.claim(work, work.host.name)


class ShutDown(Task):
    """Have the guest shut down on the old host, so that nothing changes on its disks while they are copied.

    One that does not within the settings' `shutdown_timeout` is ended.
    """

    name = "shut-down"
    kind = "shut-down"
    in_build_only = True
    vital = True
    passing = True

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """The hypervisor is outside our database."""
        return Durability.FOREIGN

    def do(self, work: BuildWork) -> None:
        """Raises `ComputeError`, `StepTimeout`."""
        if not is_to_run(work):
            return
        GuestInStep(work, old_drivers(work).compute).end()

    def undo(self, work: BuildWork, result: None) -> None:
        """Start it there again, once it certainly does not run on the new host.

        A repair that tries it once more is on the old one; what was on the new one is gone by then, or held.
        """
        if is_to_run(work):
            if work.host is not None and work.host.name != work.instance.host:
                work.on_host.compute.destroy(work.instance.id)
            old_drivers(work).compute.start(work.instance.id)


class ReleaseBinding(NetworkTask):
    """Release a port from the old host; its addresses and its MAC stay."""

    name = "release-binding"
    kind = "released-binding"
    in_build_only = True
    vital = True
    passing = True
    per_slot = True

    def do(self, work: BuildWork, nic: Nic) -> None:
        """Raises what the network service does."""
        port = owned_port(work, nic.port.id)
        if port is not None and port.binding_host_id == work.instance.host:
            work.tools.drivers.network.update_port(work.admin, port.id, unchanged=port, binding_host_id="", tx=work.tx)

    def undo(self, work: BuildWork, result: None, nic: Nic) -> None:
        """Bind it there again."""
        if owned_port(work, nic.port.id) is not None:
            BindPort().bind(work, nic, old_host(work))


class CopyDisk(CreateDisk):
    """Make a disk on the new host as it is on the old one; a volume that was brought along is taken there as well."""

    name = "copy-disk"
    enters = None

    def do(self, work: BuildWork, request: DiskRequest) -> Disk:
        """Raises `DiskError`, `ImageUnacceptable`."""
        return _copied(work, request)


class CopySeed(CreateSeed):
    """Make the seed on the new host as it is on the old one."""

    name = "copy-seed"

    def do(self, work: BuildWork, request: DiskRequest) -> Disk:  # type: ignore[override]
        """Raises `DiskError`."""
        return _copied(work, request)


def _copied(work: BuildWork, request: DiskRequest) -> Disk:
    assert work.instance.host is not None
    return work.on_host.disk.copy_disk(request, source=work.instance.host)


class RemakeDisk(CreateDisk):
    """Make a disk on the new host as a build does, for that on the old one is lost; a volume is taken there as well."""

    name = "remake-disk"
    enters = None

    def do(self, work: BuildWork, request: DiskRequest) -> Disk:
        """Raises `DiskError`, `ImageUnacceptable`."""
        return super().do(work, request) if request.volume is None else _copied(work, request)


class RemakeSeed(CreateSeed):
    """Make the seed on the new host, as a build does."""

    name = "remake-seed"


class SpawnMoved(Spawn):
    """Define the domain on the new host, and start it if it ran on the old one."""

    name = "spawn-moved"

    def do(self, work: BuildWork, definition: Domain) -> None:
        """Raises `ComputeError` and its subclasses."""
        if is_to_run(work):
            work.on_host.compute.spawn(definition)
        else:
            work.on_host.compute.redefine(definition)


class WaitMoved(Wait):
    """Wait until the domain runs on the new host, if it ran on the old one. Needs no undo and no record: it looks."""

    name = "wait-moved"

    def do(self, work: BuildWork) -> None:
        """Raises as `wait` does."""
        if is_to_run(work):
            super().do(work)


OF_MOVES = (
    FindParts,
    ClaimTarget,
    ShutDown,
    ReleaseBinding,
    CopyDisk,
    CopySeed,
    RemakeDisk,
    RemakeSeed,
    SpawnMoved,
    WaitMoved,
)


def is_to_run(work: BuildWork) -> bool:
    """Whether its guest ran when the move began, and is to run from then on."""
    return work.instance.vm_state == VmState.ACTIVE


def old_host(work: BuildWork) -> Host:
    """The host from which it moves. Raises `ComputeResourcesUnavailable`, `RecordDamaged`."""
    assert work.instance.host is not None
    with nullcontext(work.tx) if work.tx is not None else work.tools.store.read() as tx:
        return hosts.get(tx, work.instance.host)


def old_drivers(work: BuildWork) -> HostDrivers:
    """The drivers of that host."""
    return work.tools.drivers.on(old_host(work))
