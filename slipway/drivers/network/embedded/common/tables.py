"""The tables of the embedded network. Importing this module puts them on the record's metadata."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Any, TypeAlias

import msgspec
import sqlalchemy as sa

from slipway.errors import RecordDamaged
from slipway.states.schema import Counter, UtcTime, metadata, partial_index

IpAddress: TypeAlias = IPv4Address | IPv6Address


class Address(sa.TypeDecorator[IpAddress]):
    """An IP address as lower-case hexadecimal digits of fixed width: 8 for IPv4, 32 for IPv6.

    So the text of one subnet's addresses sorts as the addresses do, and an index serves ranges.
    """

    impl = sa.String(32)
    cache_ok = True

    def process_bind_param(self, value: IpAddress | None, _dialect: Any) -> str | None:
        """The digits for the database."""
        return None if value is None else value.packed.hex()

    def process_result_value(self, value: str | None, _dialect: Any) -> IpAddress | None:
        """The address again."""
        try:
            return None if value is None else from_hex(value)
        except (ValueError, TypeError) as error:
            raise damaged("an address", value) from error


def damaged(what: str, value: object) -> RecordDamaged:
    """The error of a value that none of Slipway's writes, put there by hand."""
    return RecordDamaged(f"the network service has {value!r} on record where {what} should be: put right that row")


def from_hex(digits: str) -> IpAddress:
    """The address that `Address` stored as these digits."""
    return IPv4Address(int(digits, 16)) if len(digits) == 8 else IPv6Address(int(digits, 16))


class Json(sa.TypeDecorator[Any]):
    """A small value that nothing is looked up by, as JSON text."""

    impl = sa.String
    cache_ok = True

    def process_bind_param(self, value: Any, _dialect: Any) -> str:
        """The text for the database."""
        return msgspec.json.encode(value).decode() if value else ""

    def process_result_value(self, value: str | None, _dialect: Any) -> Any:
        """The value again; nothing was stored for an empty one."""
        try:
            found = msgspec.json.decode(value) if value else None
        except (msgspec.MsgspecError, TypeError) as error:
            raise damaged("JSON", value) from error
        if not isinstance(found, (list, dict, type(None))):
            raise damaged("a list or an object", value)
        return found


networks = sa.Table(
    "networks",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("project_id", sa.String(255), nullable=False, index=True),
    sa.Column("name", sa.String(255), nullable=False, index=True),
    sa.Column("description", sa.String(255), nullable=False),
    sa.Column("admin_state_up", sa.Boolean, nullable=False),
    sa.Column("mtu", sa.Integer, nullable=False),
    sa.Column("port_security_enabled", sa.Boolean, nullable=False),
    sa.Column("shared", sa.Boolean, nullable=False),
    sa.Column("router_external", sa.Boolean, nullable=False),
    sa.Column("provider_network_type", sa.String(32)),
    sa.Column("provider_physical_network", sa.String(64)),
    sa.Column("provider_segmentation_id", sa.Integer),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("dns_domain", sa.String(255), nullable=False, server_default=""),
    sa.Column("host_address", sa.Boolean, nullable=False, server_default="0"),
)
# One segment is one network's: a VLAN on its physical network, a VNI anywhere, a flat network its physical one.
partial_index(
    "networks_segment",
    networks.c.provider_network_type,
    sa.func.coalesce(networks.c.provider_physical_network, ""),
    sa.func.coalesce(networks.c.provider_segmentation_id, 0),
    unique=True,
    where=networks.c.provider_network_type.in_(("flat", "vlan", "vxlan")),
)

