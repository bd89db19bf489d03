"""The drivers that a drill gives to every host, whatever its entry says: nothing outside the world is touched."""

from __future__ import annotations

import json
import os
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import msgspec
from msgspec.structs import replace

from slipway.drivers.compute.sim import SimCompute
from slipway.drivers.disk.sim import SimDisk
from slipway.drivers.network.embedded.driver import EmbeddedNetwork
from slipway.drivers.registry import Drivers, HostDrivers
from slipway.errors import GuestUnreachable
from slipway.model.hosted import HostedRouter
from slipway.model.machine import Lease, Vif, Wired
from slipway.model.network import DhcpOption, Port, SecurityGroupRule
from slipway.model.request import Host
from slipway.settings import Settings
from slipway.states.store import Store

if TYPE_CHECKING:
    import socket


class WiringFiles:
    """Taps, filters and DHCP entries are files `world/<host>/<kind>/<name>.json`: outside the record, as real ones."""

    local: ClassVar[bool] = False

    def __init__(self, host: Host, state: Path) -> None:
        """Nothing is made before the first tap."""
        self._directory = state.absolute() / "world" / host.name

    def nics(self) -> Sequence[str]:
        """None."""
        return ()

    def plug(self, instance_id: str, vif: Vif) -> None:
        """Make the tap, or make it again."""
        self._put("taps", vif.devname, instance_id=instance_id, bridge=vif.bridge)

    def check_plug(self, vif: Vif) -> None:
        """Do nothing: every network will do."""

    def refresh_tap(self, vif: Vif) -> None:
        """Do nothing: no more is kept of a tap than that it is there."""

    def tap_is_current(self, vif: Vif) -> bool:
        """Always: no more is kept of a tap than that it is there."""
        return True

    def unplug(self, instance_id: str, devname: str) -> None:
        """Delete the tap. Absent: nothing happens."""
        self._remove("taps", devname)

    def list_taps(self) -> Sequence[Wired]:
        """All taps, by name."""
        return self._list("taps")

    def apply_filter(self, instance_id: str, vif: Vif, rules: Sequence[SecurityGroupRule]) -> None:
        """Make the filter, or make it again."""
        self._put("filters", vif.port_id, instance_id=instance_id, rules=len(rules))

    def refresh_filter(self, vif: Vif, rules: Sequence[SecurityGroupRule]) -> None:
        """Do nothing: no more is kept of a filter than that it is there."""

    def filter_is_current(self, vif: Vif, rules: Sequence[SecurityGroupRule]) -> bool:
        """Always: no rules are kept."""
        return True

    def remove_filter(self, port_id: str) -> None:
        """Delete the filter. Absent: nothing happens."""
        self._remove("filters", port_id)

    def list_filters(self) -> Sequence[Wired]:
        """All filters, by their ports' ids; whose each is stands in its file alone, for who looks at what was left."""
        return [Wired(one.name, one.fault) for one in self._list("filters")]

    def serve_dhcp(self, instance_id: str, vif: Vif, server: Port) -> None:
        """Make the entry, or make it again."""
        self._put("dhcp", vif.port_id, instance_id=instance_id, network_id=vif.network_id, server=server.mac_address)

    def refresh_dhcp(self, vifs: Sequence[Vif], server: Port) -> None:
        """Do nothing: no more is kept of an entry than whose it is."""

    def outdated_dhcp(self, vifs: Sequence[Vif], server: Port) -> Sequence[str]:
        """None: no addresses are kept."""
        return ()

    def release_leases(self, network_id: str, port_id: str) -> None:
        """Do nothing: there is no guest that would have leased anything."""

    def withdraw_dhcp(self, network_id: str, port_id: str) -> None:
        """Delete the entry. Absent: nothing happens."""
        self._remove("dhcp", port_id)

    def check_dhcp_options(self, options: Sequence[DhcpOption]) -> None:
        """Take them all: there is no server."""

    def list_dhcp(self) -> Sequence[Wired]:
        """All entries, by their ports' ids."""
        return self._list("dhcp")

    def set_routers(self, wanted: Sequence[HostedRouter], *, anew: bool = False) -> None:
        """Make a file for each router, and take away those of all others."""
        names = {one.router.id: one for one in wanted}
        for there in self._list("routers"):
            if there.name not in names:
                self._remove("routers", there.name)
        for name, one in names.items():
            self._put("routers", name, says=msgspec.json.encode(one).decode())

    def list_routers(self, wanted: Sequence[HostedRouter]) -> Sequence[Wired]:
        """All routers, by their ids."""
        asked = {one.router.id: msgspec.json.encode(one).decode() for one in wanted}
        return [self._as_wanted(there, asked) for there in self._list("routers")]

    def _as_wanted(self, there: Wired, asked: Mapping[str, str]) -> Wired:
        if there.name not in asked:
            return there
        says = json.loads(self._file("routers", there.name).read_text()).get("says")
        other = asked[there.name] != says
        return replace(there, fault=there.fault or "it works by another record than there is now") if other else there

    def leases(self, vif: Vif) -> Sequence[Lease]:
        """None: there is no guest."""
        return ()

    def answers(self, vif: Vif, address: str, *, port: int | None) -> bool:
        """Never: there is no guest."""
        return False

    def connect(self, vif: Vif, address: str, port: int, *, within: float) -> socket.socket:
        """There is no guest. Raises `GuestUnreachable`."""
        raise GuestUnreachable("no guest is simulated that could be reached")

    def _put(self, kind: str, name: str, **content: str | int) -> None:
        (self._directory / kind).mkdir(parents=True, exist_ok=True)
        path = self._file(kind, name)
        # In one step, for others read meanwhile.
        mine = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
        mine.write_text(json.dumps(content))
        mine.replace(path)

    def _remove(self, kind: str, name: str) -> None:
        self._file(kind, name).unlink(missing_ok=True)

    def _list(self, kind: str) -> Sequence[Wired]:
        found = []
        for path in sorted((self._directory / kind).glob("*.json")):
            # Another one may just have taken it away.
            with suppress(FileNotFoundError):
                found.append(_wired(path))
        return found

    def _file(self, kind: str, name: str) -> Path:
        return self._directory / kind / f"{name}.json"


