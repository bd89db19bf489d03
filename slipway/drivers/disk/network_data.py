"""network_data.json of a config drive: OpenStack's words for what the NICs are told, see `network_config`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import ip_interface, ip_network
from typing import Any

from slipway.drivers.disk.network_config import Way, ways_of
from slipway.model.machine import Vif


def network_data(vifs: Sequence[Vif]) -> dict[str, Any]:
    """The data for a guest with these NICs, to be written as JSON."""
    routed: set[int] = set()
    ways = [(vif, way) for vif in vifs for way in ways_of(vif, routed)]
    servers = dict.fromkeys(server for _, way in ways for server in way.servers)
    return {
        "links": [_link(vif) for vif in vifs],
        "networks": [_network(f"network{number}", vif, way) for number, (vif, way) in enumerate(ways)],
        "services": [{"type": "dns", "address": server} for server in servers],
    }


def _link(vif: Vif) -> dict[str, Any]:
    return {
        "id": vif.devname,
        "vif_id": vif.port_id,
        "type": "bridge",
        "mtu": vif.mtu or None,
        "ethernet_mac_address": vif.mac_address.lower(),
    }


def _network(name: str, vif: Vif, way: Way) -> dict[str, Any]:
    said: dict[str, Any] = {"id": name, "link": vif.devname, "network_id": vif.network_id, "type": _type(way)}
    if way.address:
        own = ip_interface(way.address)
        said |= {"ip_address": str(own.ip), "netmask": str(own.netmask), "routes": list(_routes(way))}
    return said


def _type(way: Way) -> str:
    if way.version == 4:
        return "ipv4_dhcp" if way.dhcp else "ipv4"
    if way.dhcp:
        return "ipv6_dhcpv6-stateful"
    return way.slaac or ("ipv6" if way.address else "ipv6_slaac")


def _routes(way: Way) -> Iterator[dict[str, str]]:
    everywhere = "0.0.0.0/0" if way.version == 4 else "::/0"
    gateways = [(everywhere, way.gateway)] if way.gateway else []
    for destination, gateway in (*gateways, *way.routes):
        network = ip_network(destination)
        yield {"network": str(network.network_address), "netmask": str(network.netmask), "gateway": gateway}
