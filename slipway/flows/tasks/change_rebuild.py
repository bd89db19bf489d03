"""The steps by which the root disk of an instance that was built is made anew, from another image or the same."""

from __future__ import annotations

from msgspec import Struct

from slipway.drivers.disk.cloudinit import needs_seed
from slipway.flows.tasks.base import BuildWork, Task, Tools
from slipway.flows.tasks.change_snapshots import aside_of
from slipway.flows.tasks.disks import DiskTask
from slipway.flows.tasks.ready import WaitReady
from slipway.model.machine import Disk, DiskRequest, DiskRole, DiskSnapshot, Vif
from slipway.model.request import Host
from slipway.states.effects import effects_of, results
from slipway.states.intent import Durability
from slipway.states.machines import VmState


class Rebuilt(Struct, frozen=True):
    """What is made anew: the seed, if any; with it belong the NICs, which stay."""

    seeds: tuple[DiskRequest, ...]
    vifs: tuple[Vif, ...]


class FindRebuilt(Task):
    """Say whether the guest gets a new seed, and by which NICs.

    Needs no undo and no record: it only looks, and what it looks at stands until the change is done.
    """

    name = "rebuilt-parts"
    kind = "rebuilt-parts"
    in_build_only = True
    vital = True

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """A look at the record, that a resume repeats."""
        return Durability.PURE

    def do(self, work: BuildWork) -> Rebuilt:
        """Raises `RecordDamaged`."""
        assert work.change is not None
        with work.tools.store.read() as tx:
            found = effects_of(tx, work.instance.id)
        vifs = results(found, "binding", Vif)
        if not work.change.reseeds or not (work.on_host.disk.keeps_seeds or needs_seed(work.instance, vifs)):
            return Rebuilt((), vifs)
        slots = work.change.slots["seed"]
        return Rebuilt(tuple(DiskRequest(work.instance.id, slot, DiskRole.SEED, 0) for slot in slots), vifs)


class RemakeRoot(DiskTask):
    """Make the root disk anew in the place of the one that was set aside."""

    name = "remake-root"
    kind = "remade-disk"
    in_build_only = True
    vital = True
    passing = True
    uses = frozenset({"claim", "aside", "stopped-guest"})
    per_slot = True

    def do(self, work: BuildWork, of: DiskSnapshot) -> Disk:
        """Raises `DiskError`, `ImageUnacceptable`."""
        request, driver = work.instance.request, work.on_host.disk
        driver.delete_disk(of.instance_id, of.slot)
        made = DiskRequest(of.instance_id, of.slot, DiskRole.ROOT, request.flavor.disk, request.image)
        return driver.create_disk(made)

    def undo(self, work: BuildWork, result: Disk | None, of: DiskSnapshot) -> None:
        """Have it be the one that was set aside."""
        work.on_host.disk.put_back(of.instance_id, of.slot, aside_of(work.effect))


class WaitRebuilt(WaitReady):
    """Wait for the signs of `wait_for` where the guest runs: one that does not come up has the old one back.

    Needs no undo and no record: it only looks.
    """

    name = "wait-rebuilt"

    def do(self, work: BuildWork, vifs: tuple[Vif, ...]) -> None:
        """Raises as `wait-ready` does."""
        if work.instance.vm_state == VmState.ACTIVE:
            super().do(work, vifs)


OF_REBUILDS = (FindRebuilt, RemakeRoot, WaitRebuilt)
