"""The keyword arguments of `Networks` about routers, floating IPs and port forwardings, as Neutron's API has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Required, TypedDict

from slipway.networks.attributes import FixedIpRequest, HostRouteRequest, Paging, Texts


class GatewayRequest(TypedDict, total=False):
    """A router's way out: an external network, and what addresses of it; `enable_snat` is true unless given."""

    network_id: Required[str]
    enable_snat: bool
    external_fixed_ips: Sequence[FixedIpRequest]


class NewRouter(TypedDict, total=False):
    """A router to make."""

    name: str
    description: str
    admin_state_up: bool
    external_gateway_info: GatewayRequest | None
    project_id: str


class RouterChanges(TypedDict, total=False):
    """What can be changed of a router. An `external_gateway_info` of None is no gateway; `routes` are all of them."""

    name: str
    description: str
    admin_state_up: bool
    external_gateway_info: GatewayRequest | None
    routes: Sequence[HostRouteRequest] | None


class RouterFilters(Paging, total=False):
    """Which routers to list."""

    id: Texts
    name: Texts
    description: Texts
    project_id: Texts
    admin_state_up: bool


class InterfaceRequest(TypedDict, total=False):
    """What a router is to lead to: a subnet, by its gateway's address, or the addresses of a port."""

    subnet_id: str
    port_id: str


class FloatingIpChanges(TypedDict, total=False):
    """What can be changed of a floating IP. A `port_id` of None, and no attribute at all, is no port (Neutron)."""

    port_id: str | None
    fixed_ip_address: str | None
    router_id: str | None
    description: str


class NewFloatingIp(FloatingIpChanges, total=False):
    """A floating IP to make."""

    floating_network_id: Required[str]
    floating_ip_address: str | None
    subnet_id: str | None
    dns_name: str
    dns_domain: str
    project_id: str


class FloatingIpFilters(Paging, total=False):
    """Which floating IPs to list."""

    id: Texts
    description: Texts
    project_id: Texts
    floating_network_id: Texts
    floating_ip_address: Texts
    fixed_ip_address: Texts
    port_id: Texts
    router_id: Texts
    status: Texts


class ForwardingChanges(TypedDict, total=False):
    """What can be changed of a port forwarding; ports are one number or `first:last` as a range."""

    protocol: str
    internal_port_id: str
    internal_ip_address: str
    internal_port: int
    external_port: int
    internal_port_range: str
    external_port_range: str
    description: str


class NewForwarding(TypedDict, total=False):
    """A port forwarding to make."""

    protocol: Required[str]
    internal_port_id: Required[str]
    internal_ip_address: Required[str]
    internal_port: int
    external_port: int
    internal_port_range: str
    external_port_range: str
    description: str


class ForwardingFilters(Paging, total=False):
    """Which forwardings of a floating IP to list."""

    id: Texts
    protocol: Texts
    internal_port_id: Texts
    description: Texts