def _wired(path: Path) -> Wired:
    content = json.loads(path.read_text())
    return Wired(path.stem, content.get("fault", ""), content.get("network_id") or content.get("instance_id", ""))


class RemoteNetwork(EmbeddedNetwork):
    """The embedded network as if it were a service elsewhere, as Neutron is: it never gets our transaction.

    Unlike Neutron it brings no DHCP, so that hosts need servers, whose ports are made and taken back there.
    """

    local: ClassVar[bool] = False
    brings_dhcp: ClassVar[bool] = False


class SimulatedDrivers(Drivers):
    """The simulated hypervisor and disks, and wiring that is files, for each host."""

    def __init__(self, network: EmbeddedNetwork, state: Path, sleep: Callable[[float], None]) -> None:
        """`sleep` is what a host's `simulate: delay` uses."""
        super().__init__(network, state)
        self._sleep = sleep

    def make(self, host: Host) -> HostDrivers:
        """The three of them, whatever drivers the host names."""
        return HostDrivers(
            compute=SimCompute(host, self._state, sleep=self._sleep),
            wiring=WiringFiles(host, self._state),
            disk=SimDisk(host, self._state, sleep=self._sleep),
        )


def simulated_drivers(
    rng: random.Random, sleep: Callable[[float], None], *, remote_network: bool = False
) -> Callable[[Store, Settings, Path], Drivers]:
    """What makes such drivers; `rng` draws the MACs, so that a drill can be repeated."""
    network = RemoteNetwork if remote_network else EmbeddedNetwork

    def make(store: Store, settings: Settings, state: Path) -> Drivers:
        return SimulatedDrivers(network(store, settings, rng=rng), state, sleep)

    return make
