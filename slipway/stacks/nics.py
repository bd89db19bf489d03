"""Which NICs an instance would get, and from where their addresses: what the build finds out before it makes a port."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

from msgspec import Struct

from slipway import errors
from slipway.drivers.network.base import NetworkDriver
from slipway.model.network import Context, Network, Subnet
from slipway.model.neutron import AUTO_ADDRESS_MODES
from slipway.model.request import InstanceRequest, NetworkRequest
from slipway.runfile.entries import NetworkEntry, RunFile, SubnetEntry
from slipway.states.store import Transaction


class PlannedNic(Struct, frozen=True):
    """A NIC as it would be: its network's name, its addresses or where they come from, and the port brought along.

    `static`: its guest is told its addresses at its first boot, as a subnet of it has no DHCP.
    """

    network: str
    addresses: tuple[str, ...]
    port: str | None = None
    static: bool = False


class PlannedNics:
    """Looks networks and ports up in the file, and in the network service where the file has none of that name."""

    def __init__(self, file: RunFile, driver: NetworkDriver, tx: Transaction | None) -> None:
        self._file, self._driver, self._tx = file, driver, tx
        self._user = Context(file.project)
        self._entries = {entry.name: entry for entry in file.networks}
        self._ports = {port.name: (entry, port) for entry in file.networks for port in entry.ports}
        self._subnets: Callable[[str], Sequence[Subnet | SubnetEntry]] = cache(self._subnets_on)

    def of(self, request: InstanceRequest) -> tuple[PlannedNic, ...]:
        """Those of an instance, in their order. Raises the `NetworkError` that its build would end with."""
        wanted = request.networks
        if wanted is None:
            wanted = tuple(NetworkRequest(network=name) for name in self.only(request.name))
        return tuple(self.nic(one) for one in wanted)

    def only(self, instance: str) -> Sequence[str]:
        """The only network there is, if any, for an instance that names none. Raises `NetworkAmbiguous`."""
        listed = self._driver.list_networks(self._user, tx=self._tx)
        there = [network.name for network in listed if network.shared or network.project_id == self._file.project]
        names = sorted({*there, *self._entries})
        if len(names) > 1:
            text = f"{instance} names no network and may use several: {', '.join(names)}"
            raise errors.NetworkAmbiguous(text)
        return names

    def nic(self, wanted: NetworkRequest) -> PlannedNic:
        """One that was asked for so. Raises a `NetworkError`."""
        if wanted.port is not None:
            return self._brought_along(wanted.port)
        assert wanted.network is not None
        subnets = self._subnets(wanted.network)
        return PlannedNic(self._called(wanted.network), _addresses(subnets, wanted.fixed_ip), static=_static(subnets))

    def _brought_along(self, name: str) -> PlannedNic:
        if name in self._ports:
            entry, port = self._ports[name]
            subnets = self._subnets(entry.name)
            return PlannedNic(entry.name, _addresses(subnets, port.fixed_ip), name, static=_static(subnets))
        listed = self._driver.list_ports(self._user, name=name, tx=self._tx)
        found = listed[0] if listed else self._driver.show_port(self._user, name, tx=self._tx)
        network = self._driver.show_network(self._user, found.network_id, tx=self._tx)
        return PlannedNic(network.name, tuple(ip.ip_address for ip in found.fixed_ips), name)

    def _called(self, name: str) -> str:
        return name if name in self._entries else self._network(name).name

    def _network(self, name: str) -> Network:
        named = self._driver.list_networks(self._user, name=name, tx=self._tx)
        own = [network for network in named if network.project_id == self._file.project]
        found = own or list(named)
        return found[0] if found else self._driver.show_network(self._user, name, tx=self._tx)

    def _subnets_on(self, name: str) -> Sequence[Subnet | SubnetEntry]:
        """The subnets that a network would have: those of the file, and those of others that are there."""
        entry: NetworkEntry | None = self._entries.get(name)
        mine = () if entry is None else entry.subnets
        try:
            network = self._network(name)
        except errors.NetworkNotFound:
            if entry is None:
                raise
            return mine
        names = {subnet.name for subnet in mine}
        there = self._driver.list_subnets(self._user, network_id=network.id, tx=self._tx)
        return [*mine, *(subnet for subnet in there if subnet.name not in names)]


def _addresses(subnets: Sequence[Subnet | SubnetEntry], fixed_ip: str | None) -> tuple[str, ...]:
    """One for each IP version, and one of each subnet in which addresses are made from the MAC (Neutron)."""
    made = [subnet for subnet in subnets if subnet.ipv6_address_mode in AUTO_ADDRESS_MODES]
    drawn = [[each.name for each in subnets if each not in made and each.ip_version == version] for version in (4, 6)]
    auto = [f"auto ({' or '.join(names)})" for names in drawn if names and fixed_ip is None]
    given = [fixed_ip] if fixed_ip is not None else []
    return (*given, *auto, *(f"auto ({subnet.name})" for subnet in made))


def _static(subnets: Sequence[Subnet | SubnetEntry]) -> bool:
    return any(not subnet.enable_dhcp for subnet in subnets)
