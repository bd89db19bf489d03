"""What cloud-init is told of a guest's NICs: its network config, version 2 where that says all, else version 1.

A NIC each by its MAC, called eth0, eth1, ... in the order in which they were asked for. The default route of each IP
version is left to the first NIC that has one: two would be in each other's way.

Version 2 cannot say SLAAC. Of a NIC that has nothing else cloud-init makes one that ifupdown does not bring up, and
that Red Hat's scripts give no IPv6. So a guest that has such an address is told all in version 1, as OpenStack does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import ip_address, ip_network
from typing import Any

from msgspec import Struct

from slipway.model.machine import Vif
from slipway.model.network import Subnet
from slipway.model.neutron import AUTO_ADDRESS_MODES, eui64
from slipway.model.routes import is_off_link, other_routes, way_out

_SLAAC = {"slaac": "ipv6_slaac", "dhcpv6-stateless": "ipv6_dhcpv6-stateless"}
"""cloud-init's words for how an address comes about that is made from the MAC."""


_SECOND = 1024
"""The metric of what DHCP says on a NIC that has not the default route; programs give theirs at most 1002 or so."""


def network_config(vifs: Sequence[Vif]) -> dict[str, Any]:
    """The config for a guest with these NICs, to be written as JSON."""
    routed: set[int] = set()
    nics = [(f"eth{number}", vif, ways_of(vif, routed)) for number, vif in enumerate(vifs)]
    if any(way.slaac for _, _, ways in nics for way in ways):
        return {"version": 1, "config": [_physical(name, vif, ways) for name, vif, ways in nics]}
    return {"version": 2, "ethernets": {name: _ethernet(name, vif, ways) for name, vif, ways in nics}}


class Way(Struct, frozen=True):
    """How the guest comes by one of its addresses, and what it is told with it.

    `slaac` is cloud-init's word where the guest makes the address itself; `address`, with its prefix length, is one
    that it is told. `gateway`: where its default route leads, if it is to have one by this. `off_link`: which of these
    next hops are not in the subnet. `second`: by DHCP, and another NIC has the default route.
    """

    version: int
    dhcp: bool = False
    second: bool = False
    advertised: bool = False
    slaac: str = ""
    address: str = ""
    gateway: str | None = None
    routes: tuple[tuple[str, str], ...] = ()
    off_link: frozenset[str] = frozenset()
    servers: tuple[str, ...] = ()


def addresses_of(vif: Vif) -> Iterator[tuple[str, Subnet]]:
    """The VIF's addresses, each with its subnet."""
    subnets = {subnet.id: subnet for subnet in vif.subnets}
    for ip in vif.fixed_ips:
        if ip.subnet_id in subnets:
            yield ip.ip_address, subnets[ip.subnet_id]


def ways_of(vif: Vif, routed: set[int]) -> Sequence[Way]:
    """How a guest comes by the VIF's addresses. `routed`: the IP versions whose default route an earlier NIC has; this
    one's are added."""
    return [_way(vif, address, subnet, routed) for address, subnet in addresses_of(vif)]


def _way(vif: Vif, address: str, subnet: Subnet, routed: set[int]) -> Way:
    version, mode, servers = subnet.ip_version, subnet.ipv6_address_mode, subnet.dns_nameservers
    gateway = way_out(subnet)
    second = version in routed
    if second:
        gateway = None
    elif gateway is not None:
        routed.add(version)
    if version == 4 and subnet.enable_dhcp:
        return Way(4, dhcp=True, second=second)
    if version == 6 and mode == "dhcpv6-stateful":
        return Way(6, dhcp=True, advertised=True)
    if version == 6 and mode in AUTO_ADDRESS_MODES:
        own = ip_address(address) == eui64(subnet.cidr, vif.mac_address)
        return Way(6, advertised=True, slaac=_SLAAC[mode] if own else "", servers=servers)
    routes = tuple((route.destination, route.nexthop) for route in other_routes(subnet))
    hops = {nexthop for _, nexthop in routes} | ({gateway} if gateway is not None else set())
    return Way(
        version,
        address=f"{address}/{ip_network(subnet.cidr).prefixlen}",
        gateway=gateway,
        routes=routes,
        off_link=frozenset(hop for hop in hops if is_off_link(subnet, hop)),
        servers=servers,
    )


def _ethernet(name: str, vif: Vif, ways: Sequence[Way]) -> dict[str, Any]:
    nic: dict[str, Any] = {"match": {"macaddress": vif.mac_address.lower()}, "set-name": name, "dhcp4": False}
    if vif.mtu > 0:
        nic["mtu"] = vif.mtu
    for way in ways:
        if way.dhcp:
            nic["dhcp4" if way.version == 4 else "dhcp6"] = True
        if way.second:
            # DHCP names no router there; where another server does, its route is not to be the one that counts.
            nic["dhcp4-overrides"] = {"route-metric": _SECOND}
        if way.advertised:
            nic |= {"dhcp6": nic.get("dhcp6", False), "accept-ra": True}
    routes = [_route(way, to, via) for way in ways for to, via in way.routes]
    for way in ways:
        if way.gateway is None:
            continue
        if way.version == 4:
            routes.append(_route(way, "0.0.0.0/0", way.gateway))
        elif way.gateway in way.off_link:
            routes.append(_route(way, "::/0", way.gateway))
        else:
            # Of a route to ::/0 cloud-init 22.4 makes one to ::/64, wherever it does not write for netplan.
            nic["gateway6"] = way.gateway
    servers = list(dict.fromkeys(server for way in ways for server in way.servers))
    said = {
        "addresses": [way.address for way in ways if way.address],
        "routes": routes,
        "nameservers": {"addresses": servers} if servers else None,
    }
    return nic | {key: value for key, value in said.items() if value}


def _route(way: Way, to: str, via: str) -> dict[str, Any]:
    return {"to": to, "via": via} | ({"on-link": True} if via in way.off_link else {})


def _physical(name: str, vif: Vif, ways: Sequence[Way]) -> dict[str, Any]:
    nic: dict[str, Any] = {"type": "physical", "name": name, "mac_address": vif.mac_address.lower()}
    if vif.mtu > 0:
        nic["mtu"] = vif.mtu
    if any(way.advertised for way in ways):
        nic["accept-ra"] = True
    return nic | {"subnets": [_subnet(way) for way in ways]}


def _subnet(way: Way) -> dict[str, Any]:
    kind = way.slaac
    if way.dhcp:
        kind = "dhcp4" if way.version == 4 else "ipv6_dhcpv6-stateful"
    said = {
        "address": way.address,
        "gateway": way.gateway if way.address else None,
        "routes": [{"destination": to, "gateway": via} for to, via in way.routes],
        "dns_nameservers": list(way.servers),
    }
    return {"type": kind or "static"} | {key: value for key, value in said.items() if value}
