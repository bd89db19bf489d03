"""The linuxbridge driver: what Neutron's bridge agent and its DHCP agent do on a host, without an agent."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from slipway.drivers.wiring.linuxbridge.dhcp.servers import DhcpServers, check_options
from slipway.drivers.wiring.linuxbridge.filters import Filters
from slipway.drivers.wiring.linuxbridge.links import Links
from slipway.drivers.wiring.linuxbridge.namespace import exists
from slipway.drivers.wiring.linuxbridge.reach import dial, greets, pings
from slipway.model.machine import Lease, Vif, Wired
from slipway.model.network import DhcpOption, Port, SecurityGroupRule
from slipway.model.neutron import bridge_name
from slipway.model.request import Host

if TYPE_CHECKING:
    from slipway.drivers.wiring.linuxbridge.routers.routers import Routers
    from slipway.model.hosted import HostedRouter


class LinuxBridgeWiring:
    """Bridges and taps, filters in nftables, DHCP by dnsmasq; may be used by many threads and processes at once.

    All of it is in the network namespace of the host's entry, but for the DHCP servers, which have their own.
    """

    local: ClassVar[bool] = False

    def __init__(self, host: Host, state: Path, installation: str) -> None:
        self._netns = host.netns
        self._links = Links(host, state, installation)
        self._filters = Filters(host, state, installation)
        self._dhcp = DhcpServers(host, state, installation)
        self._given = host, state, installation

    @property
    def _has_routers(self) -> bool:
        return (self._given[1].absolute() / "routers").is_dir()

    @cached_property
    def _routers(self) -> Routers:
        """Loaded where there is one."""
        from slipway.drivers.wiring.linuxbridge.routers.routers import Routers

        return Routers(*self._given, self._links)

    def nics(self) -> Sequence[str]:
        """Links that are up, in nobody's bridge, and not made by us."""
        return self._links.nics()

    def plug(self, instance_id: str, vif: Vif) -> None:
        """Make the VIF's tap, its bridge and the bridge's uplink where they are not."""
        self._links.plug(instance_id, vif)

    def check_plug(self, vif: Vif) -> None:
        """Raises `WiringError` where the network's uplink cannot be had through the physical NIC."""
        self._links.check(vif)

    def refresh_tap(self, vif: Vif) -> None:
        """Give the VIF's tap and what it leads to the network's MTU. Absent: nothing happens."""
        self._links.refresh(vif)

    def tap_is_current(self, vif: Vif) -> bool:
        """Whether the VIF's tap has the network's MTU."""
        return self._links.is_current(vif)

    def unplug(self, instance_id: str, devname: str) -> None:
        """Delete the instance's tap, and the bridge when nothing else is in it. Absent: nothing happens."""
        self._links.unplug(devname, instance_id)

    def list_taps(self) -> Sequence[Wired]:
        """All taps of this installation, by name."""
        return self._links.list_taps()

    def apply_filter(self, instance_id: str, vif: Vif, rules: Sequence[SecurityGroupRule]) -> None:
        """Let through at the VIF's tap what port security and the rules allow, and nothing else."""
        self._filters.apply(instance_id, vif, rules)

    def refresh_filter(self, vif: Vif, rules: Sequence[SecurityGroupRule]) -> None:
        """Replace the port's filter where there is one. Absent: nothing happens."""
        self._filters.refresh(vif, rules)

    def filter_is_current(self, vif: Vif, rules: Sequence[SecurityGroupRule]) -> bool:
        """Whether what is kept of the port's filter is what they say."""
        return self._filters.is_current(vif, rules)

    def remove_filter(self, port_id: str) -> None:
        """Take the port's filter away, and the port out of the groups of the others. Absent: nothing happens."""
        self._filters.remove(port_id)

    def list_filters(self) -> Sequence[Wired]:
        """All filters of this host, by their ports' ids."""
        return self._filters.list()

    def serve_dhcp(self, instance_id: str, vif: Vif, server: Port) -> None:
        """Have the network's DHCP server on this host hand the VIF its addresses."""
        self._dhcp.serve(instance_id, vif, server)

    def refresh_dhcp(self, vifs: Sequence[Vif], server: Port) -> None:
        """Replace the entries that there are of these ports. Absent: nothing happens."""
        self._dhcp.refresh(vifs, server)

    def outdated_dhcp(self, vifs: Sequence[Vif], server: Port) -> Sequence[str]:
        """Those of these ports that the server was told something else of."""
        return self._dhcp.outdated(vifs, server)

    def release_leases(self, network_id: str, port_id: str) -> None:
        """Forget what the port's guest has leased."""
        self._dhcp.release(network_id, port_id)

    def withdraw_dhcp(self, network_id: str, port_id: str) -> None:
        """Release the port's lease and remove its entry, with the last one the server and bridge. Absent: nothing."""
        self._dhcp.withdraw(network_id, port_id)
        # The server's link may have been the last thing in the bridge, where an unplug could not wait for this.
        self._links.release_bridge(bridge_name(network_id))

    def check_dhcp_options(self, options: Sequence[DhcpOption]) -> None:
        """Try them with dnsmasq. Raises `InvalidInput` for those that it refuses, `WiringError` where it is absent."""
        check_options(options)

    def list_dhcp(self) -> Sequence[Wired]:
        """All ports that a server on this host serves, by id."""
        return self._dhcp.list()

    def set_routers(self, wanted: Sequence[HostedRouter], *, anew: bool = False) -> None:
        """Have just these routers on this host, each in a namespace of its own."""
        if wanted or self._has_routers:
            self._routers.set(wanted, anew=anew)

    def list_routers(self, wanted: Sequence[HostedRouter]) -> Sequence[Wired]:
        """All routers of this host, by id."""
        return self._routers.list(wanted) if self._has_routers else ()

    def leases(self, vif: Vif) -> Sequence[Lease]:
        """What the network's server on this host has written down for the port."""
        return tuple(lease for lease in self._dhcp.leases(vif.network_id) if lease.port_id == vif.port_id)

    def answers(self, vif: Vif, address: str, *, port: int | None) -> bool:
        """Whether the guest answers a ping, or as an SSH server at the port, from the DHCP server's namespace."""
        netns = self._dhcp.namespace(vif.network_id)
        return pings(netns, address) if port is None else greets(netns, address, port)

    def connect(self, vif: Vif, address: str, port: int, *, within: float) -> socket.socket:
        """As the host itself where it has an address there or nobody is served, else from where the DHCP server is."""
        way = self._dhcp.way_to(vif.network_id, address)
        return dial(way if exists(way) else self._netns, address, port, within=within)
