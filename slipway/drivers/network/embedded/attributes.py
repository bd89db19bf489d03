"""The attributes of networks, subnets, ports and security groups, in the order in which Neutron checks them.

Names are those of Neutron's API with `_` for `:`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from slipway import errors
from slipway.drivers.network.embedded import checks
from slipway.drivers.network.embedded.addresses import Range
from slipway.drivers.network.embedded.checks import Check, IpNetwork
from slipway.drivers.network.embedded.fixedips import Wanted
from slipway.drivers.network.embedded.macs import canonical
from slipway.drivers.network.embedded.resource import REQUIRED, Attribute, Resource
from slipway.drivers.network.embedded.schema import IpAddress

MAX_ADDRESS_PAIRS = 10
MAY_BE_BLANK = ("router", "classless-static-route")
"""DHCP options whose empty value says something."""


_name = Attribute(checks.text(), "")
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
        "description": _name,
    },
    read_only=("id", "status", "subnets", "created_at"),
)


def _ip_version(value: Any, name: str) -> Any:
    return checks.one_of(4, 6)(checks.integer(value, name), name)


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


def _host_routes(value: Any, name: str) -> list[tuple[IpNetwork, IpAddress]]:
    routes = []
    for item in checks.items(value, name):
        route = checks.mapping(item, name, ("destination", "nexthop"))
        destination = checks.network(route["destination"], name)
        if destination.is_loopback or _has_host_bits(route["destination"]):
            raise checks.bad(name, f"{route['destination']!r} is not a valid CIDR of a route")
        routes.append((destination, checks.address(route["nexthop"], name)))
    if len(set(routes)) != len(routes):
        raise checks.bad(name, "a route is named twice")
    return routes


def _has_host_bits(cidr: str) -> bool:
    return ip_address(cidr.partition("/")[0]) != checks.network(cidr, "destination").network_address


def _service_types(value: Any, name: str) -> list[str]:
    types = checks.items(value, name)
    for item in types:
        if not isinstance(item, str):
            raise errors.InvalidInputSubnetServiceType(f"{name}: {item!r} is not a string")
        if not item.startswith(("compute:", "network:", "neutron:")):
            raise errors.InvalidSubnetServiceType(f"{name}: {item!r} is no device owner")
    if len(set(types)) != len(types):
        raise checks.bad(name, f"a service type is named twice in {', '.join(types)}")
    return types


_MODES = checks.one_of("dhcpv6-stateful", "dhcpv6-stateless", "slaac")

SUBNET = Resource(
    "subnet",
    {
        "name": _name,
        "ip_version": Attribute(_ip_version, REQUIRED, put=False),
        "network_id": Attribute(checks.uuid_text, REQUIRED, put=False),
        "cidr": Attribute(checks.cidr, put=False),
        "gateway_ip": Attribute(checks.optional(checks.address)),
        "allocation_pools": Attribute(_pools, ()),
        "dns_nameservers": Attribute(_nameservers, ()),
        "host_routes": Attribute(_host_routes, ()),
        "project_id": _project,
        "enable_dhcp": Attribute(_flag, True),
        "ipv6_ra_mode": Attribute(_MODES, None, put=False, none_is_unset=True),
        "ipv6_address_mode": Attribute(_MODES, None, put=False, none_is_unset=True),
        "service_types": Attribute(_service_types, ()),
        "description": _name,
    },
    read_only=("id", "shared", "created_at"),
)


def _fixed_ips(value: Any, name: str) -> list[Wanted]:
    if not isinstance(value, (list, tuple)):
        raise checks.bad(name, f"{value!r} is not a list")
    wanted, seen = [], set()
    for item in value:
        if not isinstance(item, Mapping):
            raise checks.bad(name, f"{item!r} is not a mapping with subnet_id or ip_address")
        given = item.get("ip_address")
        if "ip_address" in item and given in seen:
            raise checks.bad(name, f"{given!r} is named twice")
        seen.add(given)
        address = checks.address(given, name) if "ip_address" in item else None
        wanted.append(Wanted(checks.uuid_text(item["subnet_id"], name) if "subnet_id" in item else None, address))
    return wanted


def _dhcp_options(value: Any, name: str) -> list[dict[str, Any]]:
    try:
        given = [checks.mapping(item, name, ("opt_name", "opt_value"), ("ip_version",)) for item in _list(value, name)]
        options = [_dhcp_option(item, name) for item in given]
    except errors.HTTPBadRequest as error:
        raise errors.InvalidInput(str(error)) from error
    keys = [(option["opt_name"], option["ip_version"]) for option in options]
    if len(set(keys)) != len(keys):
        raise checks.bad(name, "an option is named twice")
    return options


def _dhcp_option(item: Mapping[str, Any], name: str) -> dict[str, Any]:
    option, value = item["opt_name"], item["opt_value"]
    may_be_blank = option in MAY_BE_BLANK
    checks.text(64)(option, name)
    if value is not None:
        checks.text()(value, name)
    for part in (option,) if may_be_blank or value is None else (option, value):
        if not part.strip() or len(part.splitlines()) > 1:
            raise checks.bad(name, f"{part!r} is blank or has several lines")
    return {"opt_name": option, "opt_value": value, "ip_version": _ip_version(item.get("ip_version", 4), name)}


def says_something(option: Mapping[str, Any]) -> bool:
    """Whether a DHCP option is to be kept: without a value only where that means something."""
    return option["opt_value"] is not None and bool(option["opt_value"] or option["opt_name"] in MAY_BE_BLANK)


def _list(value: Any, name: str) -> list[Any]:
    given = checks.items(value, name)
    if any(item in given[:index] for index, item in enumerate(given)):
        raise checks.bad(name, "an item is named twice")
    return given


def _address_pairs(value: Any, name: str) -> list[dict[str, str]]:
    given = checks.items(value, name)
    if len(given) > MAX_ADDRESS_PAIRS:
        raise errors.AllowedAddressPairExhausted(f"{name}: {len(given)} are too many, {MAX_ADDRESS_PAIRS} are allowed")
    pairs: list[dict[str, str]] = []
    for item in given:
        if not isinstance(item, Mapping):
            raise checks.bad(name, f"{item!r} is not a mapping with ip_address and mac_address")
        pair = {"mac_address": canonical(item["mac_address"])} if "mac_address" in item else {}
        if "ip_address" not in item:
            raise errors.AllowedAddressPairsMissingIP(f"{name}: {dict(item)!r} has no ip_address")
        checks.mapping(item, name, ("ip_address",), ("mac_address",))
        pair["ip_address"] = _pair_address(item["ip_address"], name)
        if pair in pairs:
            raise errors.DuplicateAddressPairInRequest(f"{name}: {item['ip_address']} is named twice")
        pairs.append(pair)
    return pairs


def _pair_address(value: Any, name: str) -> str:
    check: Check = checks.network if "/" in str(value) else checks.address
    check(value, name)
    return str(value)


def _mac(value: Any, _name: str) -> str | None:
    return None if value is None else canonical(value)


def _profile(value: Any, name: str) -> dict[str, Any]:
    if value is not None and not isinstance(value, Mapping):
        raise checks.bad(name, f"{value!r} is not a mapping")
    return dict(value or {})


def _host(value: Any, name: str) -> str:
    return checks.text()(value, name) if value else ""


_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")


def _dns_name(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise errors.InvalidInput(f"{name}: {value!r} is not a string")
    labels = value.lower().removesuffix(".").split(".")
    if value and not (all(map(_LABEL.fullmatch, labels)) and (len(labels) == 1 or not labels[-1].isdigit())):
        raise checks.bad(name, f"{value!r} is not a valid DNS name")
    return checks.text(256)(value.lower(), name)  # type: ignore[no-any-return]


VNIC_TYPES = (
    "normal",
    "direct",
    "macvtap",
    "baremetal",
    "direct-physical",
    "virtio-forwarder",
    "smart-nic",
    "vdpa",
    "accelerator-direct",
    "accelerator-direct-physical",
    "remote-managed",
)

PORT = Resource(
    "port",
    {
        "name": _name,
        "network_id": Attribute(checks.uuid_text, REQUIRED, put=False),
        "admin_state_up": Attribute(_flag, True),
        "mac_address": Attribute(_mac, None, none_is_unset=True),
        "fixed_ips": Attribute(_fixed_ips, None, none_is_unset=True),
        "device_id": _name,
        "device_owner": _name,
        "project_id": _project,
        "allowed_address_pairs": Attribute(_address_pairs, ()),
        "extra_dhcp_opts": Attribute(_dhcp_options, ()),
        "binding_vnic_type": Attribute(checks.one_of(*VNIC_TYPES), "normal"),
        "binding_host_id": Attribute(_host, ""),
        "binding_profile": Attribute(_profile, {}),
        "port_security_enabled": Attribute(_flag, None, none_is_unset=True),
        "dns_name": Attribute(_dns_name, ""),
        "description": _name,
        "security_groups": Attribute(checks.uuid_list, None, none_is_unset=True),
    },
    read_only=("id", "status", "binding_vif_type", "binding_vif_details", "created_at"),
)


SECURITY_GROUP = Resource(
    "security_group",
    {"name": _name, "project_id": _project, "description": _name},
    read_only=("id", "rules", "created_at"),
)


def _protocol(value: Any, name: str) -> str:
    word = str(value).lower()
    if word not in PROTOCOLS and not (word.isdigit() and int(word) <= 255):
        raise errors.InvalidInput(f"{name}: {value!r} is not a protocol name or a number of 0 to 255")
    return word


def _ethertype(value: Any, name: str) -> Any:
    return checks.one_of("IPv4", "IPv6")("IP" + value[2:] if isinstance(value, str) else value, name)


def _prefix(value: Any, name: str) -> str:
    return str(checks.network(value, name))


PROTOCOLS = (
    *("ah", "dccp", "egp", "esp", "gre", "hopopt", "icmp", "icmpv6", "igmp", "ip", "ipip", "ipv6-encap"),
    *("ipv6-frag", "ipv6-icmp", "ipv6-nonxt", "ipv6-opts", "ipv6-route", "ospf", "pgm", "rsvp", "sctp", "tcp"),
    *("udp", "udplite", "vrrp"),
)

SECURITY_GROUP_RULE = Resource(
    "security_group_rule",
    {
        "description": _name,
        "security_group_id": Attribute(checks.uuid_text, REQUIRED),
        "remote_group_id": Attribute(checks.optional(checks.uuid_text), None),
        "direction": Attribute(checks.one_of("ingress", "egress"), REQUIRED),
        "protocol": Attribute(checks.optional(_protocol), None),
        "port_range_min": Attribute(checks.optional(checks.integer), None),
        "port_range_max": Attribute(checks.optional(checks.integer), None),
        "ethertype": Attribute(_ethertype, "IPv4"),
        "remote_ip_prefix": Attribute(checks.optional(_prefix), None),
        "project_id": _project,
    },
    read_only=("id",),
)
