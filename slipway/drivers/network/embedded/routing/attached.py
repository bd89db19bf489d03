"""The ports of a router, and which subnets it may not lead to together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_network
from typing import Any

import sqlalchemy as sa

from slipway import errors
from slipway.drivers.network.embedded.common.owners import ROUTER_GATEWAY
from slipway.drivers.network.embedded.common.tables import allocations, ports, router_ports, subnets
from slipway.states.store import Transaction

_ATTACHED = (
    sa.select(
        router_ports.c.port_id,
        router_ports.c.port_type,
        ports.c.network_id,
        ports.c.device_owner,
        allocations.c.subnet_id,
        allocations.c.address,
        subnets.c.cidr,
    )
    .join_from(router_ports, ports)
    .outerjoin(allocations, allocations.c.port_id == ports.c.id)
    .outerjoin(subnets, subnets.c.id == allocations.c.subnet_id)
    .where(router_ports.c.router_id == sa.bindparam("router"))
    .order_by(ports.c.created_at, ports.c.id, allocations.c.position)
)
_OF_NETWORK = sa.select(subnets.c.id, subnets.c.cidr).where(subnets.c.network_id == sa.bindparam("network"))


def of(tx: Transaction, router_id: str) -> Sequence[Any]:
    """The router's ports, a row for each of their addresses; a port without any has one row that has none."""
    return tx.execute(_ATTACHED, {"router": router_id}).all()


def attach(tx: Transaction, router_id: str, port_id: str, port_type: str) -> None:
    """Put on record that the port is the router's."""
    tx.execute(router_ports.insert(), {"router_id": router_id, "port_id": port_id, "port_type": port_type})


def subnets_of(tx: Transaction, network_id: str) -> Mapping[str, str]:
    """The CIDRs of a network's subnets, by their ids."""
    return {row.id: row.cidr for row in tx.execute(_OF_NETWORK, {"network": network_id})}


def check_overlap(tx: Transaction, attached: Sequence[Any], new: Mapping[str, str]) -> None:
    """Raises `BadRequest` when the router leads to one of these subnets (id and CIDR) already, or to a part of one.

    To the network of its gateway it leads as a whole (Neutron: `_check_for_dup_router_subnets`).
    """
    known: dict[str, str] = {}
    for row in attached:
        if row.subnet_id is None:
            continue
        if row.subnet_id in new:
            raise errors.BadRequest(f"router: has a port on subnet {row.subnet_id} already")
        gateway = row.device_owner == ROUTER_GATEWAY
        known |= subnets_of(tx, row.network_id) if gateway else {row.subnet_id: row.cidr}
    for subnet_id, cidr in known.items():
        for new_id, new_cidr in new.items():
            if overlap(cidr, new_cidr):
                raise errors.BadRequest(
                    f"router: {new_cidr} of subnet {new_id} overlaps with {cidr} of subnet {subnet_id}"
                )


def overlap(one: str, other: str) -> bool:
    """Whether two CIDRs have an address in common."""
    first, second = ip_network(one), ip_network(other)
    return first.version == second.version and first.overlaps(second)
