"""Free ranges: taken from the lowest, split, merged; found by index whatever their number; and EUI-64."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

import pytest
import sqlalchemy as sa

from slipway.drivers.network.embedded.addressing import addresses
from slipway.drivers.network.embedded.addressing.addresses import Range, gaps
from slipway.drivers.network.embedded.common.tables import free_ranges
from slipway.drivers.network.embedded.driver import EmbeddedNetwork
from slipway.model.network import Context
from slipway.states.store import Store, Transaction


class Pool:
    """A subnet with one pool, in an open transaction."""

    def __init__(self, tx: Transaction, subnet_id: str) -> None:
        self.tx, self.subnet_id = tx, subnet_id

    def next(self) -> str:
        return str(addresses.take_next(self.tx, self.subnet_id))

    def take(self, *wanted: str) -> None:
        for address in wanted:
            addresses.take(self.tx, self.subnet_id, ip_address(address))

    def give_back(self, *taken: str) -> None:
        for address in taken:
            addresses.give_back(self.tx, self.subnet_id, ip_address(address))

    def free(self) -> list[str]:
        rows = self.tx.execute(sa.select(free_ranges.c.first, free_ranges.c.last).order_by(free_ranges.c.first))
        return [f"{first}-{last}" for first, last in rows]


def pool_of(driver: EmbeddedNetwork, store: Store, **attributes: Any) -> Iterator[Pool]:
    admin = Context("demo", is_admin=True)
    network = driver.create_network(admin, name="net")
    subnet = driver.create_subnet(admin, network_id=network.id, gateway_ip=None, **attributes)
    with store.write() as tx:
        yield Pool(tx, subnet.id)


@pytest.fixture
def pool(driver: EmbeddedNetwork, store: Store) -> Iterator[Pool]:
    yield from pool_of(driver, store, cidr="10.0.0.0/29", ip_version=4)


@pytest.fixture
def edge_pool(driver: EmbeddedNetwork, store: Store) -> Iterator[Pool]:
    yield from pool_of(driver, store, cidr="255.255.255.254/31", ip_version=4, enable_dhcp=False)


@pytest.fixture
def wide_pool(driver: EmbeddedNetwork, store: Store) -> Iterator[Pool]:
    yield from pool_of(driver, store, cidr="2001:db8::/32", ip_version=6)


def test_the_lowest_free_address_is_next(pool: Pool) -> None:
    pool.take("10.0.0.2")
    assert [pool.next() for _ in range(6)] == ["10.0.0.1", *(f"10.0.0.{n}" for n in range(3, 7)), "None"]
    assert pool.free() == []


def test_taking_splits(pool: Pool) -> None:
    pool.take("10.0.0.3")
    assert pool.free() == ["10.0.0.1-10.0.0.2", "10.0.0.4-10.0.0.6"]
    pool.take("10.0.0.1", "10.0.0.6", "10.0.0.5")
    assert pool.free() == ["10.0.0.2-10.0.0.2", "10.0.0.4-10.0.0.4"]


def test_what_was_given_back_rests_behind_all_others(pool: Pool) -> None:
    pool.take("10.0.0.2", "10.0.0.1")
    pool.give_back("10.0.0.2", "10.0.0.1")
    assert [pool.next() for _ in range(4)] == [f"10.0.0.{n}" for n in range(3, 7)]
    pool.give_back("10.0.0.5")
    assert [pool.next() for _ in range(4)] == ["10.0.0.2", "10.0.0.1", "10.0.0.5", "None"]


def test_what_rests_can_be_asked_for(pool: Pool) -> None:
    pool.take("10.0.0.2", "10.0.0.3")
    pool.give_back("10.0.0.2", "10.0.0.3")
    pool.take("10.0.0.2")
    assert [pool.next() for _ in range(6)] == ["10.0.0.1", *(f"10.0.0.{n}" for n in (4, 5, 6, 3)), "None"]


def test_so_many_rest_and_no_more(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "RESTING", 2)
    pool.take("10.0.0.1", "10.0.0.2", "10.0.0.3")
    pool.give_back("10.0.0.2", "10.0.0.1", "10.0.0.3")
    assert [pool.next() for _ in range(7)] == [f"10.0.0.{n}" for n in (2, 4, 5, 6, 1, 3)] + ["None"]


def test_what_rests_goes_on_resting_when_the_pools_change(
    driver: EmbeddedNetwork, store: Store, admin: Context
) -> None:
    network = driver.create_network(admin, name="net")
    subnet = driver.create_subnet(admin, network_id=network.id, cidr="10.0.0.0/29", ip_version=4)
    ports = [driver.create_port(admin, network_id=network.id) for _ in range(3)]
    for port in ports:
        driver.delete_port(admin, port.id)
    driver.update_subnet(admin, subnet.id, allocation_pools=[{"start": "10.0.0.3", "end": "10.0.0.5"}])
    with store.write() as tx:
        assert [Pool(tx, subnet.id).next() for _ in range(4)] == ["10.0.0.5", "10.0.0.3", "10.0.0.4", "None"]


def test_what_is_outside_the_pools_is_neither_taken_nor_given_back(pool: Pool) -> None:
    pool.take("10.0.0.7", "10.9.9.9")
    pool.give_back("10.0.0.7", "10.9.9.9")
    assert pool.free() == ["10.0.0.1-10.0.0.6"]


def test_the_very_last_addresses(edge_pool: Pool) -> None:
    assert [edge_pool.next(), edge_pool.next(), edge_pool.next()] == ["255.255.255.254", "255.255.255.255", "None"]
    edge_pool.give_back("255.255.255.255", "255.255.255.254")
    assert [edge_pool.next(), edge_pool.next(), edge_pool.next()] == ["255.255.255.255", "255.255.255.254", "None"]


def test_a_pool_of_any_size_is_one_row(wide_pool: Pool) -> None:
    assert wide_pool.next() == "2001:db8::1"
    wide_pool.take("2001:db8:ffff::")
    assert wide_pool.free() == [
        "2001:db8::2-2001:db8:fffe:ffff:ffff:ffff:ffff:ffff",
        "2001:db8:ffff::1-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
    ]


@pytest.mark.sqlite("asks SQLite how it comes by its rows")
def test_every_look_up_goes_by_an_index(pool: Pool) -> None:
    statements: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_rest: object) -> None:
        statements.append((statement, parameters))

    sa.event.listen(pool.tx, "before_cursor_execute", note)
    pool.next()
    pool.take("10.0.0.4")
    pool.give_back("10.0.0.4")
    sa.event.remove(pool.tx, "before_cursor_execute", note)
    for statement, parameters in statements:
        plan = [row[3] for row in pool.tx.exec_driver_sql("EXPLAIN QUERY PLAN " + statement, parameters)]
        assert not any("SCAN" in step or "TEMP B-TREE" in step for step in plan), (statement, plan)


@pytest.mark.parametrize(
    ("pools", "taken", "free"),
    [
        (["1-9"], [], ["1-9"]),
        (["1-9"], [1, 5, 9], ["2-4", "6-8"]),
        (["1-3", "5-7"], [2, 4, 5], ["1-1", "3-3", "6-7"]),
        (["4-4"], [4], []),
    ],
)
def test_gaps(pools: list[str], taken: list[int], free: list[str]) -> None:
    def ranges(texts: list[str]) -> list[Range]:
        return [Range(*(ip_address(int(number)) for number in text.split("-"))) for text in texts]

    assert gaps(ranges(pools), [ip_address(number) for number in taken]) == ranges(free)


def test_eui64() -> None:
    address = addresses.eui64("2001:db8:1::/64", "fa:16:3e:11:22:33")
    assert str(address) == "2001:db8:1:0:f816:3eff:fe11:2233"
    assert addresses.is_eui64(address)
    assert not addresses.is_eui64(ip_address("2001:db8::1"))
    assert not addresses.is_eui64(ip_address("10.255.254.1"))
