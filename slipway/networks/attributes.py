"""The keyword arguments of `Networks`: named and shaped as Neutron's API attributes are, with `_` for `:`.

What is not given is as Neutron has it; None is a value of its own where Neutron's API takes null. In filters a value
may be a list of several, of which one must match.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Required, TypeAlias, TypedDict

SortDir: TypeAlias = Literal["asc", "desc"]
Ipv6Mode: TypeAlias = Literal["slaac", "dhcpv6-stateful", "dhcpv6-stateless"]
Texts: TypeAlias = str | Sequence[str]
JsonValue: TypeAlias = "str | int | float | bool | Sequence[JsonValue] | Mapping[str, JsonValue] | None"


class Paging(TypedDict, total=False):
    """Which part of a list: at most `limit` (0: all) after the one with the id `marker`, ordered by `sort_key`."""

    limit: int
    marker: str
    sort_key: str
    sort_dir: SortDir


# --- networks -----------------------------------------------------------------------------------------------------


class NetworkChanges(TypedDict, total=False):
    """What can be changed of a network."""

    name: str
    description: str
    admin_state_up: bool
    mtu: int
    port_security_enabled: bool
    shared: bool
    router_external: bool
    dns_domain: str
    host_address: bool


class NewNetwork(NetworkChanges, total=False):
    """A network to make; an `mtu` of 0 is the largest one."""

    project_id: str
    provider_network_type: str | None
    provider_physical_network: str | None
    provider_segmentation_id: int | None


class NetworkFilters(Paging, total=False):
    """Which networks to list."""

    id: Texts
    name: Texts
    description: Texts
    project_id: Texts
    admin_state_up: bool
    mtu: int | Sequence[int]
    port_security_enabled: bool
    shared: bool
    router_external: bool
    dns_domain: Texts
    host_address: bool
    provider_network_type: Texts
    provider_physical_network: Texts
    provider_segmentation_id: int | Sequence[int]


# --- subnets ------------------------------------------------------------------------------------------------------


class PoolRequest(TypedDict):
    """The first and the last address that may be handed out automatically."""

    start: str
    end: str


class HostRouteRequest(TypedDict):
    """A route that DHCP hands out."""

    destination: str
    nexthop: str


class SubnetChanges(TypedDict, total=False):
    """What can be changed of a subnet; a `gateway_ip` of None is no gateway."""

    name: str
    description: str
    gateway_ip: str | None
    allocation_pools: Sequence[PoolRequest]
    dns_nameservers: Sequence[str] | None
    host_routes: Sequence[HostRouteRequest] | None
    enable_dhcp: bool
    service_types: Sequence[str] | None


class NewSubnet(SubnetChanges, total=False):
    """A subnet to make."""

    network_id: Required[str]
    ip_version: Required[int]
    cidr: Required[str]
    project_id: str
    ipv6_ra_mode: Ipv6Mode | None
    ipv6_address_mode: Ipv6Mode | None


class SubnetFilters(Paging, total=False):
    """Which subnets to list."""

    id: Texts
    name: Texts
    description: Texts
    project_id: Texts
    network_id: Texts
    ip_version: int
    cidr: Texts
    enable_dhcp: bool
    ipv6_ra_mode: Texts
    ipv6_address_mode: Texts


# --- ports --------------------------------------------------------------------------------------------------------


class FixedIpRequest(TypedDict, total=False):
    """An address of a port: this one, any one of this subnet, or this one of this subnet."""

    subnet_id: str
    ip_address: str


class AddressPairRequest(TypedDict, total=False):
    """An address or a CIDR that may be a source on a port besides its own; the MAC is the port's unless given."""

    ip_address: Required[str]
    mac_address: str


class DhcpOptionRequest(TypedDict, total=False):
    """A DHCP option by name; a value of None takes it away when a port is changed."""

    opt_name: Required[str]
    opt_value: Required[str | None]
    ip_version: int


class PortChanges(TypedDict, total=False):
    """What can be changed of a port. `fixed_ips` says all that it has then; a `binding_host_id` of "" unbinds it."""

    name: str
    description: str
    admin_state_up: bool
    mac_address: str | None
    fixed_ips: Sequence[FixedIpRequest]
    device_id: str
    device_owner: str
    security_groups: Sequence[str] | None
    port_security_enabled: bool
    allowed_address_pairs: Sequence[AddressPairRequest] | None
    extra_dhcp_opts: Sequence[DhcpOptionRequest] | None
    dns_name: str
    binding_host_id: str
    binding_vnic_type: str
    binding_profile: Mapping[str, JsonValue] | None


class NewPort(PortChanges, total=False):
    """A port to make."""

    network_id: Required[str]
    project_id: str


class PortFilters(Paging, total=False):
    """Which ports to list; `ip_address`, a part of one, `subnet_id` and `security_group` are any of a port's."""

    id: Texts
    name: Texts
    description: Texts
    project_id: Texts
    network_id: Texts
    mac_address: Texts
    device_id: Texts
    device_owner: Texts
    status: Texts
    admin_state_up: bool
    port_security_enabled: bool
    dns_name: Texts
    binding_host_id: Texts
    binding_vif_type: Texts
    binding_vnic_type: Texts
    ip_address: str
    ip_address_substr: Texts
    subnet_id: str
    security_group: str


# --- security groups and quotas -----------------------------------------------------------------------------------


class SecurityGroupChanges(TypedDict, total=False):
    """What can be changed of a security group."""

    name: str
    description: str


class NewSecurityGroup(SecurityGroupChanges, total=False):
    """A security group to make."""

    project_id: str


class SecurityGroupFilters(Paging, total=False):
    """Which security groups to list."""

    id: Texts
    name: Texts
    description: Texts
    project_id: Texts


class NewSecurityGroupRule(TypedDict, total=False):
    """A rule to make; `port_range_min` and `port_range_max` are type and code where the protocol is ICMP."""

    security_group_id: Required[str]
    direction: Required[Literal["ingress", "egress"]]
    ethertype: Literal["IPv4", "IPv6"]
    protocol: str | int | None
    port_range_min: int | None
    port_range_max: int | None
    remote_ip_prefix: str | None
    remote_group_id: str | None
    description: str
    project_id: str


class SecurityGroupRuleFilters(Paging, total=False):
    """Which rules to list."""

    id: Texts
    project_id: Texts
    security_group_id: Texts
    direction: Texts
    ethertype: Texts
    protocol: Texts
    port_range_min: int | Sequence[int]
    port_range_max: int | Sequence[int]
    remote_ip_prefix: Texts
    remote_group_id: Texts
    description: Texts


class QuotaLimits(TypedDict, total=False):
    """How much a project may have; -1 is no limit."""

    network: int
    subnet: int
    port: int
    security_group: int
    security_group_rule: int
    router: int
    floatingip: int
    router_route: int
