"""Drivers by name: found through entry points, so that a user adds one without a fork; made once for each host."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from slipway.drivers.compute.base import ComputeDriver
from slipway.drivers.disk.base import DiskDriver
from slipway.drivers.network.base import NetworkDriver
from slipway.drivers.wiring.base import WiringDriver
from slipway.errors import UnknownDriver
from slipway.model import Host


@dataclass(frozen=True, slots=True)
class HostDrivers:
    """The drivers of one host."""

    compute: ComputeDriver
    wiring: WiringDriver
    disk: DiskDriver


@cache
def _installed(family: str) -> dict[str, Any]:
    return {entry.name: entry for entry in entry_points(group=f"slipway.drivers.{family}")}


def driver_class(family: str, name: str) -> Any:
    """The driver's class. Raises `UnknownDriver`, naming those that are installed."""
    installed = _installed(family)
    if name not in installed:
        raise UnknownDriver(
            f"no {family} driver '{name}' is installed; there are: {', '.join(sorted(installed)) or 'none'}"
        )
    return installed[name].load()


class Drivers:
    """The network driver, and each host's compute, wiring and disk drivers, made when first needed."""

    def __init__(self, network: NetworkDriver, state: Path) -> None:
        """`state`: the directory under which the hosts' drivers keep what is theirs."""
        self.network = network
        self._state = state
        self._hosts: dict[Host, HostDrivers] = {}
        self._lock = threading.Lock()

    def on(self, host: Host) -> HostDrivers:
        """The host's drivers. Raises `UnknownDriver`."""
        with self._lock:
            if host not in self._hosts:
                self._hosts[host] = self.make(host)
            return self._hosts[host]

    def make(self, host: Host) -> HostDrivers:
        """New drivers for the host; override it to inject your own."""
        return HostDrivers(
            compute=driver_class("compute", host.compute)(host, self._state),
            wiring=driver_class("wiring", host.wiring)(host, self._state),
            disk=driver_class("disk", host.disks)(host, self._state),
        )
