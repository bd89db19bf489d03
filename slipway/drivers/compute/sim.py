"""A simulated hypervisor. It refuses what a real one would; its world is on disk, see `slipway.drivers.simworld`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar
from xml.etree.ElementTree import Element

from msgspec import Struct
from msgspec.structs import replace

from slipway.drivers.compute.base import DomainEvent, DomainInfo, DomainUse, Endpoint, Hearing, Migration
from slipway.drivers.compute.details import NAME, OURS, details_of, tap_of
from slipway.drivers.compute.domain_files import Definitions
from slipway.drivers.compute.domain_xml import parse_domain_xml
from slipway.drivers.compute.handmade import RUNS, HandMade
from slipway.drivers.compute.shape import Shape, differences, is_the_same, shape_of, unreadable
from slipway.drivers.files import file_name
from slipway.drivers.files import replace as replace_file
from slipway.drivers.simulation import Calls
from slipway.drivers.simworld import OWNER, Shelf
from slipway.errors import ComputeError, ConsoleUnavailable, DomainNotFound
from slipway.model.machine import ENDED, Disk, Domain, GuestNic, Platform, PowerState
from slipway.model.network import DhcpOption
from slipway.model.request import Host, Volume

if TYPE_CHECKING:
    import socket


class SimDomain(Struct, frozen=True):
    """A domain as the world has it; memory in bytes. `macs`, `taps`, `disks` and `details` are read from its XML.

    `gone`: its guest goes on on another host. `lacks`: what its start would read and is not there.
    `brought`: the disks that somebody else has attached while it runs.
    """

    instance_id: str
    name: str
    owner: str
    state: PowerState
    vcpus: int
    memory: int
    generation: int
    macs: tuple[str, ...]
    taps: tuple[str, ...]
    disks: tuple[str, ...]
    gone: bool = False
    details: Mapping[str, str] = {}
    lacks: tuple[str, ...] = ()
    brought: tuple[str, ...] = ()


class SimCompute:
    """The hypervisor of one simulated host; may be used by many threads and processes at once."""

    local: ClassVar[bool] = False

    def __init__(
        self, host: Host, state: Path, installation: str = "", *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._host, self._state = host, state
        self._calls = Calls(host, "hypervisor", ComputeError, sleep)
        self._domains = Shelf(state, host.name, "domains", SimDomain, ComputeError)
        self._definitions = Definitions(host.name, state)

    def spawn(self, domain: Domain) -> None:
        """Make the domain and start it. Running already: nothing happens.

        Raises `ComputeError` for XML that does not parse or does not fit the domain, a name or id that another domain
        has (libvirt: code 9), and a host without memory for it.
        """
        self._calls.enter("spawn")
        made = self._read(domain)
        with self._domains.locked():
            present = self._domains.get(domain.instance_id)
            if present is None:
                self._check_fits(made)
                self._domains.put(domain.instance_id, made)
            elif not self._is_ours(present):
                raise ComputeError(f"{self._host.name}: a domain with the uuid {domain.instance_id} exists already")
            elif present.state in ENDED:
                self._domains.put(domain.instance_id, replace(present, state=PowerState.RUNNING, gone=False))

    def destroy(self, instance_id: str) -> None:
        """Take the domain away. Absent: nothing happens."""
        self._calls.enter("destroy")
        with self._domains.locked():
            present = self._domains.get(instance_id)
            if present is None or self._is_ours(present):
                self._domains.remove(instance_id)

    def stop(self, instance_id: str, *, force: bool) -> None:
        """Stop the domain; without `force` only where guests are simulated that shut down when they are asked to."""
        self._calls.enter("stop")
        if force or self._host.simulate.acpi:
            self._set(instance_id, PowerState.SHUTDOWN, where=(PowerState.RUNNING, PowerState.PAUSED))
        else:
            self._get(instance_id)

    def start(self, instance_id: str) -> None:
        """Start the domain again. Running already: nothing happens."""
        self._calls.enter("start")
        self._set(instance_id, PowerState.RUNNING, where=ENDED)

    def pause(self, instance_id: str) -> None:
        """Freeze the domain. Raises `ComputeError` where it does not run."""
        self._calls.enter("pause")
        with self._domains.locked():
            domain = self._get(instance_id)
            if domain.state in ENDED:
                raise ComputeError(f"{self._host.name}: the domain of instance {instance_id} does not run")
            self._domains.put(instance_id, replace(domain, state=PowerState.PAUSED))

    def resume(self, instance_id: str) -> None:
        """Let the domain go on."""
        self._calls.enter("resume")
        self._set(instance_id, PowerState.RUNNING, where=(PowerState.PAUSED,))

    def redefine(self, domain: Domain, *, instead_of: Domain | None = None) -> None:
        """Have the domain be as its XML says, and go on with what it does. Absent: it is defined, and shut off."""
        self._calls.enter("redefine")
        made = self._read(domain)
        with self._domains.locked():
            present = self._domains.get(domain.instance_id)
            if present is None:
                self._check_fits(made)
            elif not self._is_ours(present):
                raise ComputeError(f"{self._host.name}: a domain with the uuid {domain.instance_id} exists already")
            state = present.state if present else PowerState.SHUTDOWN
            beside = {"lacks": present.lacks, "brought": present.brought} if present else {}
            self._domains.put(domain.instance_id, replace(made, state=state, **beside))

    def freeze(self, instance_id: str) -> bool:
        """Pause the domain. No guest is simulated that would have an agent."""
        self._calls.enter("freeze")
        self._set(instance_id, PowerState.PAUSED, where=(PowerState.RUNNING,))
        return False

    def thaw(self, instance_id: str, *, frozen: bool) -> None:
        """Let the domain go on."""
        self._calls.enter("thaw")
        self._set(instance_id, PowerState.RUNNING, where=(PowerState.PAUSED,))

    def block_resize(self, instance_id: str, path: str, size: int) -> bool:
        """False, also where it runs: no simulated guest has a disk open."""
        self._calls.enter("block_resize")
        self._get(instance_id)
        return False

    def reconnect(self, instance_id: str, mac: str) -> None:
        """Nothing happens: no simulated guest has a tap open."""
        self._calls.enter("reconnect")
        self._get(instance_id)

    def obstacles(self, instance_id: str) -> Sequence[str]:
        """What the world says that it lacks; the disks are another driver's."""
        self._calls.enter("obstacles")
        return tuple(f"its {file} is gone" for file in self._get(instance_id).lacks)

    def power_state(self, instance_id: str) -> PowerState:
        """What the domain does now. Raises `DomainNotFound`."""
        self._calls.enter("power_state")
        return self._get(instance_id).state

    def console_log(self, instance_id: str) -> str | None:
        """None: no guest is simulated that would write anything."""
        self._calls.enter("console_log")
        return None

    def open_console(self, instance_id: str, *, force: bool) -> socket.socket:
        """There is none: no guest is simulated. Raises `ConsoleUnavailable`, `DomainNotFound`."""
        self._calls.enter("open_console")
        self._get(instance_id)
        raise ConsoleUnavailable(f"{self._host.name} simulates no guest that would have a console")

    def open_screen(self, instance_id: str, *, password: str, until: datetime) -> tuple[str, int]:
        """There is none: no guest is simulated. Raises `ConsoleUnavailable`, `DomainNotFound`."""
        self._calls.enter("open_screen")
        self._get(instance_id)
        raise ConsoleUnavailable(f"{self._host.name} simulates no guest that would have a screen")

    def host_keys(self, instance_id: str) -> Sequence[str]:
        """None: no guest is simulated that would answer. Raises `DomainNotFound`."""
        self._calls.enter("host_keys")
        self._get(instance_id)
        return ()

    def guest_addresses(self, instance_id: str) -> Sequence[GuestNic] | None:
        """None: no guest is simulated that would answer. Raises `DomainNotFound`."""
        self._calls.enter("guest_addresses")
        self._get(instance_id)
        return None

    def endpoint(self) -> Endpoint:
        """Its host's name: all simulated hosts are in one world."""
        self._calls.enter("endpoint")
        return Endpoint("sim", self._host.name)

    def unmovable(self, instance_id: str, to: Endpoint) -> Sequence[str]:
        """A hypervisor that is not simulated."""
        self._calls.enter("unmovable")
        self._get(instance_id)
        return () if to.kind == "sim" else (f"its hypervisor is simulated, that of {to.address} is {to.kind}",)

    def migrate(
        self, domain: Domain, to: Endpoint, *, copied: Sequence[Disk], tell: Callable[[Migration], None]
    ) -> None:
        """Copy its disks, pause it, have it run there, and end it here; a kill may come between any two of these."""
        self._calls.enter("migrate")
        made, there = self._read(domain), Shelf(self._state, to.address, "domains", SimDomain, ComputeError)
        if self._get(domain.instance_id).state is not PowerState.RUNNING:
            raise ComputeError(f"{self._host.name}: the domain of instance {domain.instance_id} does not run")
        for number, disk in enumerate(copied):
            tell(Migration(remaining=sum(one.size for one in copied[number:]) + domain.memory, gone=0))
            self._copy(disk)
        tell(Migration(remaining=0, gone=sum(disk.size for disk in copied) + domain.memory))
        self._set(domain.instance_id, PowerState.PAUSED, where=(PowerState.RUNNING,))
        with there.locked():
            waits = there.get(domain.instance_id)
            if waits is None or waits.owner != OWNER or waits.state not in ENDED:
                self._set(domain.instance_id, PowerState.RUNNING, where=(PowerState.PAUSED,))
                raise ComputeError(
                    f"{to.address}: no domain of instance {domain.instance_id} waits there for its guest"
                )
            there.put(domain.instance_id, made)
        with self._domains.locked():
            left = replace(self._get(domain.instance_id), state=PowerState.SHUTDOWN, gone=True)
            self._domains.put(domain.instance_id, left)

    def end_migration(self, instance_id: str) -> bool:
        """Nothing is under way once a call has ended; where one was killed the guest may be paused."""
        self._calls.enter("end_migration")
        domain = self._get(instance_id)
        return domain.gone and domain.state in ENDED

    def _copy(self, disk: Disk) -> None:
        """Have on a disk of another host what is on the one of its name here."""
        here = self._state.absolute() / "world" / file_name(self._host.name) / "disks" / Path(disk.path).name
        try:
            replace_file(disk.path, here.read_bytes())
        except OSError as error:
            raise ComputeError(f"{self._host.name}: disk {here} cannot be copied: {error}") from error

    def measure(self) -> None:
        """Nothing: a simulated host is what its entry says."""
        self._calls.enter("measure")

    def hand_made(self, name: str) -> HandMade | None:
        """A domain of the world with another owner, or none."""
        found = next((one for one in self._domains.all() if one.name == name and not self._is_ours(one)), None)
        if found is None:
            return None
        disks = tuple(Volume(path, "qcow2" if path.endswith(".qcow2") else "raw") for path in found.disks)
        refused = () if found.state in ENDED else (RUNS,)
        return HandMade(
            found.instance_id, found.name, found.vcpus, found.memory, disks=disks, macs=found.macs, refused=refused
        )

    def forget_hand_made(self, domain_id: str) -> None:
        """Take it out of the world."""
        with self._domains.locked():
            found = self._domains.get(domain_id)
            if found is not None and not self._is_ours(found) and found.state in ENDED:
                self._domains.remove(domain_id)

    def list_domains(self) -> Sequence[DomainInfo]:
        """All domains that bear our tag."""
        self._calls.enter("list_domains")
        return tuple(self._info(domain) for domain in self._domains.all() if self._is_ours(domain))

    def _info(self, domain: SimDomain) -> DomainInfo:
        known = (domain.instance_id, domain.name, domain.state, domain.vcpus, domain.memory, self._fault(domain))
        return DomainInfo(*known, lacks=domain.lacks, brought=() if domain.state in ENDED else domain.brought)

    def domain_uses(self) -> Sequence[DomainUse]:
        """All memory that they are to have, and nothing else: no guest is simulated that would do anything."""
        self._calls.enter("domain_uses")
        ours = (domain for domain in self._domains.all() if self._is_ours(domain))
        return tuple(DomainUse(one.instance_id, resident=one.memory) for one in ours if one.state is PowerState.RUNNING)

    def _is_ours(self, domain: SimDomain) -> bool:
        """Whether it bears our tag; or nobody's, and is what was defined here for its instance."""
        if domain.owner or (kept := self._definitions.read(domain.instance_id)) is None:
            return domain.owner == OWNER
        with suppress(ValueError):
            return is_the_same(shape_of(kept), _shape(domain))
        return False

    def _fault(self, domain: SimDomain) -> str:
        """In which way the domain is otherwise than its definition; one that is gone is a matter of its own."""
        kept = self._definitions.read(domain.instance_id)
        if kept is None:
            return ""
        try:
            return "; ".join(differences(shape_of(kept), _shape(domain)))
        except ValueError as error:
            return unreadable(error)

    def watch(self, tell: Callable[[DomainEvent | Hearing], None]) -> Callable[[], None]:
        """Hear at once, and nothing ever: a simulated domain does nothing by itself."""
        self._calls.enter("watch")
        tell(Hearing())
        return lambda: None

    def platform_for_instance(self, instance_id: str) -> Platform:
        """One that any guest would run on; it boots from the network where the host dictates DHCP options for that."""
        self._calls.enter("platform_for_instance")
        return Platform(owner=OWNER, network_boot=bool(self._host.simulate.dhcp_options))

    def write_definition(self, instance_id: str, xml: str) -> str:
        """Keep the domain XML in a file; gives its path."""
        self._calls.enter("write_definition")
        return self._definitions.write(instance_id, xml)

    def delete_definition(self, instance_id: str) -> None:
        """Delete that file. Absent: nothing happens."""
        self._calls.enter("delete_definition")
        self._definitions.delete(instance_id)

    def read_definition(self, instance_id: str) -> str | None:
        """What that file says; None where there is none."""
        self._calls.enter("read_definition")
        return self._definitions.read(instance_id)

    def list_definitions(self) -> Sequence[str]:
        """The ids of all instances whose domain XML is kept for this host."""
        self._calls.enter("list_definitions")
        return self._definitions.list()

    def macs_for_instance(self, instance_id: str) -> frozenset[str] | None:
        """The host's MAC addresses, those in use among them: the caller takes a free one. None: any will do."""
        self._calls.enter("macs_for_instance")
        macs = self._host.simulate.macs
        return None if macs is None else frozenset(macs)

    def dhcp_options_for_instance(self, instance_id: str) -> tuple[DhcpOption, ...]:
        """The DHCP options that the host was given."""
        self._calls.enter("dhcp_options_for_instance")
        return tuple(DhcpOption(name, value) for name, value in self._host.simulate.dhcp_options)

    def _get(self, instance_id: str) -> SimDomain:
        domain = self._domains.get(instance_id)
        if domain is None or not self._is_ours(domain):
            raise DomainNotFound(f"{self._host.name}: there is no domain of instance {instance_id}")
        return domain

    def _set(self, instance_id: str, state: PowerState, *, where: tuple[PowerState, ...]) -> None:
        with self._domains.locked():
            domain = self._get(instance_id)
            if domain.state in where:
                self._domains.put(instance_id, replace(domain, state=state, gone=False))

    def _read(self, domain: Domain) -> SimDomain:
        """The domain that the XML describes, running. Raises `ComputeError` where the XML does not fit."""
        root = parse_domain_xml(self._host.name, domain)
        found = tuple(root.iterfind("devices/*"))
        return SimDomain(
            instance_id=domain.instance_id,
            name=domain.name,
            owner=OWNER,
            state=PowerState.RUNNING,
            vcpus=domain.vcpus,
            memory=domain.memory,
            generation=domain.generation,
            macs=_attributes(found, "interface", "mac", "address"),
            taps=_attributes(found, "interface", "target", "dev"),
            disks=_attributes(found, "disk", "source", "file"),
            details=details_of(root),
        )

    def _check_fits(self, made: SimDomain) -> None:
        used = 0
        for domain in self._domains.seen():
            used += domain.memory
            if domain.name == made.name:
                raise ComputeError(f"{self._host.name}: a domain with the name {made.name!r} exists already")
        limit = int(self._host.memory * self._host.memory_ratio)
        if used + made.memory > limit:
            raise ComputeError(
                f"{self._host.name}: no memory for domain {made.name!r}: it needs {made.memory} bytes, "
                f"{used} of {limit} are in use"
            )


def _shape(domain: SimDomain) -> Shape:
    taps = {tap_of(mac): tap for mac, tap in zip(domain.macs, domain.taps, strict=False)}
    details = {**domain.details, NAME: domain.name, **taps} | ({} if domain.owner else {OURS: ""})
    return Shape(domain.vcpus, domain.memory, frozenset(domain.macs), frozenset(domain.disks), details)


def _attributes(devices: Sequence[Element], kind: str, child: str, attribute: str) -> tuple[str, ...]:
    """The attribute of the child of each device of this kind, in their order, where it has one."""
    found = (device.find(child) for device in devices if device.tag == kind)
    return tuple(value for element in found if element is not None and (value := element.get(attribute)) is not None)
