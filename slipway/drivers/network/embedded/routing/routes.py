"""Static routes of routers (Neutron: `extraroute`)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from ipaddress import ip_network
from typing import TypeAlias

import sqlalchemy as sa

from slipway import errors
from slipway.drivers.network.embedded.common.checks import IpNetwork
from slipway.drivers.network.embedded.common.quotas import UNLIMITED, Quotas
from slipway.drivers.network.embedded.common.tables import IpAddress, allocations, ports, router_routes, subnets
from slipway.states.store import Transaction

RouteSet: TypeAlias = frozenset[tuple[str, IpAddress]]
"""Destinations in canonical form, each with a next hop."""

_mine = router_routes.c.router_id == sa.bindparam("router")
_SHOW = sa.select(router_routes.c.destination, router_routes.c.nexthop).where(_mine)
_CLEAR = router_routes.delete().where(_mine)
# What says of itself that it is the router's counts, as in Neutron.
_REACHED = (
    sa.select(subnets.c.cidr, allocations.c.address)
    .join_from(ports, allocations)
    .join(subnets)
    .where(ports.c.device_id == sa.bindparam("router"))
)


def of(tx: Transaction, router_id: str) -> RouteSet:
    """The router's routes."""
    return frozenset((row.destination, row.nexthop) for row in tx.execute(_SHOW, {"router": router_id}))


def as_set(given: Iterable[tuple[IpNetwork, IpAddress]]) -> RouteSet:
    """Routes that were asked for."""
    return frozenset((str(destination), nexthop) for destination, nexthop in given)


def put(tx: Transaction, quotas: Quotas, project: str, router_id: str, routes: RouteSet) -> None:
    """Give the router these routes, in place of those that it has. Raises `InvalidRoutes`, `OverQuota`."""
    check(tx, router_id, routes)
    limit = quotas.limit(tx, project, "router_route")
    if limit != UNLIMITED and len(routes) > limit:
        raise errors.OverQuota(f"router {router_id}: {len(routes)} routes are too many, router_route is {limit}")
    clear(tx, router_id)
    if routes:
        rows = [
            {"router_id": router_id, "destination": where, "nexthop": hop} for where, hop in sorted(routes, key=str)
        ]
        tx.execute(router_routes.insert(), rows)


def clear(tx: Transaction, router_id: str) -> None:
    """Take all routes of the router away."""
    tx.execute(_CLEAR, {"router": router_id})


def check(
    tx: Transaction,
    router_id: str,
    routes: RouteSet,
    cidrs: Collection[str] = (),
    addresses: Collection[IpAddress] = (),
) -> None:
    """Raises `InvalidRoutes` for a next hop that is on none of these CIDRs, or is one of these addresses.

    By default those of all ports that say that they are the router's.
    """
    if not cidrs and not addresses:
        reached = tx.execute(_REACHED, {"router": router_id}).all()
        cidrs, addresses = [row.cidr for row in reached], [row.address for row in reached]
    networks = [ip_network(cidr) for cidr in cidrs]
    for destination, nexthop in sorted(routes, key=str):
        if not any(nexthop in network for network in networks):
            raise errors.InvalidRoutes(f"routes: {destination}: {nexthop} is on no subnet that the router leads to")
        if nexthop in addresses:
            raise errors.InvalidRoutes(f"routes: {destination}: {nexthop} is the router's own address")
