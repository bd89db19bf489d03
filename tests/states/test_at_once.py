"""Many at once on PostgreSQL, where transactions run side by side: first starts, first ports, one key, one moment."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from slipway import Flavor, GiB, Host, Image, InstanceRequest, Orchestrator, loads
from slipway.drivers.network.embedded.driver import EmbeddedNetwork
from slipway.model.network import Context
from slipway.settings import Settings
from slipway.states import quotas
from slipway.states.postgresql import lock_network
from slipway.states.store import Store
from tests.postgresql import PostgreSQL, name_of
from tests.waiting import until

WEB = InstanceRequest(
    "web",
    Flavor("small", vcpus=1, memory=GiB, disk=GiB),
    Image("tiny", path="/images/tiny.qcow2", format="qcow2"),
    networks=(),
    idempotency_key="order-66",
)
FILE = """
schema: 1
hosts:
  node-1: {vcpus: 64, memory: 64GiB, disk: 500GiB, compute: sim, labels: {rack: a}}
networks: {lan: {subnets: {lan: {cidr: 10.0.0.0/24}}}}
flavors: {small: {vcpus: 1, memory: 512MiB, disk: 2GiB}}
images: {tiny: {path: ./tiny.qcow2, format: qcow2}}
instances: {"web-%s": {flavor: small, image: tiny, networks: [lan]}}
"""
FLOW = "schema: 1\nname: flow\nsteps:\n  - {id: check, uses: assert, with: {that: true, message: no}}\n"


def connections(server: PostgreSQL, url: str) -> int:
    """How many there are to a database."""
    return int(server.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = %s", name_of(url))[0][0])


def first_start(state: Path, url: str, number: int) -> list[str]:
    """In another process."""
    with Orchestrator(state, db=url) as slipway:
        return [one.status for one in slipway.run(loads(FILE % number, "first.yaml")).ended]


def create(state: Path, url: str, callers: int) -> list[str]:
    """By so many threads of another process."""
    with Orchestrator(state, db=url) as slipway, ThreadPoolExecutor(callers) as pool:
        return list(pool.map(lambda _: slipway.create(WEB, timeout=60).id, range(callers)))


def test_six_first_starts_and_one_key_at_once(database: str, tmp_path: Path) -> None:
    with ProcessPoolExecutor(6, mp_context=get_context("forkserver")) as pool:
        started = [pool.submit(first_start, tmp_path, database, number) for number in range(6)]
        assert [one.result() for one in started] == [["built"]] * 6
        made = [pool.submit(create, tmp_path, database, 3) for _ in range(6)]
        ids = [id_ for one in made for id_ in one.result()]
    assert len(ids) == 18
    assert len({*ids}) == 1
    with Orchestrator(tmp_path, db=database) as slipway:
        assert len(slipway.list()) == 7
        assert slipway.audit() == ()


def test_one_key_of_a_run_at_once_is_one_run(database: str, tmp_path: Path) -> None:
    (tmp_path / "flow.yaml").write_text(FLOW)
    with Orchestrator(tmp_path / "state", db=database) as slipway, ThreadPoolExecutor(8) as pool:
        begun = [pool.submit(slipway.runs.run, str(tmp_path / "flow.yaml"), idempotency_key="k") for _ in range(8)]
        assert len({one.result().id for one in begun}) == 1
        other = [pool.submit(slipway.runs.run, str(tmp_path / "flow.yaml")) for _ in range(8)]
        assert {one.result().state for one in other} == {"SUCCEEDED"}
        assert len(slipway.runs.list()) == 9


def test_the_first_ports_of_a_project_are_within_its_quota(database: str, tmp_path: Path) -> None:
    store = Store(database)
    network = EmbeddedNetwork(store, Settings())
    admin = Context("default", is_admin=True)
    lan = network.create_network(admin, name="lan", shared=True)
    network.create_subnet(admin, network_id=lan.id, cidr="10.0.0.0/20", ip_version=4)
    with ThreadPoolExecutor(8) as pool:
        for nth in range(6):
            project, barrier = Context(f"new-{nth}"), threading.Barrier(8)

            def make(_: int, project: Context = project, barrier: threading.Barrier = barrier) -> Any:
                barrier.wait(60)
                return network.create_port(project, network_id=lan.id).fixed_ips[0].ip_address

            assert len({*pool.map(make, range(8))}) == 8
    store.close()


def test_an_audit_sees_one_moment(database: str, tmp_path: Path) -> None:
    with Orchestrator(tmp_path, db=database) as slipway:
        slipway.add_host(Host("node-1", vcpus=64, memory=64 * GiB, disk=500 * GiB))
        store = Store(database)
        with store.read() as tx:
            assert quotas.show(tx, "default").used.instances == 0
            slipway.create(WEB)
            assert quotas.show(tx, "default").used.instances == 0
            assert quotas.differing(tx) == []
        with store.read() as tx:
            assert quotas.show(tx, "default").used.instances == 1
        store.close()
        found, end = Counter[str](), threading.Event()

        def look() -> None:
            with Orchestrator(tmp_path, db=database) as other:
                while not end.is_set():
                    found.update(f"{one.kind} {one.detail}" for one in other.audit() if one.kind in ("quota", "host"))

        looking = threading.Thread(target=look)
        looking.start()
        for number in range(8):
            slipway.create(replace(WEB, name=f"web-{number}", idempotency_key=None))
            slipway.delete(f"web-{number}")
        end.set()
        looking.join(60)
        assert not found


def test_no_connection_stays_open_of_a_thread_that_ended(postgresql: PostgreSQL, database: str, tmp_path: Path) -> None:
    with Orchestrator(tmp_path, db=database) as slipway:
        slipway.list()
        for _ in range(2):
            barrier = threading.Barrier(20)

            def look(barrier: threading.Barrier = barrier) -> None:
                slipway.list()
                barrier.wait(60)

            threads = [threading.Thread(target=look) for _ in range(20)]
            for one in threads:
                one.start()
            for one in threads:
                one.join(60)
        assert connections(postgresql, database) <= 2
        slipway.list()
    assert connections(postgresql, database) == 0


@pytest.mark.parametrize("change", ["update_port", "delete_port", "create_ports", "update_network"])
def test_a_change_of_networks_that_a_deadlock_has_rolled_back_is_begun_anew(
    change: str, database: str, tmp_path: Path
) -> None:
    """Somebody holds rows that it wants, and wants what it holds: the server gives up who has waited for longest."""
    with (
        Orchestrator(tmp_path, db=database) as slipway,
        ThreadPoolExecutor(1) as pool,
        closing(Store(database)) as other,
    ):
        networks = slipway.network
        net = networks.create_network(name="net")
        networks.create_subnet(network_id=net.id, ip_version=4, cidr="10.0.0.0/24")
        port = networks.create_port(network_id=net.id)
        calls: dict[str, Callable[[], object]] = {
            "update_port": lambda: networks.update_port(port.id, name="new", fixed_ips=[]),
            "delete_port": lambda: networks.delete_port(port.id),
            "create_ports": lambda: networks.create_ports([{"network_id": net.id}] * 2),
            "update_network": lambda: networks.update_network(net.id, name="new"),
        }
        with other.write() as tx:
            for table in ("networks", "ports", "allocations", "free_ranges", "quotas"):
                tx.exec_driver_sql(f"SELECT * FROM {table} FOR UPDATE")
            done = pool.submit(calls[change])
            until(lambda: waits(other), "it waits for one of the rows")
            lock_network(tx, alone=True)
        done.result(60)
        ports = {"update_port": ["new"], "delete_port": [], "create_ports": [""] * 3, "update_network": [""]}
        assert [one.name for one in networks.list_ports()] == ports[change]
        assert [one.name for one in networks.list_networks()] == ["new" if change == "update_network" else "net"]
        assert slipway.audit() == ()


def waits(store: Store) -> bool:
    """Whether anybody waits for a lock."""
    with store.read() as tx:
        return bool(tx.exec_driver_sql("SELECT count(*) FROM pg_locks WHERE NOT granted").scalar_one())
