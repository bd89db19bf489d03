"""A port is ACTIVE while packets pass at it, also where the wiring is simulated, and listeners are told (Neutron)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

import pytest
from msgspec.structs import replace

from slipway import NetworkEvent, Orchestrator, errors
from slipway.drill.simulated import WiringFiles
from slipway.drivers.network.embedded.driver import EmbeddedNetwork
from slipway.drivers.registry import Drivers, HostDrivers
from slipway.model.machine import Vif
from slipway.model.network import Port
from slipway.model.request import Host, NetworkRequest
from slipway.orchestrator import BuildFailed
from slipway.runfile import loads
from slipway.settings import Settings
from slipway.states.store import Store
from slipway.testing import Fault, Faults, Mode

FILE = loads(
    """
schema: 1
hosts: {node-1: {vcpus: 8, memory: 8GiB, disk: 100GiB, compute: sim}}
networks:
  a: {subnets: {a4: {cidr: 10.0.0.0/24}}, ports: {brought: {}}}
  b: {subnets: {b4: {cidr: 10.1.0.0/24}}}
flavors: {small: {vcpus: 1, memory: 512MiB, disk: 2GiB}}
images: {tiny: {path: ./tiny.qcow2, format: qcow2}}
instances: {web: {flavor: small, image: tiny, networks: [{port: brought}, b]}}
""",
    "status.yaml",
)

ONE = loads(
    """
schema: 1
hosts: {node-1: {vcpus: 8, memory: 8GiB, disk: 100GiB, compute: sim}}
networks: {a: {subnets: {a4: {cidr: 10.0.0.0/24}}}, b: {subnets: {b4: {cidr: 10.1.0.0/24}}}}
flavors: {small: {vcpus: 1, memory: 512MiB, disk: 2GiB}}
images: {tiny: {path: ./tiny.qcow2, format: qcow2}}
instances: {web: {flavor: small, image: tiny, networks: [a]}}
""",
    "one.yaml",
)


class Place:
    def __init__(self, state: Path) -> None:
        self.told: list[NetworkEvent] = []
        self.slipway = Orchestrator(state, on_network_event=self.told.append)
        self.slipway.run(FILE)
        (self.brought,) = self.slipway.network.list_ports(name="brought")

    def status(self) -> str:
        """That of the port brought along, and that of the other one."""
        return " ".join(port.status for port in sorted(self.slipway.network.list_ports(), key=_is_other))

    def changes(self) -> list[tuple[str, str]]:
        """Which status was told of the port brought along since the last question."""
        told, self.told[:] = list(self.told), []
        ports = ((one.type, one.resource) for one in told if isinstance(one.resource, Port))
        return [(type_, port.status) for type_, port in ports if port.id == self.brought.id]


def _is_other(port: Port) -> bool:
    return port.name != "brought"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    with made.slipway:
        yield made


def test_from_the_build_to_the_delete(place: Place) -> None:
    assert place.status() == "ACTIVE ACTIVE"
    assert place.changes()[-1] == ("port.update", "ACTIVE")
    place.slipway.stop("web", force=True)
    assert (place.status(), place.changes()) == ("DOWN DOWN", [("port.update", "DOWN")])
    place.slipway.start("web")
    assert (place.status(), place.changes()) == ("ACTIVE ACTIVE", [("port.update", "ACTIVE")])
    place.slipway.reboot("web", force=True)
    assert (place.status(), place.changes()) == ("ACTIVE ACTIVE", [])
    place.slipway.delete("web")
    assert place.status() == "DOWN"
    assert place.slipway.audit() == ()


def test_what_is_administratively_down_is_down(place: Place) -> None:
    network = place.slipway.network
    assert network.update_port(place.brought.id, admin_state_up=False).status == "DOWN"
    assert place.status() == "DOWN ACTIVE"
    network.update_port(place.brought.id, name="brought")
    place.slipway.reboot("web", force=True)
    assert place.status() == "DOWN ACTIVE"
    network.update_network(place.brought.network_id, admin_state_up=False)
    network.update_port(place.brought.id, admin_state_up=True)
    assert place.status() == "DOWN ACTIVE"
    network.update_network(place.brought.network_id, admin_state_up=True)
    assert place.status() == "ACTIVE ACTIVE"
    place.slipway.stop("web", force=True)
    network.update_port(place.brought.id, admin_state_up=False)
    network.update_port(place.brought.id, admin_state_up=True)
    assert place.status() == "DOWN DOWN"


def test_a_build_that_fails_leaves_the_port_down(tmp_path: Path) -> None:
    with (
        Faults(Fault("power_state", Mode.ERROR, last=9)).orchestrator(tmp_path) as slipway,
        suppress(BuildFailed),
    ):
        slipway.run(FILE)
        (brought,) = slipway.network.list_ports(name="brought")
        assert (brought.status, brought.device_id) == ("DOWN", "")


def test_only_bound_ports_of_the_device_are_active(tmp_path: Path) -> None:
    with Orchestrator(tmp_path) as slipway:
        network = slipway.network.create_network(name="n")
        free, bound, other = (
            slipway.network.create_port(network_id=network.id, device_id=device, binding_host_id=host)
            for device, host in (("d", ""), ("d", "anywhere"), ("e", "anywhere"))
        )
        driver = slipway.network._driver
        driver.set_wired("d", up=True)
        assert [slipway.network.show_port(port.id).status for port in (free, bound, other)] == [
            "DOWN",
            "ACTIVE",
            "DOWN",
        ]
        driver.set_wired("d", up=False)
        assert slipway.network.show_port(bound.id).status == "DOWN"
        driver.set_wired("d", up=True)
        assert slipway.network.update_port(bound.id, binding_host_id="").status == "DOWN"


# --- a DHCP server's port -------------------------------------------------------------------------------------------


class Served(WiringFiles):
    """Does something else before the first of an instance's NICs is served; all have their servers' ports by then."""

    meanwhile: ClassVar[list[Callable[[], object]]] = []

    def serve_dhcp(self, instance_id: str, vif: Vif, server: Port) -> None:
        while self.meanwhile:
            self.meanwhile.pop()()
        super().serve_dhcp(instance_id, vif, server)


class WithServers(Drivers):
    def make(self, host: Host) -> HostDrivers:
        return replace(super().make(host), wiring=Served(host, self._state))


@pytest.mark.parametrize("ends", [errors.AbortBuild("no"), None], ids=["the second fails", "the second is served"])
def test_a_dhcp_servers_port_is_active_while_somebody_is_served(ends: Exception | None, tmp_path: Path) -> None:
    def drivers(store: Store, settings: Settings, state: Path) -> Drivers:
        return WithServers(EmbeddedNetwork(store, settings), state)

    seen: list[str] = []
    with Orchestrator(tmp_path, drivers=drivers) as slipway:
        slipway.run(ONE)
        (served,) = slipway.network.list_networks(name="a")

        def server() -> str:
            ports = slipway.network.list_ports(network_id=served.id, device_owner="network:dhcp")
            return " ".join(port.status for port in ports)

        def last_one_goes() -> None:
            seen.append(server())
            slipway.delete("web")
            seen.append(server())
            if ends:
                raise ends

        first = slipway.show("web").instance.request
        Served.meanwhile.append(last_one_goes)
        with suppress(BuildFailed):
            slipway.create(replace(first, name="second", networks=(NetworkRequest("b"), NetworkRequest("a"))))
        assert seen == ["ACTIVE", "DOWN"]
        assert server() == ("" if ends else "ACTIVE")
        assert slipway.audit() == ()
