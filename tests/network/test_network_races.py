"""Many processes at once on one database: no address twice, none lost, no quota exceeded."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Callable
from ipaddress import ip_address
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from slipway import errors
from slipway.drivers.network.embedded.common.tables import free_ranges
from slipway.drivers.network.embedded.driver import EmbeddedNetwork
from slipway.model.network import Context, Network
from slipway.settings import Settings
from slipway.states.store import Store
from tests.waiting import PATIENCE

FORK = multiprocessing.get_context("fork")
ADMIN = Context("demo", is_admin=True)


def prepare(url: str, settings: Settings, cidr: str) -> Network:
    store = Store(url, synchronous="OFF")
    driver = EmbeddedNetwork(store, settings)
    network = driver.create_network(ADMIN, name="net")
    driver.create_subnet(ADMIN, network_id=network.id, cidr=cidr, ip_version=4)
    store.close()
    return network


def together(count: int, work: Callable[..., None], *arguments: Any) -> None:
    """Run `work` in so many processes that begin at the same moment; all must end well."""
    barrier = FORK.Barrier(count)
    processes = [FORK.Process(target=work, args=(barrier, index, *arguments)) for index in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(PATIENCE)
    assert [process.exitcode for process in processes] == [0] * count


def make_and_delete(barrier: Barrier, index: int, url: str, settings: Settings, network_id: str) -> None:
    store = Store(url, synchronous="OFF")
    driver = EmbeddedNetwork(store, settings)
    barrier.wait()
    for turn in range(12):
        port = driver.create_port(ADMIN, network_id=network_id, name=f"{index}/{turn}")
        if turn % 4 == 3:
            driver.delete_port(ADMIN, port.id)
    store.close()


def test_eight_processes_on_one_subnet(tmp_path: Path) -> None:
    url, settings = f"sqlite:///{tmp_path / 'slipway.db'}", Settings(quota_port=-1)
    network = prepare(url, settings, "10.0.0.0/25")
    together(8, make_and_delete, url, settings, network.id)
    store = Store(url)
    driver = EmbeddedNetwork(store, settings)
    ports = driver.list_ports(ADMIN)
    addresses = [each.ip_address for port in ports for each in port.fixed_ips]
    assert len(ports) == len(addresses) == len(set(addresses)) == 8 * 9
    assert len({port.mac_address for port in ports}) == 8 * 9
    for port in ports:
        driver.delete_port(ADMIN, port.id)
    with store.read() as tx:
        free = tx.execute(sa.select(free_ranges.c.first, free_ranges.c.last)).all()
    numbers = sorted(number for first, last in free for number in range(int(first), int(last) + 1))
    assert numbers == list(range(int(ip_address("10.0.0.2")), int(ip_address("10.0.0.126")) + 1))
    store.close()


def make_three(barrier: Barrier, _index: int, url: str, settings: Settings, network_id: str, told: Any) -> None:
    store = Store(url, synchronous="OFF")
    driver = EmbeddedNetwork(store, settings)
    barrier.wait()
    for _ in range(3):
        try:
            driver.create_port(ADMIN, network_id=network_id)
            told.put("made")
        except errors.OverQuota:
            told.put("over")
    store.close()


def test_sixteen_processes_on_a_quota_of_five(tmp_path: Path) -> None:
    url, settings = f"sqlite:///{tmp_path / 'slipway.db'}", Settings(quota_port=5)
    network = prepare(url, settings, "10.0.0.0/24")
    told = FORK.SimpleQueue()
    together(16, make_three, url, settings, network.id, told)
    assert Counter(told.get() for _ in range(48)) == {"made": 5, "over": 43}
    store = Store(url)
    assert len(EmbeddedNetwork(store, settings).list_ports(ADMIN)) == 5
    store.close()


def take_one(barrier: Barrier, _index: int, url: str, settings: Settings, network_id: str, told: Any) -> None:
    store = Store(url, synchronous="OFF")
    driver = EmbeddedNetwork(store, settings)
    barrier.wait()
    for last in range(10, 15):
        try:
            driver.create_port(ADMIN, network_id=network_id, fixed_ips=[{"ip_address": f"10.0.0.{last}"}])
            told.put((last, "made"))
        except errors.IpAddressAlreadyAllocated:
            told.put((last, "taken"))
    store.close()


def test_one_wins_each_address_that_all_ask_for(tmp_path: Path) -> None:
    url, settings = f"sqlite:///{tmp_path / 'slipway.db'}", Settings()
    network = prepare(url, settings, "10.0.0.0/24")
    told = FORK.SimpleQueue()
    together(8, take_one, url, settings, network.id, told)
    assert Counter(told.get() for _ in range(40)) == {
        (last, word): number for last in range(10, 15) for word, number in (("made", 1), ("taken", 7))
    }


def make_with_key(barrier: Barrier, _index: int, url: str, settings: Settings, network_id: str, told: Any) -> None:
    store = Store(url, synchronous="OFF")
    driver = EmbeddedNetwork(store, settings)
    barrier.wait()
    told.put(driver.create_port(ADMIN, network_id=network_id, key="vm/ports/0").id)
    store.close()


def test_one_key_makes_one_port(tmp_path: Path) -> None:
    url, settings = f"sqlite:///{tmp_path / 'slipway.db'}", Settings()
    network = prepare(url, settings, "10.0.0.0/24")
    told = FORK.SimpleQueue()
    together(8, make_with_key, url, settings, network.id, told)
    assert len({told.get() for _ in range(8)}) == 1
