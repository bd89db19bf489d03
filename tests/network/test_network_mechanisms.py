"""Mechanism drivers and events: who is told when, and what becomes of the port when one of them fails (S2)."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from slipway import errors
from slipway.drivers.network.embedded.common.transactions import NetworkEvent
from slipway.drivers.network.embedded.driver import EmbeddedNetwork
from slipway.drivers.network.embedded.topology.mechanisms import LinuxBridge, PortChange
from slipway.drivers.network.embedded.topology.segments import Segment
from slipway.model.network import Context, Port
from slipway.settings import Settings
from slipway.states.schema import hosts
from slipway.states.store import Store, Transaction


@dataclass
class Recorder:
    """Notes all calls, and fails in those that it is told to fail in."""

    fail: str = ""
    vif_type: str | None = "tap"
    calls: list[str] = field(default_factory=list)
    in_transaction: list[bool] = field(default_factory=list)

    def _note(self, call: str) -> None:
        self.calls.append(call)
        if call == self.fail:
            raise RuntimeError("told to fail")

    def precommit(self, tx: Transaction, change: PortChange) -> None:
        self.in_transaction.append(tx.in_transaction())
        self._note(f"{change.kind} precommit")

    def postcommit(self, change: PortChange) -> None:
        self._note(f"{change.kind} postcommit")

    def bind(self, tx: Transaction, port: Port, segment: Segment) -> str | None:
        self._note(f"bind {port.binding_host_id} {segment.kind}")
        return self.vif_type


def network_with(store: Store, *mechanisms: Recorder) -> tuple[EmbeddedNetwork, str]:
    driver = EmbeddedNetwork(store, Settings(), mechanisms=mechanisms)
    admin = Context("demo", is_admin=True)
    network = driver.create_network(admin, name="net", provider_network_type="local")
    driver.create_subnet(admin, network_id=network.id, cidr="10.0.0.0/30", ip_version=4)
    return driver, network.id


def test_all_are_told_of_each_change_in_order(store: Store, admin: Context) -> None:
    recorder = Recorder()
    driver, network_id = network_with(store, recorder)
    port = driver.create_port(admin, network_id=network_id)
    driver.update_port(admin, port.id, binding_host_id="node-1")
    driver.delete_port(admin, port.id)
    told = ["create precommit", "create postcommit", "bind node-1 local", "update precommit", "update postcommit"]
    assert recorder.calls == [*told, "delete precommit", "delete postcommit"]
    assert recorder.in_transaction == [True, True, True]


def test_postcommit_waits_for_the_callers_commit(store: Store, admin: Context) -> None:
    recorder = Recorder()
    driver, network_id = network_with(store, recorder)
    with store.write() as tx:
        driver.create_port(admin, network_id=network_id, tx=tx)
        assert recorder.calls == ["create precommit"]
    assert recorder.calls == ["create precommit", "create postcommit"]


@pytest.mark.parametrize("fail", ["create precommit", "create postcommit", "bind node-1 local"])
def test_a_port_that_a_driver_fails_on_is_not_left(store: Store, admin: Context, fail: str) -> None:
    driver, network_id = network_with(store, Recorder(fail))
    with pytest.raises(errors.MechanismDriverError, match="Recorder failed: told to fail"):
        driver.create_port(admin, network_id=network_id, binding_host_id="node-1")
    assert driver.list_ports(admin) == ()
    other = EmbeddedNetwork(store, Settings())
    assert other.create_port(admin, network_id=network_id).fixed_ips  # the only address is free again


@pytest.mark.parametrize("fail", ["update precommit", "bind node-1 local"])
def test_a_change_that_a_driver_refuses_is_not_made(store: Store, admin: Context, fail: str) -> None:
    driver, network_id = network_with(store, Recorder(fail))
    port = driver.create_port(admin, network_id=network_id)
    with pytest.raises(errors.MechanismDriverError):
        driver.update_port(admin, port.id, binding_host_id="node-1")
    assert driver.show_port(admin, port.id) == port


@pytest.mark.parametrize("kind", ["update", "delete"])
def test_a_change_stays_when_postcommit_fails(
    store: Store, admin: Context, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    driver, network_id = network_with(store, Recorder(f"{kind} postcommit"))
    port = driver.create_port(admin, network_id=network_id)
    if kind == "update":
        driver.update_port(admin, port.id, name="new")
        assert driver.show_port(admin, port.id).name == "new"
    else:
        driver.delete_port(admin, port.id)
        assert driver.list_ports(admin) == ()
    assert "stays as it is" in caplog.text


def test_the_first_driver_that_can_binds(store: Store, admin: Context) -> None:
    driver, network_id = network_with(store, Recorder(vif_type=None), Recorder(vif_type="ovs"), Recorder())
    port = driver.create_port(admin, network_id=network_id, binding_host_id="node-1")
    assert port == driver.show_port(admin, port.id)
    assert port.binding_vif_type == "ovs"


def test_no_driver_can_bind(store: Store, admin: Context) -> None:
    driver, network_id = network_with(store, Recorder(vif_type=None))
    port = driver.create_port(admin, network_id=network_id, binding_host_id="node-1")
    assert port.binding_vif_type == "binding_failed"


def test_bridges_are_for_hosts_on_record(store: Store, admin: Context) -> None:
    settings = Settings()
    driver = EmbeddedNetwork(store, settings, mechanisms=[LinuxBridge(settings)])
    network = driver.create_network(admin, name="net")
    alone = driver.create_port(admin, network_id=network.id, binding_host_id="anything")
    with store.write() as tx:
        row = {"name": "node-1", "spec": b"", "enabled": True, "vcpus_limit": 1, "memory_limit": 1, "disk_limit": 1}
        tx.execute(hosts.insert(), row)
    known = driver.create_port(admin, network_id=network.id, binding_host_id="node-1")
    unknown = driver.create_port(admin, network_id=network.id, binding_host_id="node-2")
    assert [port.binding_vif_type for port in (alone, known, unknown)] == ["bridge", "bridge", "binding_failed"]


def test_events_are_told_after_the_commit_and_only_then(store: Store, admin: Context) -> None:
    events: list[NetworkEvent] = []
    driver = EmbeddedNetwork(store, Settings(), on_event=events.append)
    network = driver.create_network(admin, name="net")
    subnet = driver.create_subnet(admin, network_id=network.id, cidr="10.0.0.0/24", ip_version=4)
    with pytest.raises(errors.InvalidIpForNetwork):
        driver.create_port(admin, network_id=network.id, fixed_ips=[{"ip_address": "1.1.1.1"}])
    port = driver.create_port(admin, network_id=network.id, device_owner="network:dhcp", key="once")
    driver.create_port(admin, network_id=network.id, device_owner="network:dhcp", key="once")
    driver.update_network(admin, network.id, name="other")
    driver.update_subnet(admin, subnet.id, name="other")
    driver.delete_network(admin, network.id)
    assert [event.type for event in events] == [
        *("network.create", "subnet.create", "port.create", "network.update", "subnet.update"),
        *("port.delete", "network.delete"),
    ]
    assert events[2].resource == port
