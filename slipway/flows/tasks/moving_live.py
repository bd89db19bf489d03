"""The steps of a move while the guest runs: all is ready on the new host before it goes there, which nothing brings
back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from msgspec.structs import replace

from slipway.drivers.compute.base import Migration
from slipway.drivers.deadline import within
from slipway.errors import BuildInterrupted, ComputeError, DomainNotFound, SlipwayError, StepTimeout, UndoFailed
from slipway.flows.tasks.base import BuildWork
from slipway.flows.tasks.disks import CreateDisk
from slipway.flows.tasks.domain import ComputeTask, Spawn
from slipway.flows.tasks.moving import old_drivers
from slipway.flows.tasks.ports import BindPort, bound, owned_port
from slipway.flows.tasks.requirements import NetworkTask
from slipway.model.machine import ENDED, Disk, DiskRequest, Domain, Nic, PowerState, Vif
from slipway.model.record import Instance
from slipway.texts import named

R = TypeVar("R")

_LOOKING = 120.0
"""Seconds of a migration's that are kept for ending it, and for asking both hosts where the guest is then."""
_TELL_AGAIN = 2.0


class BindSecond(BindPort):
    """Bind a port to the new host as well; until the guest is there the binding to the old one counts (Nova)."""

    name = "bind-second"

    def do(self, work: BuildWork, nic: Nic) -> Vif:
        """Raises `PortBindingFailed`, `PortInUse` for a port that was taken from the instance."""
        assert work.host is not None
        network = work.tools.drivers.network
        port = network.show_port(work.admin, nic.port.id, tx=work.tx)
        made = network.create_binding(work.admin, port.id, work.host.name, tx=work.tx)
        ready = replace(port, binding_vif_type=made.vif_type, binding_vif_details=made.vif_details)
        return bound(work, nic, ready, work.host)


class PrepareDisk(CreateDisk):
    """Make an empty disk on the new host, to which what is on the old one goes while the guest runs.

    A volume that was brought along is taken there as well.
    """

    name = "prepare-disk"
    enters = None

    def do(self, work: BuildWork, request: DiskRequest) -> Disk:
        """Raises `DiskError`, `ImageUnacceptable` where a volume is gone."""
        if request.volume is not None:
            assert work.instance.host is not None
            return work.on_host.disk.copy_disk(request, source=work.instance.host)
        return work.on_host.disk.create_disk(replace(request, image=None, source=None))


class DefineMoved(Spawn):
    """Define the domain on the new host; it waits there for its guest."""

    name = "define-moved"

    def do(self, work: BuildWork, definition: Domain) -> None:
        """Raises `ComputeError` and its subclasses."""
        work.on_host.compute.redefine(definition)


class Migrate(ComputeTask):
    """Have the guest go on on the new host. Where it came to nothing, it goes on on the old one.

    Which of the two it is the hosts say; while one of them cannot be asked, the run stays where it is.
    """

    name = "migrate"
    kind = "migration"
    in_build_only = True
    vital = True
    passing = True
    switches = True
    uses = Spawn.uses | {Spawn.kind}

    def timeout(self, instance: Instance, given: float) -> float:
        """What a guest may take is not what it takes to ask both hosts afterwards."""
        return given + _LOOKING

    def do(self, work: BuildWork, definition: Domain, disks: tuple[Disk, ...]) -> None:
        """Raises `ComputeError`, `StepTimeout`, `BuildInterrupted` where nobody knows where the guest is."""
        try:
            if _has_gone(work):
                return
        except SlipwayError as error:
            if work.again:
                raise _unknown(work, error) from error
            raise
        seconds = work.deadline - _LOOKING - work.tools.monotonic()
        telling = _Telling(work)
        new = work.on_host.compute.endpoint()
        try:
            with within(seconds):
                copied = [disk for disk in disks if not disk.volume]
                old_drivers(work).compute.migrate(definition, new, copied=copied, tell=telling)
        except SlipwayError as error:
            try:
                if _has_gone(work):
                    return
            except SlipwayError as second:
                raise _unknown(work, second) from error
            if isinstance(error, StepTimeout):
                raise StepTimeout(_too_slow(work, seconds, telling.last)) from error
            raise

    def undo(self, work: BuildWork, result: None) -> None:
        """Have it go on on the old host, where it still is. Raises `UndoFailed` where it is on the new one."""
        if _has_gone(work):
            text = f"the guest of {work.instance.name} runs on host {work.effect.host} by now, and does not come back"
            raise UndoFailed(text)


class ActivateBinding(NetworkTask):
    """Have the port's binding to the new host be the one that counts, as soon as the guest is there.

    Needs no undo: nothing brings the guest back. Where it fails, that is done when the old binding goes.
    """

    name = "activate-binding"
    kind = "activated-binding"
    in_build_only = True
    vital = True
    per_slot = True

    def do(self, work: BuildWork, nic: Nic) -> None:
        """Raises what the network service does."""
        assert work.host is not None
        if (port := owned_port(work, nic.port.id)) is not None:
            work.tools.drivers.network.activate_binding(work.admin, port.id, work.host.name, tx=work.tx)


OF_LIVE_MOVES = (BindSecond, PrepareDisk, DefineMoved, Migrate, ActivateBinding)


class _Telling:
    """Tells now and then how far a guest has gone, and asks each time whether it is to go on."""

    def __init__(self, work: BuildWork) -> None:
        self._work = work
        self._next = 0.0
        self.last: Migration | None = None

    def __call__(self, migration: Migration) -> None:
        self._work.check()
        self.last = migration
        if (now := self._work.tools.monotonic()) >= self._next:
            self._next = now + _TELL_AGAIN
            self._work.tell(f"{migration.percent} % have gone, {_mebibytes(migration)} are still to go")


def _has_gone(work: BuildWork) -> bool:
    """Whether the guest is on the new host. Else it goes on on the old one, and no migration is under way.

    Raises what the hypervisors do, also where it runs on both: a look-up that fails says nothing.
    """
    old, new, own = old_drivers(work).compute, work.on_host.compute, work.instance.id
    gone = _or_none(old.end_migration, own)
    here, there = _or_none(old.power_state, own), _or_none(new.power_state, own)
    if here is PowerState.RUNNING is there:
        raise ComputeError(f"the guest of {work.instance.name} runs on both of its hosts")
    if gone or there is PowerState.RUNNING or (_is_up(there) and not _is_up(here)):
        return True
    if _is_up(there):
        # What was to become of it, had the migration not been ended.
        new.stop(own, force=True)
    if here is PowerState.PAUSED:
        old.resume(own)
    return False


def _is_up(state: PowerState | None) -> bool:
    return state is not None and state not in ENDED


def _or_none(call: Callable[[str], R], own: str) -> R | None:
    """What the hypervisor says of the domain; None where there is none, which it is sure of."""
    try:
        return call(own)
    except DomainNotFound:
        return None


def _unknown(work: BuildWork, error: SlipwayError) -> BuildInterrupted:
    return BuildInterrupted(
        f"on which of {work.instance.host} and {work.effect.host} the guest of {work.instance.name} runs could not be "
        f"asked: {named(error)}"
    )


def _too_slow(work: BuildWork, seconds: float, last: Migration | None) -> str:
    left = f": {_mebibytes(last)} were still to go, and it writes as fast as they go" if last is not None else ""
    return (
        f"the guest of {work.instance.name} did not get to host {work.effect.host} within {seconds:.0f} s{left}; a "
        "longer --timeout may do, a move without --live does"
    )


def _mebibytes(migration: Migration) -> str:
    return f"{migration.remaining / 2**20:.0f} MiB"
