"""Ways into guests that run: their consoles, and TCP connections to where their addresses are."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from slipway import errors
from slipway.drivers.compute.base import ComputeDriver
from slipway.drivers.registry import HostDrivers
from slipway.flows.tasks.base import Tools
from slipway.model.machine import PowerState, Vif
from slipway.model.neutron import ADMIN
from slipway.model.record import Instance
from slipway.operations import hostkeys
from slipway.operations.addresses import bound
from slipway.operations.limits import check_seconds
from slipway.states import hosts
from slipway.states.details import Details, details_of

_AGAIN = 0.5
"""Seconds after which a guest that does not answer yet is asked again."""


class Screen(Struct, frozen=True):
    """Where a guest's screen is seen by VNC, by which password, and until when that lets anybody in."""

    address: str
    port: int
    password: str
    valid_until: datetime


class Guest:
    """A guest that ran when it was looked up, at the address by which it is reached."""

    def __init__(self, instance: Instance, vif: Vif, address: str, drivers: HostDrivers) -> None:
        self.instance = instance
        self.address = address
        self._vif = vif
        self._drivers = drivers

    def connect(self, port: int, *, within: float = 5.0) -> socket.socket:
        """A TCP connection to a port of the guest. Raises `GuestUnreachable` after so many seconds, `WiringError`."""
        try:
            return self._drivers.wiring.connect(self._vif, self.address, port, within=within)
        except errors.GuestUnreachable as error:
            raise errors.GuestUnreachable(f"{self.instance.name}: {error}{self._to_let_in(port, error)}") from error

    def _to_let_in(self, port: int, error: errors.GuestUnreachable) -> str:
        """By which command its security group lets in who asked; "" where that was not in vain, or it has no group."""
        if error.asked_from is None or not self._vif.port_security_enabled or not self._vif.security_groups:
            return ""
        source = f"{error.asked_from}/{128 if ':' in error.asked_from else 32}"
        rule = f"rule add {self._vif.security_groups[0]} --protocol tcp --port {port} --from {source}"
        return f", asked from {error.asked_from}; where no rule lets that in: slipway security-group {rule}"


class Access:
    """Ways into the guests of instances, by name or id; nothing is changed by them."""

    def __init__(self, tools: Tools, state: Path) -> None:
        """`state`: the directory in which it is kept by which keys guests are known."""
        self._tools = tools
        self.state = state

    def open_console(self, name: str, *, project: str | None = None, force: bool = False) -> socket.socket:
        """The guest's first serial port as a socket, until that is closed or nothing more is to be read.

        One has it at a time; with `force` whoever has it loses it. Raises `InstanceNotFound`, `ConsoleUnavailable`.
        """
        with self._domain(name, project, "console") as (compute, instance_id):
            return compute.open_console(instance_id, force=force)

    def open_screen(self, name: str, *, project: str | None = None, valid: float = 600.0) -> Screen:
        """Have whoever knows a new password see the guest's screen by VNC within so many seconds.

        Raises `InstanceNotFound`, `ConsoleUnavailable`, and `ValueError` for what is no time.
        """
        check_seconds("valid", valid)
        password = secrets.token_urlsafe(6)
        until = self._tools.clock() + timedelta(seconds=valid)
        with self._domain(name, project, "screen") as (compute, instance_id):
            address, port = compute.open_screen(instance_id, password=password, until=until)
        return Screen(address, port, password, until)

    def guest(self, name: str, *, project: str | None = None) -> Guest:
        """The guest, at the first address of its ports. Raises `InstanceNotFound`, `GuestUnreachable`."""
        details = self._details(name, project)
        instance = details.instance
        if instance.host is None:
            raise errors.GuestUnreachable(f"instance {instance.name} is on no host")
        drivers = self._drivers(instance)
        state = drivers.compute.power_state(instance.id)
        if state is not PowerState.RUNNING:
            raise errors.GuestUnreachable(f"the guest of {instance.name} does not run: its domain is {state}")
        for vif in bound(details.effects):
            port = self._tools.drivers.network.show_port(ADMIN, vif.port_id)
            secured, groups = port.port_security_enabled, port.security_groups
            now = replace(vif, port_security_enabled=secured, security_groups=groups)
            for ip in port.fixed_ips:
                return Guest(instance, now, ip.ip_address, drivers)
        raise errors.GuestUnreachable(f"instance {instance.name} has no address by which its guest could be reached")

    def wait_for(self, name: str, port: int, *, project: str | None = None, within: float) -> Guest:
        """The guest once it answers at the port. Raises as `guest` and `Guest.connect` do after so many seconds."""
        guest = self.guest(name, project=project)
        give_up = self._tools.monotonic() + within
        while True:
            try:
                guest.connect(port).close()
            except errors.GuestUnreachable:
                if self._tools.monotonic() >= give_up:
                    raise
                self._tools.sleep(_AGAIN)
            else:
                return guest

    def host_keys(self, instance: Instance) -> tuple[str, ...]:
        """The public keys by which the guest's SSH server is known, and kept as known; empty where nothing tells.

        They are told by its console's log, where cloud-init writes them once, or its agent; or they were kept before.
        """
        compute = self._drivers(instance).compute
        found = hostkeys.in_log(compute.console_log(instance.id)) or hostkeys.legible(compute.host_keys(instance.id))
        if not found:
            return hostkeys.kept(self.state, instance.id)
        hostkeys.keep(self.state, instance.id, found)
        return found

    def _details(self, name: str, project: str | None) -> Details:
        with self._tools.store.read() as tx:
            return details_of(tx, name, project)

    def _drivers(self, instance: Instance) -> HostDrivers:
        with self._tools.store.read() as tx:
            return self._tools.drivers.on(hosts.get(tx, str(instance.host)))

    @contextmanager
    def _domain(self, name: str, project: str | None, has: str) -> Iterator[tuple[ComputeDriver, str]]:
        """Its driver, and by which id it is known there; what keeps it from having such a thing names the instance."""
        instance = self._details(name, project).instance
        if instance.host is None:
            raise errors.ConsoleUnavailable(f"instance {instance.name} is on no host: it has no {has}")
        compute = self._drivers(instance).compute
        try:
            yield compute, instance.id
        except errors.ConsoleUnavailable as error:
            raise errors.ConsoleUnavailable(f"instance {instance.name}: {error}") from error
