"""The embedded network as a build uses it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from slipway import errors
from slipway.drivers.network.base import NetworkDriver
from slipway.drivers.network.embedded.driver import EmbeddedNetwork
from slipway.model.network import Context, FixedIp
from slipway.orchestrator import Orchestrator
from slipway.runfile import loads
from slipway.settings import Settings
from slipway.states.store import Store


@pytest.fixture
def network_id(driver: EmbeddedNetwork, admin: Context) -> str:
    network = driver.create_network(admin, name="net")
    driver.create_subnet(admin, network_id=network.id, cidr="10.0.0.0/24", ip_version=4)
    return network.id


@contextmanager
def counting(store: Store) -> Iterator[list[str]]:
    """The SQL statements that are executed meanwhile, but for the lock that PostgreSQL needs for some of them."""
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if not statement.startswith("SELECT pg_advisory_xact_lock"):
            statements.append(statement)

    sa.event.listen(store.engine, "before_cursor_execute", note)
    yield statements
    sa.event.remove(store.engine, "before_cursor_execute", note)


def test_it_is_a_network_driver(driver: EmbeddedNetwork) -> None:
    checked: NetworkDriver = driver
    assert checked.local


def test_a_port_with_a_key_is_made_once(driver: EmbeddedNetwork, admin: Context, network_id: str) -> None:
    assert driver.find_port(admin, "vm/ports/0") is None
    port = driver.create_port(admin, network_id=network_id, key="vm/ports/0")
    assert driver.create_port(admin, network_id=network_id, key="vm/ports/0") == port
    assert driver.find_port(admin, "vm/ports/0") == port == driver.show_port(admin, port.id)
    assert list(driver.list_ports(admin)) == [port]


def test_all_attributes_come_back_as_they_were_given(driver: EmbeddedNetwork, admin: Context, network_id: str) -> None:
    port = driver.create_port(
        admin,
        network_id=network_id,
        name="web",
        fixed_ips=[{"ip_address": "10.0.0.9"}],
        mac_address="FA-16-3E-00-00-09",
        device_id="vm",
        device_owner="compute:nova",
        extra_dhcp_opts=[{"opt_name": "mtu", "opt_value": "1400"}],
        allowed_address_pairs=[{"ip_address": "10.0.0.77"}],
        binding_profile={"a": 1},
    )
    assert driver.show_port(admin, port.id) == port
    assert [each.ip_address for each in port.fixed_ips] == ["10.0.0.9"]
    assert port.mac_address == port.allowed_address_pairs[0].mac_address == "fa:16:3e:00:00:09"
    assert (port.device_id, port.device_owner, port.status) == ("vm", "compute:nova", "DOWN")
    assert port.binding_profile == '{"a":1}'


def test_a_port_brought_along_is_bound_and_given_back(driver: EmbeddedNetwork, admin: Context, network_id: str) -> None:
    port = driver.create_port(admin, network_id=network_id)
    bound = driver.update_port(admin, port.id, device_id="vm", device_owner="compute:nova", binding_host_id="node-1")
    assert (bound.binding_host_id, bound.binding_vif_type, bound.fixed_ips) == ("node-1", "bridge", port.fixed_ips)
    assert driver.list_ports(admin, device_id="vm") == (bound,)
    back = driver.update_port(admin, port.id, device_id="", device_owner="", binding_host_id="")
    assert back == port


def test_an_error_leaves_the_callers_transaction_as_it_was(
    driver: EmbeddedNetwork, store: Store, admin: Context, network_id: str
) -> None:
    with store.write() as tx:
        kept = driver.create_port(admin, network_id=network_id, tx=tx)
        with pytest.raises(errors.InvalidIpForNetwork):
            driver.create_port(admin, network_id=network_id, fixed_ips=[{"ip_address": "1.1.1.1"}], tx=tx)
        assert driver.list_ports(admin, tx=tx) == (kept,)
    assert driver.list_ports(admin) == (kept,)


def test_nothing_is_left_of_a_transaction_that_was_rolled_back(
    driver: EmbeddedNetwork, store: Store, admin: Context, network_id: str
) -> None:
    def make_and_fail() -> None:
        with store.write() as tx:
            driver.create_port(admin, network_id=network_id, tx=tx)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        make_and_fail()
    assert driver.list_ports(admin) == ()


def test_tables_are_made_in_a_database_that_is_there_already(store: Store, admin: Context) -> None:
    with store.write() as tx:
        tx.execute(sa.text("DROP TABLE port_forwardings"))
    EmbeddedNetwork(store, Settings()).create_network(admin, name="net")


SMALL = """
schema: 1
hosts: {node-1: {vcpus: 8, memory: 8GiB, disk: 100GiB, compute: sim, simulate: {fail: [spawn, destroy]}}}
networks: {net: {subnets: {subnet: {cidr: 10.0.0.0/30}}}}
flavors: {small: {vcpus: 1, memory: 512MiB, disk: 2GiB}}
images: {tiny: {path: ./tiny.qcow2, format: qcow2}}
instances: {web: {flavor: small, image: tiny, networks: [net]}}
"""
"""A pool of one address, and a domain that fails and cannot be destroyed."""


def test_what_is_stuck_keeps_its_address(tmp_path: Path) -> None:
    with Orchestrator(tmp_path / "state") as slipway:
        slipway.run(loads(SMALL, "small.yaml"))
        (port,) = slipway.network.list_ports()
        assert [each.ip_address for each in port.fixed_ips] == ["10.0.0.2"]
        assert "port" in {finding.kind for finding in slipway.audit() if finding.difference == "stuck"}
        with pytest.raises(errors.IpAddressGenerationFailure):
            slipway.network.create_port(network_id=port.network_id)
        with pytest.raises(errors.IpAddressAlreadyAllocated):
            slipway.network.create_port(network_id=port.network_id, fixed_ips=[{"ip_address": "10.0.0.2"}])


def test_an_address_that_was_given_back_is_the_last_to_be_given_out(
    driver: EmbeddedNetwork, admin: Context, network_id: str
) -> None:
    subnet = driver.create_subnet(admin, network_id=network_id, cidr="10.0.1.0/29", ip_version=4)
    ask = [{"subnet_id": subnet.id}]
    guest = driver.create_port(admin, network_id=network_id, fixed_ips=ask)
    moved = driver.update_port(admin, guest.id, fixed_ips=[{"ip_address": "10.0.1.4"}])
    assert [each.ip_address for each in (*guest.fixed_ips, *moved.fixed_ips)] == ["10.0.1.2", "10.0.1.4"]
    others = [driver.create_port(admin, network_id=network_id, fixed_ips=ask).fixed_ips[0] for _ in range(4)]
    assert [each.ip_address for each in others] == ["10.0.1.3", "10.0.1.5", "10.0.1.6", "10.0.1.2"]


def test_a_port_costs_few_statements(driver: EmbeddedNetwork, store: Store, admin: Context, network_id: str) -> None:
    driver.create_port(admin, network_id=network_id, key="first of the project")
    with counting(store) as statements:
        port = driver.create_port(admin, network_id=network_id, key="second")
        assert len(statements) == 7
        driver.update_port(admin, port.id, device_id="vm", device_owner="compute:nova", binding_host_id="node-1")
        assert len(statements) == 10
        driver.delete_port(admin, port.id)
        assert len(statements) == 16
    with store.write() as tx, counting(store) as statements:
        driver.create_port(admin, network_id=network_id, key="third", tx=tx)
        assert len(statements) == 8  # a savepoint


def test_addresses_cost_the_same_whatever_the_fill(store: Store, admin: Context) -> None:
    driver = EmbeddedNetwork(store, Settings(quota_port=-1))
    network = driver.create_network(admin, name="net")
    subnet = driver.create_subnet(admin, network_id=network.id, cidr="10.0.0.0/22", ip_version=4)
    ports = [driver.create_port(admin, network_id=network.id) for _ in range(300)]
    for port in ports[::2]:
        driver.delete_port(admin, port.id)
    with counting(store) as statements:
        port = driver.create_port(admin, network_id=network.id)
        assert len(statements) == 7
    assert port.fixed_ips == (FixedIp(subnet.id, "10.0.1.46"),)
