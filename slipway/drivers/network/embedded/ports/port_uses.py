"""What routers, floating IPs and forwardings use a port for, and what becomes of that when it changes or goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from slipway import errors
from slipway.drivers.network.embedded.addressing.fixed_ips import Wanted
from slipway.drivers.network.embedded.common.listing import viewer
from slipway.drivers.network.embedded.common.owners import FLOATING_IP, ROUTER_GATEWAY, ROUTER_INTERFACES
from slipway.drivers.network.embedded.common.quotas import Quotas
from slipway.drivers.network.embedded.common.tables import (
    IpAddress,
    floating_ips,
    port_forwardings,
    ports,
    router_ports,
    routers,
)
from slipway.drivers.network.embedded.ports import port_rows
from slipway.model.network import Context
from slipway.states.store import Transaction

_SERVICE_OWNERS = ("network:ha_router_replicated_interface", ROUTER_INTERFACES[0], ROUTER_GATEWAY)

_ROUTER = sa.select(routers.c.project_id).where(routers.c.id == sa.bindparam("device"))
_ANY_ROUTER = sa.select(routers.c.id).limit(1)
_FLOATING = sa.select(floating_ips.c.id).where(floating_ips.c.id == sa.bindparam("device"))
_FORWARDED = sa.select(port_forwardings.c.id).where(port_forwardings.c.floatingip_id == sa.bindparam("device")).limit(1)
_OF_PORT = sa.select(floating_ips.c.project_id, floating_ips.c.fixed_ip_address).where(
    floating_ips.c.port_id == sa.bindparam("port")
)
_SEEN_OF_PORT = _OF_PORT.where(
    sa.or_(sa.bindparam("admin", type_=sa.Boolean), floating_ips.c.project_id == sa.bindparam("viewer"))
).order_by(floating_ips.c.created_at, floating_ips.c.id)
_DISASSOCIATE = (
    floating_ips.update()
    .where(floating_ips.c.port_id == sa.bindparam("port"))
    .values(port_id=None, fixed_ip_address=None, router_id=None)
)
_FORWARDINGS = sa.select(
    port_forwardings.c.id, port_forwardings.c.floatingip_id, port_forwardings.c.internal_ip_address
).where(port_forwardings.c.internal_port_id == sa.bindparam("port"))
_DELETE_FORWARDING = port_forwardings.delete().where(port_forwardings.c.id == sa.bindparam("forwarding"))
_LET_GO = (
    floating_ips.update()
    .where(
        floating_ips.c.id == sa.bindparam("fip"),
        ~sa.exists().where(port_forwardings.c.floatingip_id == floating_ips.c.id),
    )
    .values(router_id=None)
)
_DETACH = router_ports.delete().where(router_ports.c.port_id == sa.bindparam("port"))
_OUTSIDE = sa.select(floating_ips.c.id, floating_ips.c.project_id).where(
    floating_ips.c.floating_port_id == sa.bindparam("port")
)
_DELETE_FORWARDINGS_OF = port_forwardings.delete().where(port_forwardings.c.floatingip_id == sa.bindparam("fip"))
_DELETE_FLOATING = floating_ips.delete().where(floating_ips.c.id == sa.bindparam("fip"))


def check_router(tx: Transaction, context: Context, device_owner: str, device_id: str, project_id: str) -> None:
    """Raises `DeviceIDNotOwnedByTenant` when a project's port would be that of another project's router."""
    if context.is_admin or not device_id or device_owner not in ROUTER_INTERFACES:
        return
    owner = tx.scalar(_ROUTER, {"device": device_id})
    # Neutron without routers lets nobody have a port of one; with routers, it looks whose the named one is.
    foreign = owner != project_id if owner is not None else tx.scalar(_ANY_ROUTER) is None
    if foreign:
        raise errors.DeviceIDNotOwnedByTenant(f"device_id: {device_id} is no router of project {project_id}")


def is_routers(tx: Transaction, row: sa.Row[Any]) -> bool:
    """Whether it is the interface of a router that is there: its IPv4 addresses stay."""
    return row.device_owner in ROUTER_INTERFACES and tx.scalar(_ROUTER, {"device": row.device_id}) is not None


def check_deletable(tx: Transaction, row: sa.Row[Any]) -> None:
    """Raises `ServicePortInUse` for the port of a router or floating IP that is there: it goes with that alone."""
    owner, device = row.device_owner, {"device": row.device_id}
    if owner == FLOATING_IP:
        used = tx.scalar(_FLOATING, device) is not None
    else:
        used = owner in _SERVICE_OWNERS and tx.scalar(_ROUTER, device) is not None
    if used:
        raise errors.ServicePortInUse(f"port {row.id}: is the {owner} of {row.device_id}, and is deleted with it")


def check_readdress(tx: Transaction, context: Context, port_id: str, wanted: Sequence[Wanted]) -> None:
    """Raises `BadRequest` where the port would lose the address that a floating IP stands for."""
    first = tx.execute(_SEEN_OF_PORT, {"port": port_id} | viewer(context)).first()
    if first is None or first.fixed_ip_address is None:
        return
    if all(each.address != first.fixed_ip_address for each in wanted):
        raise errors.BadRequest(f"port {port_id}: a floating IP stands for its address {first.fixed_ip_address}")


def let_go(tx: Transaction, context: Context, quotas: Quotas, row: sa.Row[Any]) -> None:
    """Take what a port that is to be deleted is used for away from it.

    Raises `FipInUseByPortForwarding`, and `FipAssociated` where a floating IP of it is another project's.
    """
    if row.device_owner == FLOATING_IP and tx.scalar(_FORWARDED, {"device": row.device_id}) is not None:
        raise errors.FipInUseByPortForwarding(f"floating IP {row.device_id}: forwards ports")
    if not row.used:
        return
    port = {"port": row.id}
    end_forwardings(tx, row.id, keep=())
    owners = {each.project_id for each in tx.execute(_OF_PORT, port)}
    if not context.is_admin and owners - {context.project_id}:
        raise errors.FipAssociated(f"port {row.id}: has a floating IP of another project")
    tx.execute(_DISASSOCIATE, port)
    tx.execute(_DETACH, port)
    for fip in tx.execute(_OUTSIDE, port).all():
        tx.execute(_DELETE_FORWARDINGS_OF, {"fip": fip.id})
        tx.execute(_DELETE_FLOATING, {"fip": fip.id})
        quotas.release(tx, fip.project_id, "floatingip")


def end_forwardings(tx: Transaction, port_id: str, keep: Sequence[IpAddress]) -> None:
    """End the forwardings to the port's addresses but those it keeps; a floating IP without any is on no router."""
    for each in tx.execute(_FORWARDINGS, {"port": port_id}).all():
        if each.internal_ip_address not in keep:
            tx.execute(_DELETE_FORWARDING, {"forwarding": each.id})
            tx.execute(_LET_GO, {"fip": each.floatingip_id})


TO_DELETE = port_rows.SHOW_LOCKED.add_columns(
    sa.or_(
        sa.exists().where(floating_ips.c.port_id == ports.c.id),
        sa.exists().where(floating_ips.c.floating_port_id == ports.c.id),
        sa.exists().where(port_forwardings.c.internal_port_id == ports.c.id),
        sa.exists().where(router_ports.c.port_id == ports.c.id),
    ).label("used")
)
"""A port that is to be deleted, with whether any of these use it: asked for at once, as most are not."""
