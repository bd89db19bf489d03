"""Neutron's JSON as our records, and our attributes as Neutron's JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeAlias, TypeVar

from msgspec import NODEFAULT, Struct
from msgspec.structs import FieldInfo, fields

from slipway.drivers.network.macs import spelled
from slipway.errors import HTTPBadRequest, TransientNetworkError
from slipway.model.network import (
    AddressPair,
    AllocationPool,
    DhcpOption,
    FixedIp,
    HostRoute,
    Network,
    Port,
    PortBinding,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
)
from slipway.model.neutron import FIXED_IP_KEYS
from slipway.model.routing import ExternalGateway, FloatingIp, PortForwarding, Route, Router, RouterInterface

Json: TypeAlias = Mapping[str, Any]
T = TypeVar("T", bound=Struct)

_NAMES = {
    "binding_host_id": "binding:host_id",
    "binding_vif_type": "binding:vif_type",
    "binding_vnic_type": "binding:vnic_type",
    "binding_profile": "binding:profile",
    "binding_vif_details": "binding:vif_details",
    "router_external": "router:external",
    "provider_network_type": "provider:network_type",
    "provider_physical_network": "provider:physical_network",
    "provider_segmentation_id": "provider:segmentation_id",
    "rules": "security_group_rules",
}
"""What Neutron spells otherwise than we do."""

_MEANS_SOMETHING = frozenset({"gateway_ip", "external_gateway_info", "port_id"})
"""Attributes of a request whose None is not "not given"."""


def network(answer: Json) -> Network:
    """A network; what only administrators see stays at its default for others."""
    return _made(Network, answer, subnets=tuple)


def subnet(answer: Json) -> Subnet:
    """A subnet."""
    return _made(
        Subnet,
        answer,
        allocation_pools=lambda pools: tuple(_made(AllocationPool, pool) for pool in pools),
        host_routes=lambda routes: tuple(_made(HostRoute, route) for route in routes),
        dns_nameservers=tuple,
        service_types=tuple,
    )


def port(answer: Json) -> Port:
    """A port; bindings are seen by administrators only."""
    return _made(
        Port,
        answer,
        fixed_ips=lambda ips: tuple(_made(FixedIp, ip) for ip in ips),
        security_groups=tuple,
        mac_address=_mac,
        allowed_address_pairs=lambda pairs: tuple(_made(AddressPair, pair, mac_address=_mac) for pair in pairs),
        extra_dhcp_opts=lambda options: tuple(_made(DhcpOption, option) for option in options),
        binding_profile=_json,
        binding_vif_details=_json,
    )


def binding(answer: Json) -> PortBinding:
    """One of a port's bindings."""
    return _made(PortBinding, answer, vif_details=_json)


def rule(answer: Json) -> SecurityGroupRule:
    """A rule of a security group."""
    return _made(SecurityGroupRule, answer)


def security_group(answer: Json) -> SecurityGroup:
    """A security group with its rules."""
    return _made(SecurityGroup, answer, rules=lambda rules: tuple(map(rule, rules)))


def router(answer: Json) -> Router:
    """A router."""
    return _made(
        Router,
        answer,
        external_gateway_info=lambda info: (
            _made(ExternalGateway, info, external_fixed_ips=_fixed_ips) if info else None
        ),
        routes=lambda routes: tuple(_made(Route, route) for route in routes),
    )


def router_interface(answer: Json) -> RouterInterface:
    """What was added to a router, or removed."""
    return _made(RouterInterface, answer, subnet_ids=tuple)


def floating_ip(answer: Json) -> FloatingIp:
    """A floating IP with its forwardings."""
    return _made(
        FloatingIp,
        answer,
        port_forwardings=lambda found: tuple(port_forwarding(each, str(answer["id"])) for each in found),
    )


def port_forwarding(answer: Json, floatingip_id: str) -> PortForwarding:
    """A forwarding; Neutron does not say of which floating IP, and with that one no ranges."""
    inside, outside = answer.get("internal_port"), answer.get("external_port")
    ranges = {"internal_port_range": f"{inside}:{inside}", "external_port_range": f"{outside}:{outside}"}
    single = {"internal_port": inside, "external_port": outside}
    return _made(PortForwarding, {**ranges, **answer, **single, "floatingip_id": floatingip_id})


def _fixed_ips(ips: Any) -> tuple[FixedIp, ...]:
    return tuple(_made(FixedIp, ip) for ip in ips)


def request(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of a request in Neutron's spelling, without those that were not given.

    Raises `HTTPBadRequest` for what Neutron would pass over in silence.
    """
    wanted = attributes.get("fixed_ips")
    for entry in wanted if isinstance(wanted, (list, tuple)) else ():
        if isinstance(entry, Mapping) and (unknown := [key for key in entry if key not in FIXED_IP_KEYS]):
            raise HTTPBadRequest(f"fixed_ips: unrecognized {unknown[0]!r} in {dict(entry)!r}")
    return {
        _NAMES.get(name, name): list(value) if isinstance(value, tuple) else value
        for name, value in attributes.items()
        if value is not None or name in _MEANS_SOMETHING
    }


def _made(kind: type[T], answer: Json, **conversions: Any) -> T:
    """A record of what Neutron says; what it does not say, or as null, is left to the default where there is one."""
    values = {}
    for field in _fields(kind):
        value = answer.get(_NAMES.get(field.name, field.name))
        if value is not None:
            values[field.name] = conversions.get(field.name, _same)(value)
        elif field.default is NODEFAULT:
            values[field.name] = _null(kind, answer, field)
    return kind(**values)


@cache
def _fields(kind: type[Struct]) -> tuple[FieldInfo, ...]:
    return fields(kind)


def _null(kind: type[object], answer: Json, field: FieldInfo) -> object:
    """Neutron's null; an answer that does not have the attribute at all is none of Neutron's."""
    if field.name not in answer:
        raise TransientNetworkError(f"Neutron's answer is no {kind.__name__.lower()}: it has no {field.name}")
    return answer[field.name]


def _same(value: Any) -> Any:
    return value


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _mac(value: str) -> str:
    """One spelling, which neither Neutrons before 2026.2 keep nor any one in pairs: domains are compared by it."""
    return spelled(value) or value
