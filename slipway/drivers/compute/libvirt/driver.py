"""The libvirt driver: domains bear our tag in their metadata, and are found by the instance's id, their uuid."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import ClassVar

import libvirt

from slipway.drivers.compute.base import DomainEvent, DomainInfo, DomainUse, Endpoint, Hearing, Migration
from slipway.drivers.compute.domain_files import Definitions
from slipway.drivers.compute.domain_xml import parse_domain_xml
from slipway.drivers.compute.handmade import HandMade
from slipway.drivers.compute.libvirt.acceleration import Prover
from slipway.drivers.compute.libvirt.acts import define, pause, resume, shut_down, start, state_of, stop, undefine
from slipway.drivers.compute.libvirt.agent import ASK, ask_agent, freeze, host_keys, thaw
from slipway.drivers.compute.libvirt.conform import conform, leaving, nic_of
from slipway.drivers.compute.libvirt.connection import CHANGE, Connection
from slipway.drivers.compute.libvirt.console import open_console
from slipway.drivers.compute.libvirt.events import Events
from slipway.drivers.compute.libvirt.inspection import forget, hand_made, info_of, obstacles, was_defined_by
from slipway.drivers.compute.libvirt.lookup import check_not_ours, find, missing_medium, owner_of, takes_files
from slipway.drivers.compute.libvirt.migration import end, migrate, unmovable
from slipway.drivers.compute.libvirt.node import measured
from slipway.drivers.compute.libvirt.screen import open_screen
from slipway.drivers.compute.libvirt.translation import has_code, suppress_code
from slipway.drivers.compute.libvirt.usage import use_of
from slipway.drivers.deadline import left
from slipway.errors import ComputeError, DomainNotFound
from slipway.model.machine import Disk, Domain, GuestNic, Platform, PowerState
from slipway.model.measured import Hypervisor
from slipway.model.network import DhcpOption
from slipway.model.request import Host

_LET_GO = 15.0
"""Seconds that a guest may take to let go of a NIC."""


class LibvirtCompute:
    """The hypervisor of one host, at the URI of its entry; may be used by many threads and processes at once."""

    local: ClassVar[bool] = False

    def __init__(self, host: Host, state: Path, installation: str) -> None:
        """Raises `ComputeError` when the host's entry has no `uri`. Nothing is opened before it is needed."""
        if host.uri is None:
            raise ComputeError(f"{host.name}: compute: libvirt needs a uri in the host's entry, such as qemu:///system")
        self._host = host
        self._owner = installation
        self._uri = host.uri
        self._connection = Connection(host.name, host.uri)
        self._state, self._definitions = state, Definitions(host.name, state)
        self._prover = Prover(host, state)

    def spawn(self, domain: Domain) -> None:
        """Define the domain and start it; when the start fails, undefine it. Running already: nothing happens.

        Raises `InvalidDomainXml` for what libvirt's schema refuses, `UnsupportedHardware`, and `ComputeError` for a
        name or id that another domain has and for whatever QEMU says.
        """
        parse_domain_xml(self._host.name, domain)
        self._connection.ask(
            f"starting domain {domain.name}", lambda libvirtd: self._spawn(libvirtd, domain), within=CHANGE
        )

    def destroy(self, instance_id: str) -> None:
        """Stop the domain at once and undefine it, with its NVRAM. Absent, or not ours: nothing happens."""

        def destroy(libvirtd: libvirt.virConnect) -> None:
            domain = self._ours(libvirtd, instance_id)
            if domain is not None:
                with suppress_code(libvirt.VIR_ERR_NO_DOMAIN):
                    stop(domain)
                    undefine(domain)

        self._connection.ask(f"destroying the domain of instance {instance_id}", destroy, within=CHANGE)

    def stop(self, instance_id: str, *, force: bool) -> None:
        """Ask the guest, by its agent where it has one, by ACPI otherwise; with `force` end its QEMU."""
        self._change(f"stopping the domain of instance {instance_id}", instance_id, stop if force else shut_down)

    def start(self, instance_id: str) -> None:
        """Start the domain that is defined; the console's log begins anew."""

        def begin(domain: libvirt.virDomain) -> None:
            if not domain.isActive():
                self._definitions.begin_console(instance_id)
            start(domain)

        self._change(f"starting the domain of instance {instance_id}", instance_id, begin)

    def pause(self, instance_id: str) -> None:
        """Have QEMU run none of the guest's vCPUs; one that sleeps does so already."""
        self._change(f"pausing the domain of instance {instance_id}", instance_id, pause)

    def resume(self, instance_id: str) -> None:
        """Let the domain go on, out of a pause or out of its guest's sleep."""
        self._change(f"resuming the domain of instance {instance_id}", instance_id, resume)

    def redefine(self, domain: Domain, *, instead_of: Domain | None = None) -> None:
        """Define it from its XML once more, and change what runs as far as libvirt can while it runs."""
        parse_domain_xml(self._host.name, domain)
        before = instead_of.xml if instead_of else domain.xml

        def redefine(libvirtd: libvirt.virConnect) -> None:
            present = find(libvirtd, domain.instance_id)
            if present is not None:
                self._check_ours(present)
                if present.name() != domain.name:
                    present.rename(domain.name)
            defined = define(libvirtd, domain, self._host.name)
            if defined.autostart():
                defined.setAutostart(0)
            if defined.isActive():
                conform(defined, domain.xml, before)

        self._connection.ask(f"defining domain {domain.name} again", redefine, within=CHANGE)
        self._wait_until_gone(domain.instance_id, lambda xml: leaving(xml, domain.xml, before))

    def _wait_until_gone(self, instance_id: str, what: Callable[[str], Sequence[str]]) -> None:
        """Wait until a running guest has let go of what it is to lose. Raises `ComputeError`."""

        def left_over() -> Sequence[str]:
            def look(libvirtd: libvirt.virConnect) -> Sequence[str]:
                domain = self._existing(libvirtd, instance_id)
                return what(domain.XMLDesc(0)) if domain.isActive() else ()

            return self._connection.ask(f"looking at the domain of instance {instance_id}", look)

        give_up = time.monotonic() + left(_LET_GO)
        while there := left_over():
            if time.monotonic() >= give_up:
                raise ComputeError(
                    f"{self._host.name}: the guest does not let go of {', '.join(there)}: it may not have booted yet, "
                    f"or not know hot-plugging; stopped, it has no say in it"
                )
            time.sleep(0.2)

    def freeze(self, instance_id: str) -> bool:
        """Its agent's fsfreeze, and a pause: with that QEMU writes all that it has of its disks to their files."""
        what = f"freezing the domain of instance {instance_id}"
        return self._connection.ask(what, lambda libvirtd: freeze(self._existing(libvirtd, instance_id)), within=CHANGE)

    def thaw(self, instance_id: str, *, frozen: bool) -> None:
        """Let it go on, and have its agent thaw what it froze."""
        what = f"thawing the domain of instance {instance_id}"
        self._change(what, instance_id, lambda domain: thaw(domain, frozen=frozen))

    def block_resize(self, instance_id: str, path: str, size: int) -> bool:
        """By QEMU, which has the file open."""

        def grow(libvirtd: libvirt.virConnect) -> bool:
            domain = self._existing(libvirtd, instance_id)
            if not domain.isActive():
                return False
            domain.blockResize(path, size, libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES)
            return True

        return self._connection.ask(f"growing a disk of instance {instance_id}", grow, within=CHANGE)

    def reconnect(self, instance_id: str, mac: str) -> None:
        """Detach the NIC, which opens its tap but once, and attach it again. Nothing else of the guest is touched."""
        what = f"reconnecting NIC {mac} of instance {instance_id}"

        def xml(flags: int) -> str | None:
            return self._connection.ask(
                what, lambda libvirtd: nic_of(self._existing(libvirtd, instance_id).XMLDesc(flags), mac)
            )

        kept = xml(libvirt.VIR_DOMAIN_XML_INACTIVE) or xml(0)
        if kept is None:
            raise ComputeError(f"{self._host.name}: the domain of instance {instance_id} has no NIC {mac}")
        if (device := xml(0)) is not None:
            self._change(
                what, instance_id, lambda domain: domain.detachDeviceFlags(device, libvirt.VIR_DOMAIN_AFFECT_LIVE)
            )
            give_up = time.monotonic() + left(_LET_GO)
            while xml(0) is not None:
                if time.monotonic() >= give_up:
                    raise ComputeError(
                        f"{self._host.name}: the guest does not let go of its NIC {mac}, whose tap is gone: it may not "
                        f"have booted yet, or not know hot-plugging; a reboot mends it"
                    )
                time.sleep(0.2)
        self._change(what, instance_id, lambda domain: domain.attachDeviceFlags(kept, libvirt.VIR_DOMAIN_AFFECT_LIVE))

    def obstacles(self, instance_id: str) -> Sequence[str]:
        """A definition that somebody has taken away, and the files that are gone of those that it names."""
        what = f"looking at the domain of instance {instance_id}"
        return self._connection.ask(what, lambda libvirtd: obstacles(self._existing(libvirtd, instance_id)))

    def power_state(self, instance_id: str) -> PowerState:
        """What the domain does now. Raises `DomainNotFound`."""

        what = f"looking at the domain of instance {instance_id}"
        return self._connection.ask(what, lambda libvirtd: state_of(self._existing(libvirtd, instance_id)))

    def console_log(self, instance_id: str) -> str | None:
        """The file beside the domain's XML; QEMU writes it."""
        return self._definitions.console_log(instance_id)

    def open_console(self, instance_id: str, *, force: bool) -> socket.socket:
        """By a stream of libvirt's, over whichever connection."""
        held = self._connection.opened()
        where = f"the domain of instance {instance_id}"

        def begin(libvirtd: libvirt.virConnect) -> socket.socket:
            return open_console(held, self._existing(held.libvirtd, instance_id), where, force=force)

        return self._connection.ask(f"opening the console of instance {instance_id}", begin)

    def open_screen(self, instance_id: str, *, password: str, until: datetime) -> tuple[str, int]:
        """By libvirt, which tells QEMU the password and when it expires."""
        where = f"the domain of instance {instance_id}"

        def set_password(libvirtd: libvirt.virConnect) -> tuple[str, int]:
            return open_screen(self._existing(libvirtd, instance_id), where, password, until)

        return self._connection.ask(f"setting the password of {where}'s screen", set_password, within=CHANGE)

    def host_keys(self, instance_id: str) -> Sequence[str]:
        """Read by qemu-guest-agent from where OpenSSH has them."""
        what = f"asking the guest of instance {instance_id} for its host keys"
        return self._connection.ask(what, lambda libvirtd: host_keys(self._existing(libvirtd, instance_id)), within=ASK)

    def guest_addresses(self, instance_id: str) -> Sequence[GuestNic] | None:
        """What qemu-guest-agent tells, asked over its channel. Raises `DomainNotFound`."""
        what = f"asking the guest of instance {instance_id}"
        return self._connection.ask(what, lambda libvirtd: ask_agent(self._existing(libvirtd, instance_id)), within=ASK)

    def endpoint(self) -> Endpoint:
        """Its URI, by which we get there."""
        kind = self._connection.ask("asking what it is", lambda libvirtd: libvirtd.getType())
        return Endpoint(kind, self._uri)

    def unmovable(self, instance_id: str, to: Endpoint) -> Sequence[str]:
        """Devices of its host, a machine or a CPU that there is not, a libvirt that is this one."""
        there = Connection(self._host.name, to.address).opened()

        def look(libvirtd: libvirt.virConnect) -> Sequence[str]:
            return tuple(unmovable(self._existing(libvirtd, instance_id), there.libvirtd, to.address))

        return self._connection.ask(f"looking at the domain of instance {instance_id}", look, within=CHANGE)

    def migrate(
        self, domain: Domain, to: Endpoint, *, copied: Sequence[Disk], tell: Callable[[Migration], None]
    ) -> None:
        """By libvirt's managed migration; disks go by NBD."""
        parse_domain_xml(self._host.name, domain)
        here, there = self._connection.opened(), Connection(self._host.name, to.address).opened()
        with self._connection.translated(f"migrating domain {domain.name} to {to.address}"):
            ours = self._existing(here.libvirtd, domain.instance_id)
            if not ours.isActive():
                raise ComputeError(f"{self._host.name}: the domain of instance {domain.instance_id} does not run")
            migrate(ours, there, (self._uri, to.address), domain.xml, copied, tell)

    def end_migration(self, instance_id: str) -> bool:
        """Abort its job, and wait for the end of it. A libvirtd that was started anew does not know who has gone."""
        what = f"ending a migration of instance {instance_id}"
        return self._connection.ask(what, lambda libvirtd: end(self._existing(libvirtd, instance_id)), within=CHANGE)

    def measure(self) -> Hypervisor:
        """What libvirt says of the node, and of its NUMA cells in its capabilities."""
        return self._connection.ask("measuring it", measured)

    def hand_made(self, name: str) -> HandMade | None:
        """As libvirt has it defined."""
        return self._connection.ask(f"looking at domain {name}", lambda libvirtd: hand_made(libvirtd, name))

    def forget_hand_made(self, domain_id: str) -> None:
        """Undefine it, unless it is somebody's or runs by now."""
        what = f"undefining domain {domain_id}"
        self._connection.ask(what, lambda libvirtd: forget(find(libvirtd, domain_id)), within=CHANGE)

    def list_domains(self) -> Sequence[DomainInfo]:
        """All domains that bear our tag, those of other installations left out."""

        def listed(libvirtd: libvirt.virConnect) -> Sequence[DomainInfo]:
            return tuple(info for domain in libvirtd.listAllDomains() if (info := self._info(domain)) is not None)

        return self._connection.ask("listing the domains", listed)

    def domain_uses(self) -> Sequence[DomainUse]:
        """What libvirt counts."""

        def look(libvirtd: libvirt.virConnect) -> Sequence[DomainUse]:
            running = libvirtd.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE)
            return tuple(use for domain in running if self._is_ours(domain) and (use := use_of(domain)) is not None)

        return self._connection.ask("measuring the domains", look)

    def watch(self, tell: Callable[[DomainEvent | Hearing], None]) -> Callable[[], None]:
        """libvirt's lifecycle events; a daemon that was lost is looked for every other second.

        Raises `ComputeError` where there is no daemon: who listened would keep everybody else from using it.
        """
        if "///embed" in self._uri:
            text = f"{self._host.name}: {self._uri} is one process's at a time; only a libvirt with a daemon is watched"
            raise ComputeError(text)

        def is_ours(libvirtd: libvirt.virConnect, instance_id: str) -> bool:
            return self._ours(libvirtd, instance_id) is not None

        return Events(self._uri, is_ours, tell).close

    def platform_for_instance(self, instance_id: str) -> Platform:
        """KVM once a guest has booted under it here, TCG otherwise; the console's log is beside the domain's XML."""
        acceleration = self._connection.ask("trying KVM", self._prover.acceleration, within=CHANGE)
        return Platform(
            acceleration,
            self._owner,
            self._definitions.console_log(instance_id),
            takes_files=self._connection.ask("asking for the capabilities", takes_files),
            news=self._prover.news(),
        )

    def write_definition(self, instance_id: str, xml: str) -> str:
        """Keep the domain XML in a file; gives its path. Raises `InvalidDomainXml` where it gives away what is ours."""
        check_not_ours(xml, self._state)
        return self._definitions.write(instance_id, xml)

    def delete_definition(self, instance_id: str) -> None:
        """Delete that file, and the console's log. Absent: nothing happens."""
        self._definitions.delete(instance_id)

    def read_definition(self, instance_id: str) -> str | None:
        """What that file says; None where there is none."""
        return self._definitions.read(instance_id)

    def list_definitions(self) -> Sequence[str]:
        """The ids of all instances whose domain XML is kept for this host."""
        return self._definitions.list()

    def macs_for_instance(self, instance_id: str) -> frozenset[str] | None:
        """None: any will do."""
        return None

    def dhcp_options_for_instance(self, instance_id: str) -> tuple[DhcpOption, ...]:
        """None are needed: guests boot from their disk or kernel."""
        return ()

    def _spawn(self, libvirtd: libvirt.virConnect, domain: Domain) -> None:
        present = find(libvirtd, domain.instance_id)
        if present is not None:
            self._check_ours(present)
            if present.isActive():
                return
        if missing := missing_medium(domain.xml, self._uri):
            raise ComputeError(f"{self._host.name}: the CD-ROM {missing} of domain {domain.name} is not there")
        defined = define(libvirtd, domain, self._host.name)
        try:
            defined.create()
        except libvirt.libvirtError:
            # Another thread's start may have been quicker, or the reply was lost: what runs is not made transient.
            if defined.isActive():
                return
            with suppress_code(libvirt.VIR_ERR_NO_DOMAIN):
                undefine(defined)
            raise

    def _ours(self, libvirtd: libvirt.virConnect, instance_id: str) -> libvirt.virDomain | None:
        domain = find(libvirtd, instance_id)
        return domain if domain is not None and self._is_ours(domain) else None

    def _check_ours(self, present: libvirt.virDomain) -> None:
        if not self._is_ours(present):
            raise ComputeError(f"{self._host.name}: a domain with the uuid {present.UUIDString()} exists already")

    def _is_ours(self, domain: libvirt.virDomain) -> bool:
        """Whether it bears our tag; or nobody's, and is what was defined here for its instance."""
        owner = owner_of(domain)
        return owner == self._owner if owner else was_defined_by(domain, self._definitions.read(domain.UUIDString()))

    def _existing(self, libvirtd: libvirt.virConnect, instance_id: str) -> libvirt.virDomain:
        domain = self._ours(libvirtd, instance_id)
        if domain is None:
            raise DomainNotFound(f"{self._host.name}: there is no domain of instance {instance_id}")
        return domain

    def _change(self, what: str, instance_id: str, change: Callable[[libvirt.virDomain], None]) -> None:
        self._connection.ask(what, lambda libvirtd: change(self._existing(libvirtd, instance_id)), within=CHANGE)

    def _info(self, domain: libvirt.virDomain) -> DomainInfo | None:
        """None where it is not ours, or went while we looked."""
        if not self._is_ours(domain):
            return None
        try:
            return info_of(domain, self._definitions.read(domain.UUIDString()))
        except libvirt.libvirtError as error:
            if has_code(error, libvirt.VIR_ERR_NO_DOMAIN):
                return None
            raise
