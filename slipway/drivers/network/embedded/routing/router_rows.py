"""Routers as rows: one statement reads a router with its gateway and routes."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from slipway.drivers.network.embedded.common.listing import IS_ADMIN, IS_VIEWER
from slipway.drivers.network.embedded.common.owners import ROUTER_GATEWAY
from slipway.drivers.network.embedded.common.tables import (
    allocations,
    damaged,
    from_hex,
    ports,
    router_ports,
    router_routes,
    routers,
)
from slipway.drivers.network.embedded.ports import port_rows
from slipway.model.network import FixedIp
from slipway.model.routing import ExternalGateway, Route, Router

_gateway = sa.and_(router_ports.c.router_id == routers.c.id, router_ports.c.port_type == ROUTER_GATEWAY)
_gateway_network = (
    sa.select(ports.c.network_id)
    .join_from(router_ports, ports)
    .where(_gateway)
    .correlate(routers)
    .scalar_subquery()
    .label("gateway_network")
)
_gateway_addresses = (
    sa.select(port_rows.ADDRESSES)
    .join_from(router_ports, allocations, allocations.c.port_id == router_ports.c.port_id)
    .where(_gateway)
    .correlate(routers)
    .scalar_subquery()
    .label("gateway_addresses")
)
_routes = (
    sa.select(
        sa.func.aggregate_strings(
            router_routes.c.destination + "-" + sa.type_coerce(router_routes.c.nexthop, sa.String), " "
        )
    )
    .where(router_routes.c.router_id == routers.c.id)
    .scalar_subquery()
    .label("routes")
)
SELECT = sa.select(routers, _gateway_network, _gateway_addresses, _routes).where(
    sa.or_(IS_ADMIN, routers.c.project_id == IS_VIEWER)
)
SHOW = SELECT.where(routers.c.id == sa.bindparam("id"))
SHOW_LOCKED = SHOW.with_for_update(of=routers)


def from_row(row: sa.Row[Any]) -> Router:
    """The router of a row of `SELECT`."""
    gateway = None
    if row.gateway_network is not None:
        gateway = ExternalGateway(row.gateway_network, row.enable_snat, _addresses(row.gateway_addresses))
    return Router(
        id=row.id,
        name=row.name,
        project_id=row.project_id,
        admin_state_up=row.admin_state_up,
        external_gateway_info=gateway,
        routes=_read_routes(row.routes),
        description=row.description,
    )


def _addresses(text: str | None) -> tuple[FixedIp, ...]:
    return tuple(FixedIp(each.subnet_id, str(each.address)) for each in port_rows.taken_of(text))


def _read_routes(text: str | None) -> tuple[Route, ...]:
    parts = (item.split("-") for item in sorted((text or "").split()))
    try:
        return tuple(Route(destination, str(from_hex(digits))) for destination, digits in parts)
    except ValueError as error:
        raise damaged("routes (destination-nexthop)", text) from error
