"""What SQLite has to do for an address: the same in every pool, however large, full or scattered. Exact, not timed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from typing import Any

import pytest
import sqlalchemy as sa

from slipway import errors
from slipway.drivers.network.embedded.common.tables import IpAddress, allocations, free_ranges
from slipway.drivers.network.embedded.driver import EmbeddedNetwork
from slipway.model.network import Context
from slipway.settings import Settings
from slipway.states.store import Store

pytestmark = pytest.mark.sqlite("counts the steps of SQLite's machine")
ADMIN = Context("demo", is_admin=True)
STATEFUL = {"ipv6_ra_mode": "dhcpv6-stateful", "ipv6_address_mode": "dhcpv6-stateful"}


@dataclass
class Work:
    """Statements, and the steps of SQLite's machine in them; a scan takes some for every row."""

    statements: int = 0
    steps: int = 0

    def step(self) -> int:
        self.steps += 1
        return 0

    def statement(self, *_: object) -> None:
        self.statements += 1


class Pool:
    """A network with one subnet, of which some addresses are taken."""

    def __init__(self, store: Store, cidr: str) -> None:
        self.store, self.work = store, Work()
        self.driver = EmbeddedNetwork(store, Settings(quota_port=-1))
        version = ip_address(cidr.partition("/")[0]).version
        self.network_id = self.driver.create_network(ADMIN, name="net").id
        modes: dict[str, Any] = STATEFUL if version == 6 else {}
        subnet = self.driver.create_subnet(
            ADMIN, network_id=self.network_id, cidr=cidr, ip_version=version, gateway_ip=None, **modes
        )
        self.subnet_id = subnet.id
        self.first, self.last = (
            ip_address(text) for text in (subnet.allocation_pools[0].start, subnet.allocation_pools[0].end)
        )
        self.make()
        with store.write() as tx:
            tx.connection.driver_connection.set_progress_handler(self.work.step, 1)  # type: ignore[union-attr]
        sa.event.listen(store.engine, "before_cursor_execute", self.work.statement)

    def fill(self, taken: range, free: list[tuple[IpAddress, IpAddress, int]]) -> None:
        """Have one port take these addresses, counted from the first, and leave these ranges free."""
        port = self.driver.create_port(ADMIN, network_id=self.network_id, fixed_ips=[])
        rows: list[dict[str, Any]] = [
            {"subnet_id": self.subnet_id, "address": self.first + n, "port_id": port.id, "position": n} for n in taken
        ]
        ranges = [dict(zip(("first", "last", "given_back"), each, strict=True)) for each in free]
        with self.store.write() as tx:
            tx.execute(sa.insert(allocations), rows)
            tx.execute(free_ranges.delete().where(free_ranges.c.subnet_id == self.subnet_id))
            if ranges:
                tx.execute(sa.insert(free_ranges), [each | {"subnet_id": self.subnet_id} for each in ranges])

    def make(self, **attributes: Any) -> str:
        return self.driver.create_port(ADMIN, network_id=self.network_id, **attributes).id

    def cost(self, call: Callable[[], object]) -> tuple[int, int]:
        self.work.statements = self.work.steps = 0
        call()
        return self.work.statements, self.work.steps


def empty(store: Store, cidr: str) -> Pool:
    return Pool(store, cidr)


def partly(store: Store, percent: int) -> Pool:
    pool = Pool(store, "10.0.0.0/18")
    count = 16_382 * percent // 100
    pool.fill(range(1, count), [(pool.first + count, pool.last, 0)])
    return pool


def every_second(store: Store, *, resting: bool) -> Pool:
    pool = Pool(store, "10.0.0.0/18")
    free = [(pool.first + n, pool.first + n, n if resting else 0) for n in range(2, 16_000, 2)]
    pool.fill(range(1, 16_000, 2), free)
    return pool


POOLS: dict[str, Callable[[Store], Pool]] = {
    "/24": lambda store: empty(store, "10.0.0.0/24"),
    "/16": lambda store: empty(store, "10.0.0.0/16"),
    "/8": lambda store: empty(store, "10.0.0.0/8"),
    "IPv6 /64": lambda store: empty(store, "2001:db8::/64"),
    "50 %": lambda store: partly(store, 50),
    "99 %": lambda store: partly(store, 99),
    "every second free": lambda store: every_second(store, resting=False),
    "every second resting": lambda store: every_second(store, resting=True),
}


def costs(pool: Pool) -> dict[str, tuple[int, int]]:
    made: list[str] = []
    automatic = pool.cost(lambda: made.append(pool.make()))
    given_back = pool.cost(lambda: pool.driver.delete_port(ADMIN, made.pop()))
    with pool.store.read() as tx:
        free = tx.scalars(sa.select(free_ranges.c.last).where(free_ranges.c.subnet_id == pool.subnet_id)).all()
    wanted = [{"ip_address": str(free[len(free) // 2])}]
    return {
        "automatic": automatic,
        "given back": given_back,
        "particular": pool.cost(lambda: pool.make(fixed_ips=wanted)),
    }


@pytest.mark.parametrize("kind", POOLS)
def test_an_address_costs_the_same_in_every_pool(kind: str, store: Store) -> None:
    base, found = costs(empty(store, "10.0.0.0/24")), costs(POOLS[kind](store))
    for what, (statements, steps) in found.items():
        assert statements == base[what][0] == (6 if what == "given back" else 7), what
        assert steps == pytest.approx(base[what][1], rel=0.2), (what, steps, base[what])


def refuse(pool: Pool) -> None:
    with pytest.raises(errors.IpAddressGenerationFailure):
        pool.make()


def test_no_address_left_is_said_at_once_in_every_pool(store: Store) -> None:
    found = []
    for cidr in ("10.0.0.0/28", "10.0.0.0/20"):
        pool = Pool(store, cidr)
        pool.fill(range(1, int(pool.last) - int(pool.first) + 1), [])
        found.append(pool.cost(partial(refuse, pool)))
    (statements, small), (same, large) = found
    assert statements == same == 4
    assert large == pytest.approx(small, rel=0.2)
