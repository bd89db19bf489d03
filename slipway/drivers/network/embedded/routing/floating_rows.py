"""Floating IPs and port forwardings as rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from slipway.drivers.network.embedded.common.listing import IS_ADMIN, IS_VIEWER
from slipway.drivers.network.embedded.common.tables import floating_ips, port_forwardings
from slipway.model.routing import FloatingIp, PortForwarding
from slipway.states.store import Transaction

SELECT = sa.select(floating_ips).where(sa.or_(IS_ADMIN, floating_ips.c.project_id == IS_VIEWER))
SHOW = SELECT.where(floating_ips.c.id == sa.bindparam("id"))
SHOW_LOCKED = SHOW.with_for_update(of=floating_ips)

FORWARDINGS = (
    sa.select(port_forwardings).join(floating_ips).where(sa.or_(IS_ADMIN, floating_ips.c.project_id == IS_VIEWER))
)
_OF = (
    sa.select(port_forwardings)
    .where(port_forwardings.c.floatingip_id.in_(sa.bindparam("ids", expanding=True)))
    .order_by(port_forwardings.c.protocol, port_forwardings.c.external_first, port_forwardings.c.id)
)


def from_rows(tx: Transaction, rows: Sequence[sa.Row[Any]]) -> tuple[FloatingIp, ...]:
    """The floating IPs of rows of `SELECT`, each with its forwardings."""
    forwardings: dict[str, list[PortForwarding]] = {row.id: [] for row in rows}
    if rows:
        for row in tx.execute(_OF, {"ids": list(forwardings)}):
            forwardings[row.floatingip_id].append(forwarding(row))
    return tuple(_floating(row, forwardings[row.id]) for row in rows)


def _floating(row: sa.Row[Any], forwardings: Sequence[PortForwarding]) -> FloatingIp:
    return FloatingIp(
        id=row.id,
        project_id=row.project_id,
        floating_network_id=row.floating_network_id,
        floating_ip_address=str(row.floating_ip_address),
        port_id=row.port_id,
        fixed_ip_address=None if row.fixed_ip_address is None else str(row.fixed_ip_address),
        router_id=row.router_id,
        status=row.status,
        dns_name=row.dns_name,
        dns_domain=row.dns_domain,
        port_forwardings=tuple(forwardings),
        description=row.description,
    )


def forwarding(row: sa.Row[Any]) -> PortForwarding:
    """The forwarding of a row of `port_forwardings`."""
    return PortForwarding(
        id=row.id,
        floatingip_id=row.floatingip_id,
        protocol=row.protocol,
        internal_port_id=row.internal_port_id,
        internal_ip_address=str(row.internal_ip_address),
        internal_port=row.internal_first if row.internal_first == row.internal_last else None,
        external_port=row.external_first if row.external_first == row.external_last else None,
        internal_port_range=f"{row.internal_first}:{row.internal_last}",
        external_port_range=f"{row.external_first}:{row.external_last}",
        description=row.description,
    )
