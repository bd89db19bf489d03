"""Where a subnet's guests are to send what is for others, told alike by their seeds and by DHCP."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address, ip_network

from slipway.model.network import HostRoute, Subnet


def way_out(subnet: Subnet) -> str | None:
    """The default route's next hop: the first host route to everywhere says it, else the gateway. None: there is none.

    A guest with both would have two default routes, of which it takes either.
    """
    return next((route.nexthop for route in subnet.host_routes if _is_everywhere(route)), subnet.gateway_ip)


def other_routes(subnet: Subnet) -> Sequence[HostRoute]:
    """The host routes that lead somewhere."""
    return [route for route in subnet.host_routes if not _is_everywhere(route)]


def is_off_link(subnet: Subnet, nexthop: str) -> bool:
    """Whether a guest must be told that the next hop is on its link: the subnet has no such address."""
    hop = ip_address(nexthop)
    return hop not in ip_network(subnet.cidr) and not hop.is_link_local


def _is_everywhere(route: HostRoute) -> bool:
    return ip_network(route.destination).prefixlen == 0
