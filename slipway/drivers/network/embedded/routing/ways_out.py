"""Which router leads from a subnet to an external network."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from slipway import errors
from slipway.drivers.network.embedded.common.listing import one
from slipway.drivers.network.embedded.common.owners import ROUTER_GATEWAY, ROUTER_INTERFACES
from slipway.drivers.network.embedded.common.tables import allocations, ports, router_ports, routers, subnets
from slipway.drivers.network.embedded.routing import router_rows
from slipway.model.network import Context, Port
from slipway.states.store import Transaction

_gateway = ports.alias("gateway")
_leads_out = sa.and_(
    _gateway.c.device_id == router_ports.c.router_id,
    _gateway.c.network_id == sa.bindparam("external"),
    _gateway.c.device_owner == ROUTER_GATEWAY,
)
_ROUTERS = (
    sa.select(router_ports.c.router_id, allocations.c.address, subnets.c.gateway_ip)
    .join_from(router_ports, ports)
    .join(allocations, allocations.c.port_id == ports.c.id)
    .join(subnets, subnets.c.id == allocations.c.subnet_id)
    .join(routers, routers.c.id == router_ports.c.router_id)
    .join(_gateway, _leads_out)
    .where(
        ports.c.network_id == sa.bindparam("network"),
        allocations.c.subnet_id == sa.bindparam("subnet"),
        router_ports.c.port_type.in_(ROUTER_INTERFACES),
    )
    .order_by(routers.c.created_at, routers.c.id)
)
_HAS_GATEWAY = sa.select(ports.c.id).where(
    ports.c.device_id == sa.bindparam("router"),
    ports.c.network_id == sa.bindparam("external"),
    ports.c.device_owner == ROUTER_GATEWAY,
)


def router_for(tx: Transaction, port: Port, subnet_id: str, external_id: str) -> str:
    """The router from the port's subnet to the external network: the one with the gateway's address, or the oldest.

    Raises `ExternalGatewayForFloatingIPNotFound`.
    """
    asked = {"external": external_id, "network": port.network_id, "subnet": subnet_id}
    found: list[Any] = list(tx.execute(_ROUTERS, asked).all())
    if not found:
        raise errors.ExternalGatewayForFloatingIPNotFound(
            f"network {external_id} is not reached from subnet {subnet_id} of port {port.id}; "
            "add the subnet to a router with a gateway on the network"
        )
    first = next((row for row in found if row.address == row.gateway_ip), found[0])
    return str(first.router_id)


def check_router(tx: Transaction, context: Context, router_id: str, external_id: str) -> None:
    """Raises `RouterNotFound`, and `Conflict` where the router has no gateway on the external network."""
    if tx.execute(router_rows.SHOW, one(context, router_id)).first() is None:
        raise errors.RouterNotFound(f"router {router_id}: not found")
    if tx.execute(_HAS_GATEWAY, {"router": router_id, "external": external_id}).first() is None:
        raise errors.Conflict(f"floatingip: router {router_id} has no gateway on network {external_id}")
