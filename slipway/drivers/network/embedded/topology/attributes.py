"""The attributes of networks and subnets, in the order in which Neutron checks them.

Names are those of Neutron's API with `_` for `:`.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from slipway import errors
from slipway.drivers.network.embedded.addressing.addresses import Range
from slipway.drivers.network.embedded.common import checks
from slipway.drivers.network.embedded.common.checks import IpNetwork
from slipway.drivers.network.embedded.common.resource import REQUIRED, Attribute, Resource
from slipway.drivers.network.embedded.common.tables import IpAddress

_name = Attribute(checks.printable, "")
_description = Attribute(checks.text(), "")
_project = Attribute(checks.text(), put=False, none_is_unset=True)
_flag = checks.boolean

NETWORK = Resource(
    "network",
    {
        "name": _name,
        "admin_state_up": Attribute(_flag, True),
        "project_id": _project,
        "shared": Attribute(_flag, False),
        "mtu": Attribute(checks.non_negative, 0),
        "port_security_enabled": Attribute(_flag, True),
        "router_external": Attribute(_flag, False),
        "provider_network_type": Attribute(checks.text(), None, none_is_unset=True),
        "provider_physical_network": Attribute(checks.text(), None, none_is_unset=True),
        "provider_segmentation_id": Attribute(checks.integer, None, none_is_unset=True),
        "description": _description,
        "dns_domain": Attribute(checks.dns_domain, ""),
        "host_address": Attribute(_flag, False),
    },
    read_only=("id", "status", "subnets", "created_at"),
)


def _pools(value: Any, name: str) -> list[Range]:
    given = [] if value is None else value
    if not isinstance(given, (list, tuple)) or not all(isinstance(item, Mapping) for item in given):
        raise errors.InvalidInput(f"{name}: {value!r} is not a list of pools with start and end")
    pools = [checks.mapping(item, name, ("start", "end")) for item in given]
    return [Range(checks.address(pool["start"], name), checks.address(pool["end"], name)) for pool in pools]


def _nameservers(value: Any, name: str) -> list[IpAddress]:
    servers = [checks.address(item, name) for item in checks.items(value, name)]
    if len(set(servers)) != len(servers):
        raise checks.bad(name, f"a name server is named twice in {', '.join(map(str, servers))}")
    return servers


def routes(value: Any, name: str) -> list[tuple[IpNetwork, IpAddress]]:
    """A list of different routes (Neutron: `hostroutes`, for subnets and routers alike)."""
    found = []
    for item in checks.items(value, name):
        route = checks.mapping(item, name, ("destination", "nexthop"))
        destination = checks.network(route["destination"], name)
        if destination.is_loopback or _has_host_bits(route["destination"]):
            raise checks.bad(name, f"{route['destination']!r} is not a valid CIDR of a route")
        found.append((destination, checks.address(route["nexthop"], name)))
    if len(set(found)) != len(found):
        raise checks.bad(name, "a route is named twice")
    return found


def _has_host_bits(cidr: str) -> bool:
    return ip_address(cidr.partition("/")[0]) != checks.network(cidr, "destination").network_address


def _service_types(value: Any, name: str) -> list[str]:
    types = checks.items(value, name)
    for item in types:
        if not isinstance(item, str):
            raise errors.InvalidInputSubnetServiceType(f"{name}: {item!r} is not a string")
        if not item.startswith(("compute:", "network:", "neutron:")):
            raise errors.InvalidSubnetServiceType(f"{name}: {item!r} is no device owner")
        checks.text()(item, name)
    if len(set(types)) != len(types):
        raise checks.bad(name, f"a service type is named twice in {', '.join(types)}")
    return types


_MODES = checks.one_of("dhcpv6-stateful", "dhcpv6-stateless", "slaac")

SUBNET = Resource(
    "subnet",
    {
        "name": _name,
        "ip_version": Attribute(checks.ip_version, REQUIRED, put=False),
        "network_id": Attribute(checks.uuid_text, REQUIRED, put=False),
        "cidr": Attribute(checks.cidr, put=False),
        "gateway_ip": Attribute(checks.optional(checks.address)),
        "allocation_pools": Attribute(_pools, ()),
        "dns_nameservers": Attribute(_nameservers, ()),
        "host_routes": Attribute(routes, ()),
        "project_id": _project,
        "enable_dhcp": Attribute(_flag, True),
        "ipv6_ra_mode": Attribute(_MODES, None, put=False, none_is_unset=True),
        "ipv6_address_mode": Attribute(_MODES, None, put=False, none_is_unset=True),
        "service_types": Attribute(_service_types, ()),
        "description": _description,
    },
    read_only=("id", "shared", "created_at"),
)
