"""What a hypervisor driver must do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, Protocol

from msgspec import Struct

from slipway.drivers.compute.handmade import HandMade
from slipway.model.machine import Disk, Domain, GuestNic, Platform, PowerState
from slipway.model.measured import Hypervisor
from slipway.model.network import DhcpOption

if TYPE_CHECKING:
    import socket


class DomainInfo(Struct, frozen=True):
    """A domain that bears our tag, as the hypervisor has it; memory in bytes.

    `fault` says what is otherwise than it was defined, and what keeps it from being started again, if anything.
    `brought`: the disks that somebody else has attached to it while it runs, which stay as long as it does.
    `lacks`: of the files besides its disks that a start of it reads those that are gone, as `kernel /boot/vmlinuz`.
    `opens_taps`: while it runs it has its NICs' taps open, so that one which nobody has is of no use to it.
    """

    instance_id: str
    name: str
    state: PowerState
    vcpus: int
    memory: int
    fault: str = ""
    opens_taps: bool = False
    lacks: tuple[str, ...] = ()
    brought: tuple[str, ...] = ()


class DomainUse(Struct, frozen=True):
    """What a domain that runs has used since it was started: seconds of its vCPUs, bytes of disks and NICs.

    `resident`: the bytes of the host's memory that it has. `memory`: those that its guest says it needs; None: it says
    nothing.
    """

    instance_id: str
    cpu: float = 0.0
    resident: int = 0
    memory: int | None = None
    read: int = 0
    written: int = 0
    received: int = 0
    sent: int = 0


class Change(StrEnum):
    """What has happened to a domain. `SHUTDOWN`: its guest ended it, asked to or not; `DESTROYED`: somebody else did.

    A domain that is started may be `RESUMED` as well.
    """

    STARTED = "started"
    PAUSED = "paused"
    RESUMED = "resumed"
    SHUTDOWN = "shutdown"
    DESTROYED = "destroyed"
    CRASHED = "crashed"


class DomainEvent(Struct, frozen=True):
    """Something that has happened to a domain that bears our tag."""

    instance_id: str
    change: Change


class Hearing(Struct, frozen=True):
    """What happens is heard from now on; or no longer, where `lost` says why. What happened before was not told."""

    lost: str | None = None


class Endpoint(Struct, frozen=True):
    """A hypervisor as another one of the same driver sees it that sends a guest there: what it is, and where."""

    kind: str
    address: str


class Migration(Struct, frozen=True):
    """How far a guest has gone: bytes of its memory and disks that are still to go, and that have gone."""

    remaining: int
    gone: int

    @property
    def percent(self) -> int:
        """Of all that is to go by now; a guest that writes makes it more. All, where nothing is to go any more."""
        return 100 * self.gone // (self.gone + self.remaining) if self.remaining else 100


class ComputeDriver(Protocol):
    """One hypervisor. Every call is safe to repeat; a domain is found by its instance's id, never by guess.

    Raises `HypervisorUnavailable` when it cannot be asked, `ComputeError` and its subclasses for what it refuses.
    """

    local: ClassVar[bool]

    def spawn(self, domain: Domain) -> None:
        """Define the domain and start it; when the start fails, undefine it. Running already: nothing happens."""

    def destroy(self, instance_id: str) -> None:
        """Stop the domain at once and undefine it. Absent: nothing happens."""

    def stop(self, instance_id: str, *, force: bool) -> None:
        """Ask the guest to shut down (ACPI) and do not wait for it; with `force` end it at once. It stays defined.

        Does not run: nothing happens. A guest may not hear, or not heed it: that is no error. Raises `DomainNotFound`.
        """

    def start(self, instance_id: str) -> None:
        """Start the domain that is defined. Running already: nothing happens. Raises `DomainNotFound`."""

    def pause(self, instance_id: str) -> None:
        """Freeze the guest; it keeps its memory, and does nothing until `resume`. Paused already: nothing happens.

        Raises `DomainNotFound`, and `ComputeError` where the domain does not run.
        """

    def resume(self, instance_id: str) -> None:
        """Let the domain go on. Not paused: nothing happens. Raises `DomainNotFound`."""

    def redefine(self, domain: Domain, *, instead_of: Domain | None = None) -> None:
        """Have the domain be as it was defined, without ending or starting it; absent: it is defined.

        Where it runs, NICs and disks that it lost come back, NICs that somebody added go, and it has its vCPUs and its
        memory again. NICs and disks of the definition that it was made by so far, `instead_of`, go as well, and that is
        waited for. Raises `ComputeError` for what only a stop would change, and where `spawn` would refuse it.
        """

    def freeze(self, instance_id: str) -> bool:
        """Have the guest write nothing more until `thaw`, all that it wrote so far being in its disks' files.

        Its agent freezes its file systems, where one answers, and then it is paused; whether they were frozen: else its
        disks are as after a power cut. Does not run: nothing happens. Raises `DomainNotFound`.
        """

    def thaw(self, instance_id: str, *, frozen: bool) -> None:
        """Let a guest go on that was frozen. Raises `DomainNotFound`, and `ComputeError` where its file systems were
        `frozen` and its agent does not thaw them.
        """

    def block_resize(self, instance_id: str, path: str, size: int) -> bool:
        """Have a guest that runs see its disk of this path so many bytes large, more than before, and the file be so.

        Gives false where the domain does not run: then nothing happens, and the file can be made larger by others.
        Raises `DomainNotFound`.
        """

    def reconnect(self, instance_id: str, mac: str) -> None:
        """Have a NIC of a running domain join its tap again, which was made anew: the guest sees it go and come back.

        Raises `DomainNotFound`, and `ComputeError` where the guest does not let go of it.
        """

    def obstacles(self, instance_id: str) -> Sequence[str]:
        """What keeps the domain from being started once it has ended, in words: what it needs and is gone.

        Raises `DomainNotFound`.
        """

    def power_state(self, instance_id: str) -> PowerState:
        """What the domain does now. Raises `DomainNotFound`."""

    def console_log(self, instance_id: str) -> str | None:
        """The path of the file with what the guest writes to its first serial port; None where there is no guest.

        It begins anew with each start, and is not there before the first one.
        """

    def open_console(self, instance_id: str, *, force: bool) -> socket.socket:
        """The guest's first serial port: what it writes is read from the socket, what is sent there it reads.

        One has it at a time; with `force` whoever had it loses it. At its end there is nothing more to read: the domain
        has ended, or somebody else has taken it. Raises `DomainNotFound`, and `ConsoleUnavailable` where the domain
        does not run, there is no guest, or somebody has it.
        """

    def open_screen(self, instance_id: str, *, password: str, until: datetime) -> tuple[str, int]:
        """Have VNC clients that know the password, of at most 8 characters, see the guest's screen until then.

        Gives the address and port, on the host's loopback. Whatever was set before counts no more; who is connected
        stays so. Raises `DomainNotFound`, and `ConsoleUnavailable` where the domain does not run or has no screen.
        """

    def host_keys(self, instance_id: str) -> Sequence[str]:
        """The public keys of the guest's SSH server as its agent tells them, a line each, within some seconds.

        None are there where no agent answers, or none runs. Raises `DomainNotFound`.
        """

    def guest_addresses(self, instance_id: str) -> Sequence[GuestNic] | None:
        """What the agent in the guest tells of its NICs, within some seconds; None where none answers, or none runs.

        Raises `DomainNotFound`.
        """

    def endpoint(self) -> Endpoint:
        """What `migrate` of another host must know to have a guest go on here."""

    def unmovable(self, instance_id: str, to: Endpoint) -> Sequence[str]:
        """What keeps the guest from going on there while it runs, in words, as far as that can be known beforehand.

        Raises `DomainNotFound`.
        """

    def migrate(
        self, domain: Domain, to: Endpoint, *, copied: Sequence[Disk], tell: Callable[[Migration], None]
    ) -> None:
        """Have the guest that runs here go on there as `domain`, which is defined there and does not run.

        What is on the disks that are `copied` goes along, to where they are there; all others both hosts see. The
        domain stays defined here, and has ended. `tell` is called again and again; what it raises ends the migration,
        and so does the call's deadline: the guest goes on here. Raises `DomainNotFound`, and `ComputeError`, also where
        it does not run: then only both hosts can say where the guest is.
        """

    def end_migration(self, instance_id: str) -> bool:
        """End a migration that somebody has begun and not ended; the guest goes on here. None: nothing happens.

        Whether the guest has gone: it has ended here, for it goes on elsewhere. False where that is not known as well.
        Raises `DomainNotFound`.
        """

    def measure(self) -> Hypervisor | None:
        """What the hypervisor says of itself and of the host's CPUs and memory; None: it measures nothing."""

    def hand_made(self, name: str) -> HandMade | None:
        """The domain with this name that bears nobody's tag; None: there is none."""

    def forget_hand_made(self, domain_id: str) -> None:
        """Undefine that one, which does not run; its disks stay. Absent, or somebody's: nothing happens."""

    def list_domains(self) -> Sequence[DomainInfo]:
        """All domains that bear our tag."""

    def domain_uses(self) -> Sequence[DomainUse]:
        """What those of them use that run."""

    def watch(self, tell: Callable[[DomainEvent | Hearing], None]) -> Callable[[], None]:
        """Tell what happens to our domains, from a thread of the driver's own, until the function it gives is called.

        `Hearing` comes first, again when the hypervisor is lost, and again when it is back, which the driver sees to.
        Raises `ComputeError` where nothing can be heard.
        """

    def platform_for_instance(self, instance_id: str) -> Platform:
        """What the instance's domain XML must say that only the hypervisor knows."""

    def write_definition(self, instance_id: str, xml: str) -> str:
        """Keep the domain XML in a file of the instance's, mode 0600, replaced as a whole; gives its path."""

    def delete_definition(self, instance_id: str) -> None:
        """Delete that file. Absent: nothing happens."""

    def read_definition(self, instance_id: str) -> str | None:
        """What that file says; None where there is none."""

    def list_definitions(self) -> Sequence[str]:
        """The ids of all instances whose domain XML is kept for this host."""

    def macs_for_instance(self, instance_id: str) -> frozenset[str] | None:
        """The MAC addresses that the instance must use, or None where any will do (Nova: `macs_for_instance`)."""

    def dhcp_options_for_instance(self, instance_id: str) -> tuple[DhcpOption, ...]:
        """DHCP options for the instance's ports, for network boot (Nova: `dhcp_options_for_instance`)."""
