"""Drivers by name: found through entry points, so that a user adds one without a fork; made once for each host."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from slipway.drivers.compute.base import ComputeDriver
from slipway.drivers.disk.base import DiskDriver
from slipway.drivers.names import installed, unknown
from slipway.drivers.network.base import NetworkDriver
from slipway.drivers.place import is_here, place_of, settle
from slipway.drivers.wiring.base import WiringDriver
from slipway.errors import HostElsewhere, UnknownDriver
from slipway.model.request import Host, Place


class HostDrivers(Struct, frozen=True):
    """The drivers of one host."""

    compute: ComputeDriver
    wiring: WiringDriver
    disk: DiskDriver


_NOVAS_NAMES = {"quantumv2", "neutronv2"}
"""A part of each path by which Nova has named its driver for Neutron."""


def driver_class(family: str, name: str) -> Any:
    """The driver's class; Nova's old names of its network driver mean `neutron` (N7).

    Raises `UnknownDriver`, naming those that are installed, or what this one needs besides.
    """
    if family == "network" and not _NOVAS_NAMES.isdisjoint(name.split(".")):
        name = "neutron"
    if text := unknown(family, name):
        raise UnknownDriver(text)
    try:
        return installed(family)[name].load()
    except ModuleNotFoundError as error:
        raise UnknownDriver(
            f"the {family} driver '{name}' needs the Python module {error.name}, which is not installed; "
            f"see docs/{'neutron' if family == 'network' else 'real-machines'}.md"
        ) from error


class Drivers:
    """The network driver, and each host's compute, wiring and disk drivers, made when first needed."""

    def __init__(self, network: NetworkDriver, state: Path, installation: str = "slipway") -> None:
        """`state`: the directory under which the hosts' drivers keep what is theirs.

        `installation`: the id that tells this record's domains and taps from those of another one on the same host.
        """
        self.network = network
        self._state = state
        self._installation = installation
        self.only: frozenset[str] | None = None
        """The hosts on which alone anything is done from here; None: on all that belong to this place."""
        self.served: Callable[[], frozenset[str]] | None = None
        """The hosts that instances may be placed on, as workers serve them; None: those that belong to this place."""
        self._hosts: dict[Host, HostDrivers] = {}
        self._lock = threading.Lock()

    def on(self, host: Host) -> HostDrivers:
        """The host's drivers. Raises `UnknownDriver`, and `HostElsewhere` where only another place may act on it."""
        with self._lock:
            if host not in self._hosts:
                self.check_here(host)
                # To whom it belongs makes no other host of it.
                plain = replace(host, place=None)
                self._hosts[host] = self._hosts[plain] = self._hosts.get(plain) or self.make(plain)
            return self._hosts[host]

    def check_here(self, host: Host) -> None:
        """Raise `HostElsewhere` for a host that belongs to another machine or state directory, or to another worker."""
        if self.only is not None and host.name not in self.only:
            raise HostElsewhere(f"host {host.name} is another worker's", host.name)
        if host.place is not None and not is_here(host, place_of(self._state)):
            raise HostElsewhere(
                f"host {host.name} belongs to state directory {host.place.directory} on {host.place.name}: act from "
                f"there, or, when nobody does so any more, have it here (slipway host take {host.name})",
                host.name,
            )

    def settle(self) -> Place:
        """This place, to which hosts are to belong from now on."""
        return settle(self._state)

    def make(self, host: Host) -> HostDrivers:
        """New drivers for the host; override it to inject your own."""
        given = (host, self._state, self._installation)
        return HostDrivers(
            compute=driver_class("compute", host.compute)(*given),
            wiring=driver_class("wiring", host.wiring)(*given),
            disk=driver_class("disk", host.disks)(*given),
        )