subnets = sa.Table(
    "subnets",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("network_id", sa.ForeignKey("networks.id"), nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("project_id", sa.String(255), nullable=False, index=True),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("description", sa.String(255), nullable=False),
    sa.Column("ip_version", sa.Integer, nullable=False),
    sa.Column("cidr", sa.String(64), nullable=False),
    sa.Column("gateway_ip", Address),
    sa.Column("enable_dhcp", sa.Boolean, nullable=False),
    sa.Column("ipv6_ra_mode", sa.String(16)),
    sa.Column("ipv6_address_mode", sa.String(16)),
    sa.Column("dns_nameservers", Json, nullable=False),
    sa.Column("host_routes", Json, nullable=False),
    sa.Column("service_types", Json, nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.UniqueConstraint("network_id", "position"),
)

allocation_pools = sa.Table(
    "allocation_pools",
    metadata,
    sa.Column("subnet_id", sa.ForeignKey("subnets.id"), primary_key=True),
    sa.Column("first", Address, primary_key=True),
    sa.Column("last", Address, nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
)

# What is free within the pools. `given_back` is 0 for what may be given out at once; an address that was given back
# rests behind those, in a row of its own, in the order of this number.
free_ranges = sa.Table(
    "free_ranges",
    metadata,
    sa.Column("subnet_id", sa.ForeignKey("subnets.id"), primary_key=True),
    sa.Column("first", Address, primary_key=True),
    sa.Column("last", Address, nullable=False),
    sa.Column("given_back", Counter, nullable=False),
    sa.Index("free_ranges_order", "subnet_id", "given_back", "first"),
    sqlite_with_rowid=False,
)

ports = sa.Table(
    "ports",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("network_id", sa.ForeignKey("networks.id"), nullable=False),
    sa.Column("project_id", sa.String(255), nullable=False),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("description", sa.String(255), nullable=False),
    sa.Column("mac_address", sa.String(17), nullable=False),
    sa.Column("device_id", sa.String(255), nullable=False, index=True),
    sa.Column("device_owner", sa.String(255), nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("admin_state_up", sa.Boolean, nullable=False),
    sa.Column("port_security_enabled", sa.Boolean, nullable=False),
    sa.Column("dns_name", sa.String(255), nullable=False),
    sa.Column("allowed_address_pairs", Json, nullable=False),
    sa.Column("extra_dhcp_opts", Json, nullable=False),
    sa.Column("binding_host_id", sa.String(255), nullable=False),
    sa.Column("binding_vif_type", sa.String(64), nullable=False),
    sa.Column("binding_vnic_type", sa.String(64), nullable=False),
    sa.Column("binding_profile", Json, nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.UniqueConstraint("network_id", "mac_address"),
    sa.Index("ports_order", "created_at", "id"),
    sa.Index("ports_order_of_project", "project_id", "created_at", "id"),
    sa.Index("ports_order_of_network", "network_id", "created_at", "id"),
)

# The bindings that are ready for when their instance comes; the one that counts is the port's own. They go with it,
# without a statement more for each port that is deleted.
port_bindings = sa.Table(
    "port_bindings",
    metadata,
    sa.Column("port_id", sa.ForeignKey("ports.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("host", sa.String(255), primary_key=True),
    sa.Column("vif_type", sa.String(64), nullable=False),
)

allocations = sa.Table(
    "allocations",
    metadata,
    sa.Column("subnet_id", sa.ForeignKey("subnets.id"), primary_key=True),
    sa.Column("address", Address, primary_key=True, index=True),
    sa.Column("port_id", sa.ForeignKey("ports.id"), nullable=False, index=True),
    sa.Column("position", sa.Integer, nullable=False),
    sqlite_with_rowid=False,
)

security_groups = sa.Table(
    "security_groups",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("project_id", sa.String(255), nullable=False),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("description", sa.String(255), nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
)
sa.Index("security_groups_project", security_groups.c.project_id, security_groups.c.name)
partial_index(
    "security_groups_default",
    security_groups.c.project_id,
    unique=True,
    where=security_groups.c.name == "default",
)

security_group_rules = sa.Table(
    "security_group_rules",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("security_group_id", sa.ForeignKey("security_groups.id"), nullable=False, index=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("project_id", sa.String(255), nullable=False),
    sa.Column("direction", sa.String(8), nullable=False),
    sa.Column("ethertype", sa.String(8), nullable=False),
    sa.Column("protocol", sa.String(32)),
    sa.Column("port_range_min", sa.Integer),
    sa.Column("port_range_max", sa.Integer),
    sa.Column("remote_ip_prefix", sa.String(64)),
    sa.Column("remote_group_id", sa.ForeignKey("security_groups.id"), index=True),
    sa.Column("description", sa.String(255), nullable=False),
)

port_security_groups = sa.Table(
    "port_security_groups",
    metadata,
    sa.Column("port_id", sa.ForeignKey("ports.id"), primary_key=True),
    sa.Column("security_group_id", sa.ForeignKey("security_groups.id"), primary_key=True, index=True),
    sa.Column("position", sa.Integer, nullable=False),
    sqlite_with_rowid=False,
)

# What a project has of each resource, kept in the transaction that makes or deletes it; `hard_limit` overrides
# the setting.
quotas = sa.Table(
    "quotas",
    metadata,
    sa.Column("project_id", sa.String(255), primary_key=True),
    sa.Column("resource", sa.String(32), primary_key=True),
    sa.Column("used", sa.Integer, nullable=False),
    sa.Column("hard_limit", sa.Integer),
    sqlite_with_rowid=False,
)

routers = sa.Table(
    "routers",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("project_id", sa.String(255), nullable=False, index=True),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("description", sa.String(255), nullable=False),
    sa.Column("admin_state_up", sa.Boolean, nullable=False),
    sa.Column("enable_snat", sa.Boolean, nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
)

# A router's interfaces and its gateway. What a port says of itself may be changed through the port; this may not.
router_ports = sa.Table(
    "router_ports",
    metadata,
    sa.Column("port_id", sa.ForeignKey("ports.id"), primary_key=True),
    sa.Column("router_id", sa.ForeignKey("routers.id"), nullable=False, index=True),
    sa.Column("port_type", sa.String(255), nullable=False),
)
partial_index(
    "router_ports_gateway",
    router_ports.c.router_id,
    unique=True,
    where=router_ports.c.port_type == "network:router_gateway",
)

router_routes = sa.Table(
    "router_routes",
    metadata,
    sa.Column("router_id", sa.ForeignKey("routers.id"), primary_key=True),
    sa.Column("destination", sa.String(64), primary_key=True),
    sa.Column("nexthop", Address, primary_key=True),
)

floating_ips = sa.Table(
    "floating_ips",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("project_id", sa.String(255), nullable=False, index=True),
    sa.Column("description", sa.String(255), nullable=False),
    sa.Column("floating_network_id", sa.ForeignKey("networks.id"), nullable=False),
    sa.Column("floating_ip_address", Address, nullable=False),
    sa.Column("floating_port_id", sa.ForeignKey("ports.id"), nullable=False, unique=True),
    sa.Column("port_id", sa.ForeignKey("ports.id"), index=True),
    sa.Column("fixed_ip_address", Address),
    sa.Column("router_id", sa.ForeignKey("routers.id"), index=True),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("dns_name", sa.String(255), nullable=False),
    sa.Column("dns_domain", sa.String(255), nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    # A fixed address has one floating IP of a network at most.
    sa.UniqueConstraint("floating_network_id", "port_id", "fixed_ip_address"),
)

port_forwardings = sa.Table(
    "port_forwardings",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("floatingip_id", sa.ForeignKey("floating_ips.id"), nullable=False),
    sa.Column("protocol", sa.String(40), nullable=False),
    sa.Column("internal_port_id", sa.ForeignKey("ports.id"), nullable=False),
    sa.Column("internal_ip_address", Address, nullable=False),
    sa.Column("internal_first", sa.Integer, nullable=False),
    sa.Column("internal_last", sa.Integer, nullable=False),
    sa.Column("external_first", sa.Integer, nullable=False),
    sa.Column("external_last", sa.Integer, nullable=False),
    sa.Column("description", sa.String(255), nullable=False),
    sa.UniqueConstraint("floatingip_id", "protocol", "external_first", "external_last"),
    sa.UniqueConstraint("internal_port_id", "internal_ip_address", "protocol", "internal_first", "internal_last"),
)

TABLES = (
    networks,
    subnets,
    allocation_pools,
    free_ranges,
    ports,
    allocations,
    security_groups,
    security_group_rules,
    port_security_groups,
    port_bindings,
    quotas,
    routers,
    router_ports,
    router_routes,
    floating_ips,
    port_forwardings,
)
