"""Ports as rows: one statement reads a port with all that belongs to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from slipway.drivers.network.embedded.addressing.fixed_ips import Taken
from slipway.drivers.network.embedded.common.listing import IS_ADMIN, IS_VIEWER, usable
from slipway.drivers.network.embedded.common.tables import (
    allocations,
    damaged,
    from_hex,
    networks,
    port_security_groups,
    ports,
    security_groups,
    subnets,
)
from slipway.model.network import AddressPair, DhcpOption, FixedIp, Port

ADDRESSES = sa.func.aggregate_strings(
    sa.cast(allocations.c.position, sa.String)
    + "-"
    + sa.type_coerce(allocations.c.address, sa.String)
    + "-"
    + allocations.c.subnet_id,
    " ",
)
"""All allocations of a port in one text, each `POSITION-ADDRESS-SUBNET`."""
_addresses = sa.select(ADDRESSES).where(allocations.c.port_id == ports.c.id).scalar_subquery().label("addresses")
_groups = (
    sa.select(
        sa.func.aggregate_strings(
            sa.cast(port_security_groups.c.position, sa.String) + "-" + port_security_groups.c.security_group_id, " "
        )
    )
    .where(port_security_groups.c.port_id == ports.c.id)
    .scalar_subquery()
    .label("groups")
)

_segment = (
    networks.c.project_id.label("network_project"),
    networks.c.port_security_enabled.label("network_port_security"),
    networks.c.shared,
    networks.c.provider_network_type,
    networks.c.provider_physical_network,
    networks.c.provider_segmentation_id,
)

# For whom a row is: administrators, owners, and the owners of the network.
_seen = sa.or_(
    IS_ADMIN,
    ports.c.project_id == IS_VIEWER,
    networks.c.project_id == IS_VIEWER,
)
SELECT = sa.select(ports, _addresses, _groups, *_segment).join(networks).where(_seen)
SHOW = SELECT.where(ports.c.id == sa.bindparam("id"))
SHOW_LOCKED = SHOW.with_for_update(of=ports)

# The network of a new port, a row for each of its subnets; whether the port is there already, and the project's
# default security group, come along.
_existing = sa.select(ports.c.id).where(ports.c.id == sa.bindparam("port")).scalar_subquery()
_default_group = (
    sa.select(security_groups.c.id)
    .where(security_groups.c.project_id == sa.bindparam("project"), security_groups.c.name == "default")
    .scalar_subquery()
)


def _site(*conditions: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """A network, a row for each of its subnets for which these hold."""
    on = sa.and_(subnets.c.network_id == networks.c.id, *conditions)
    return (
        sa.select(
            *_segment,
            subnets.c.id.label("subnet_id"),
            subnets.c.cidr,
            subnets.c.ip_version,
            subnets.c.enable_dhcp,
            subnets.c.ipv6_ra_mode,
            subnets.c.ipv6_address_mode,
            subnets.c.service_types,
        )
        .outerjoin_from(networks, subnets, on)
        .where(networks.c.id == sa.bindparam("network"))
        .order_by(subnets.c.position)
    )


SUBNETS = _site()
# Of another project's subnets on its network a project gets no addresses unasked (Neutron: it does not see them).
SITE = (
    _site(usable(subnets.c.project_id))
    .add_columns(_existing.label("existing"), _default_group.label("default_group"))
    .where(usable(networks.c.project_id))
)


def with_subnets(rows: Sequence[Any]) -> Sequence[Any]:
    """The rows of `SITE` or `SUBNETS` that have a subnet; a network without any has one row that has none."""
    return [row for row in rows if row.subnet_id is not None]


def taken(row: sa.Row[Any]) -> list[Taken]:
    """The row's addresses, in their order."""
    return taken_of(row.addresses)


def taken_of(text: str | None) -> list[Taken]:
    """What a text of `ADDRESSES` says, in its order. Raises `RecordDamaged`."""
    parts = (item.split("-", 2) for item in (text or "").split())
    try:
        found = [Taken(subnet_id, from_hex(digits), int(position)) for position, digits, subnet_id in parts]
    except ValueError as error:
        raise damaged("addresses (position-address-subnet)", text) from error
    return sorted(found, key=lambda each: each.position)


def groups_of(row: sa.Row[Any]) -> tuple[str, ...]:
    """The row's security groups, in their order."""
    parts = [item.partition("-") for item in (row.groups or "").split()]
    try:
        return tuple(group for position, _, group in sorted(parts, key=lambda part: int(part[0])))
    except ValueError as error:
        raise damaged("security groups (position-group)", row.groups) from error


def from_row(row: sa.Row[Any]) -> Port:
    """The port of a row of `SELECT`."""
    return build(dict(row._mapping), taken(row), groups_of(row))


def build(values: Mapping[str, Any], addresses: Sequence[Taken], groups: tuple[str, ...]) -> Port:
    """The port of these column values, addresses and security groups."""
    return Port(
        id=values["id"],
        name=values["name"],
        network_id=values["network_id"],
        project_id=values["project_id"],
        mac_address=values["mac_address"],
        fixed_ips=tuple(FixedIp(each.subnet_id, str(each.address)) for each in addresses),
        device_id=values["device_id"],
        device_owner=values["device_owner"],
        status=values["status"],
        admin_state_up=values["admin_state_up"],
        security_groups=groups,
        port_security_enabled=values["port_security_enabled"],
        allowed_address_pairs=tuple(AddressPair(**pair) for pair in values["allowed_address_pairs"] or ()),
        extra_dhcp_opts=tuple(DhcpOption(**option) for option in values["extra_dhcp_opts"] or ()),
        dns_name=values["dns_name"],
        binding_host_id=values["binding_host_id"],
        binding_vif_type=values["binding_vif_type"],
        binding_vnic_type=values["binding_vnic_type"],
        binding_profile=msgspec.json.encode(values["binding_profile"] or {}).decode(),
        description=values["description"],
    )
