"""What a run file says of a thing, as Neutron's attributes: to make it, to compare it, to change it."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from typing import Any

from slipway.drivers.network.embedded.addressing.subnet_rules import choose_pools
from slipway.model.network import AllocationPool, SecurityGroup, SecurityGroupRule, Subnet
from slipway.model.neutron import meaning
from slipway.runfile.entries import DEFAULT_GATEWAY, NetworkEntry, RuleEntry, SubnetEntry

HOST = (
    *("vcpus", "memory", "disk", "cpu_ratio", "memory_ratio", "disk_ratio", "zone", "enabled", "accel", "simulate"),
    "labels",
    "numa",
    *("compute", "wiring", "disks", "uri", "netns", "physical_nic"),
)
"""A host's attributes, but its name and place."""

GIVEN = frozenset(meaning(RuleEntry("egress", version)) for version in ("IPv4", "IPv6"))
"""The rules that each group has from the beginning: they let everything out (Neutron)."""


def network(entry: NetworkEntry) -> dict[str, Any]:
    """A network; what the file leaves open of its segment and its domain is not among it."""
    said = {
        "dns_domain": entry.dns_domain,
        "provider_network_type": entry.provider_network_type,
        "provider_physical_network": entry.provider_physical_network,
        "provider_segmentation_id": entry.provider_segmentation_id,
    }
    given = {name: value for name, value in said.items() if value is not None}
    return {
        "mtu": entry.mtu,
        "shared": entry.shared,
        "router_external": entry.external,
        "port_security_enabled": entry.port_security_enabled,
        "host_address": entry.host_address,
        **given,
    }


def new_subnet(entry: SubnetEntry) -> dict[str, Any]:
    """A subnet to make; what the file does not say is left to the network service."""
    said: dict[str, Any] = {
        "name": entry.name,
        "cidr": entry.cidr,
        "ip_version": entry.ip_version,
        "enable_dhcp": entry.enable_dhcp,
    }
    if entry.gateway_ip != DEFAULT_GATEWAY:
        said["gateway_ip"] = entry.gateway_ip
    for name, value in (
        ("allocation_pools", entry.pools),
        ("dns_nameservers", entry.dns),
        ("host_routes", entry.host_routes),
        ("ipv6_ra_mode", entry.ipv6_ra_mode),
        ("ipv6_address_mode", entry.ipv6_address_mode),
    ):
        if value:
            said[name] = as_request(value)
    return said


def subnet(entry: SubnetEntry, found: Subnet) -> dict[str, Any]:
    """A subnet that is there, as the file has it. A gateway that it does not name is left to the network service, and
    pools are then what they were made as: all addresses but the gateway."""
    wanted: dict[str, Any] = {
        "cidr": entry.cidr,
        "ipv6_ra_mode": entry.ipv6_ra_mode,
        "ipv6_address_mode": entry.ipv6_address_mode,
        "enable_dhcp": entry.enable_dhcp,
        "dns_nameservers": entry.dns,
        "host_routes": entry.host_routes,
    }
    gateway = found.gateway_ip if entry.gateway_ip == DEFAULT_GATEWAY else entry.gateway_ip
    wanted["gateway_ip"] = gateway
    if entry.pools:
        wanted["allocation_pools"] = entry.pools
    elif entry.ip_version == 4 and entry.cidr == found.cidr:
        whole = choose_pools((), ip_network(entry.cidr), None if gateway is None else ip_address(gateway))
        wanted["allocation_pools"] = tuple(AllocationPool(str(pool.first), str(pool.last)) for pool in whole)
    return wanted


def as_request(value: Any) -> Any:
    """A value in the shape of a request to the network service."""
    if isinstance(value, tuple):
        return [as_request(each) for each in value]
    fields = getattr(value, "__struct_fields__", None)
    return value if fields is None else {name: getattr(value, name) for name in fields}


def rule(entry: RuleEntry) -> Mapping[str, Any]:
    """A rule to make."""
    said = as_request(entry)
    return {name: value for name, value in said.items() if value is not None}


def said(group: SecurityGroup) -> frozenset[tuple[object, ...]]:
    """What the group's rules say, but for those about another group, of which no file speaks."""
    return frozenset(meaning(one) for one in group.rules if one.remote_group_id is None)


def rule_text(one: RuleEntry | SecurityGroupRule) -> str:
    """A rule in words: `ingress IPv4 tcp 80 from 0.0.0.0/0`."""
    first, last = one.port_range_min, one.port_range_max
    ports = "" if first is None else f" {first}" if first == last else f" {first}-{last}"
    peers = f" {'from' if one.direction == 'ingress' else 'to'} {one.remote_ip_prefix}" if one.remote_ip_prefix else ""
    return f"{one.direction} {one.ethertype} {one.protocol or 'any'}{ports}{peers}"
