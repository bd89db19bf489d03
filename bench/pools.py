"""Subnets of several sizes, as full as wanted, with their free addresses together or scattered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

import sqlalchemy as sa

from slipway.drivers.network.embedded.common.tables import IpAddress, allocations, free_ranges
from slipway.drivers.network.embedded.driver import EmbeddedNetwork
from slipway.model.network import Context
from slipway.states.store import Store, Transaction

ADMIN = Context("demo", is_admin=True)


@dataclass(frozen=True, slots=True)
class Shape:
    """A subnet of which this part is taken: its lowest addresses, or every second one of `scattered` ones.

    The scattered addresses that are free were never given out, or were given back and rest.
    """

    cidr: str
    taken: float = 0
    scattered: int = 0
    resting: bool = False


SHAPES = {
    "/16, empty": Shape("10.0.0.0/16"),
    "/16, 50 % taken": Shape("10.0.0.0/16", 0.5),
    "/16, 90 % taken": Shape("10.0.0.0/16", 0.9),
    "/16, 99 % taken": Shape("10.0.0.0/16", 0.99),
    "/16, every second free": Shape("10.0.0.0/16", scattered=65_532),
    "/16, every second given back": Shape("10.0.0.0/16", scattered=65_532, resting=True),
    "/24, empty": Shape("10.0.0.0/24"),
    "/24, every second free": Shape("10.0.0.0/24", scattered=252),
    "/8, empty": Shape("10.0.0.0/8"),
    "IPv6 /64, dhcpv6-stateful": Shape("2001:db8::/64"),
}
"""The first one is what the others are compared with."""


class Pool:
    """A network with one subnet of this shape."""

    def __init__(self, driver: EmbeddedNetwork, store: Store, shape: Shape) -> None:
        cidr = ip_network(shape.cidr)
        modes = {"ipv6_ra_mode": "dhcpv6-stateful", "ipv6_address_mode": "dhcpv6-stateful"}
        self.network_id = driver.create_network(ADMIN, name="net").id
        subnet = driver.create_subnet(
            ADMIN,
            network_id=self.network_id,
            cidr=shape.cidr,
            ip_version=cidr.version,
            **(modes if cidr.version == 6 else {}),
        )
        self.subnet_id = subnet.id
        first, last = (ip_address(text) for text in (subnet.allocation_pools[0].start, subnet.allocation_pools[0].end))
        taken: Sequence[int] = range(int((int(last) - int(first) + 1) * shape.taken))
        if shape.scattered:
            taken = range(0, shape.scattered, 2)
        if taken:
            with store.write() as tx:
                _take(tx, self, driver, [first + number for number in taken])
                _free(tx, self.subnet_id, first, last, shape, len(taken))


def _take(tx: Transaction, pool: Pool, driver: EmbeddedNetwork, taken: Iterable[IpAddress]) -> None:
    """Give the addresses to one port, past all rules: a port for each would take minutes."""
    port = driver.create_port(ADMIN, network_id=pool.network_id, fixed_ips=[], tx=tx)
    rows = [
        {"subnet_id": pool.subnet_id, "address": address, "port_id": port.id, "position": position}
        for position, address in enumerate(taken)
    ]
    tx.execute(allocations.insert(), rows)


def _free(tx: Transaction, subnet_id: str, first: IpAddress, last: IpAddress, shape: Shape, taken: int) -> None:
    """Make the free ranges fit."""
    tx.execute(free_ranges.delete().where(free_ranges.c.subnet_id == subnet_id))
    rest = int(first) + (shape.scattered or taken)
    rows = [(type(first)(rest), last, 0)] if rest <= int(last) and not shape.resting else []
    rows += [
        (first + number, first + number, number if shape.resting else 0) for number in range(1, shape.scattered, 2)
    ]
    named = [dict(zip(("subnet_id", "first", "last", "given_back"), (subnet_id, *row), strict=True)) for row in rows]
    if named:
        tx.execute(sa.insert(free_ranges), named)
