"""What a router tells the guests of its IPv6 subnets: that it is the way out (RFC 4861), by a dnsmasq of its own.

The network's DHCP server advertises the same prefixes, and is no way out.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_network

from slipway.drivers.wiring.linuxbridge.dhcp.config import IPV6_MTU, user
from slipway.drivers.wiring.linuxbridge.routers.place import inside_name
from slipway.model.hosted import HostedRouter
from slipway.model.machine import Vif
from slipway.model.network import Subnet

_INTERVAL, _LIFETIME = 200, 1800
"""Seconds between two advertisements, and for which the router is the way out (RFC 4861)."""

_MODES = {"slaac": "ra-only", "dhcpv6-stateless": "ra-stateless", "dhcpv6-stateful": "static"}


def configuration(hosted: HostedRouter) -> str:
    """The text of dnsmasq's configuration file; "" where there is nothing to advertise."""
    lines = [line for vif in hosted.inside for line in _of(vif)]
    return "".join(f"{line}\n" for line in [*_server(), *lines]) if lines else ""


def _server() -> Iterator[str]:
    yield "port=0"
    yield "bind-interfaces"
    yield "except-interface=lo"
    # It hands out no addresses: the DHCP server does.
    yield "dhcp-ignore=tag:!known"
    yield "enable-ra"
    yield from ("quiet-dhcp", "quiet-dhcp6", "quiet-ra")
    yield from user()


def _of(vif: Vif) -> Iterator[str]:
    subnets = [subnet for subnet in vif.subnets if subnet.ipv6_ra_mode in _MODES]
    if not subnets:
        return
    name = inside_name(vif.port_id)
    # The addresses of links may be of more routers than one: what is said goes by the link as well.
    yield f"# {name} {vif.mac_address} {' '.join(ip.ip_address for ip in vif.fixed_ips)}"
    yield f"interface={name}"
    mtu = f"mtu:{vif.mtu}," if vif.mtu >= IPV6_MTU else ""
    yield f"ra-param={name},{mtu}{_INTERVAL},{_LIFETIME}"
    for subnet in subnets:
        yield from _prefix(subnet)


def _prefix(subnet: Subnet) -> Iterator[str]:
    network = ip_network(subnet.cidr)
    tag = f"subnet-{subnet.id}"
    mode = _MODES[subnet.ipv6_ra_mode or ""]
    yield f"dhcp-range=set:{tag},{network.network_address.compressed},{mode},{network.prefixlen}"
    names = [ip_address(server).compressed for server in subnet.dns_nameservers if ":" in server]
    if names:
        yield f"dhcp-option=tag:{tag},option6:dns-server,{','.join(f'[{name}]' for name in names)}"
