"""What every wiring driver guarantees. A new driver: a function that makes it, and a line in `DRIVERS`."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from slipway.drill.simulated import WiringFiles
from slipway.drivers.wiring.base import WiringDriver
from slipway.drivers.wiring.linuxbridge.driver import LinuxBridgeWiring
from slipway.drivers.wiring.null import NullWiring
from slipway.model.machine import Vif, Wired
from slipway.model.network import AllocationPool, FixedIp, Port, SecurityGroupRule, Subnet
from slipway.model.request import Host

HOST = Host("node-1", vcpus=8, memory=1 << 34, disk=1 << 40)
INSTALLATION = "5a1b2c3d-0000-4000-8000-000000000000"
INSTANCE = "0f0f0f0f-0000-4000-8000-000000000000"
RULES = [SecurityGroupRule(str(uuid.uuid4()), str(uuid.uuid4()), "demo", "ingress", "IPv4", "tcp", 80, 80)]

Make = Callable[[], WiringDriver]


def null(state: Path, _request: pytest.FixtureRequest) -> WiringDriver:
    return NullWiring(HOST, state, INSTALLATION)


def files(state: Path, _request: pytest.FixtureRequest) -> WiringDriver:
    return WiringFiles(HOST, state)


def linuxbridge(state: Path, request: pytest.FixtureRequest) -> WiringDriver:
    return LinuxBridgeWiring(replace(HOST, netns=request.getfixturevalue("netns")), state, INSTALLATION)


DRIVERS: list[Any] = [null, files, pytest.param(linuxbridge, marks=pytest.mark.host)]


@pytest.fixture(params=DRIVERS)
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """A new driver object of the same host, as after a restart."""
    return lambda: request.param(tmp_path, request)


@pytest.fixture
def driver(make: Make) -> WiringDriver:
    return make()


@pytest.fixture
def vif(make_vif: Callable[..., Vif]) -> Vif:
    bare = make_vif()
    pools = (AllocationPool("10.0.0.2", "10.0.0.254"),)
    subnet = Subnet(str(uuid.uuid4()), "v4", bare.network_id, "demo", 4, "10.0.0.0/24", "10.0.0.1", pools)
    return replace(bare, fixed_ips=(FixedIp(subnet.id, "10.0.0.5"),), subnets=(subnet,))


def server_of(vif: Vif) -> Port:
    port = str(uuid.uuid4())
    return Port(port, "", vif.network_id, "demo", "fa:16:3e:ff:00:01", (FixedIp(vif.subnets[0].id, "10.0.0.2"),))


def beside(vif: Vif, number: int) -> Vif:
    """Another VIF on the same network."""
    port = str(uuid.uuid4())
    address = replace(vif.fixed_ips[0], ip_address=f"10.0.0.{number}")
    mac = f"fa:16:3e:00:01:{number:02x}"
    return replace(vif, port_id=port, devname=f"tap{port[:11]}", mac_address=mac, fixed_ips=(address,))


def found(driver: WiringDriver, *names: str) -> list[Wired]:
    """What a driver lists that has these, with nothing wrong; one that has no effect lists nothing."""
    return [] if driver.local else [Wired(name) for name in sorted(names)]


def everything(driver: WiringDriver) -> list[Wired]:
    return [*driver.list_taps(), *driver.list_filters(), *driver.list_dhcp()]


def test_a_tap_is_plugged_once_and_unplugged_once(driver: WiringDriver, make: Make, vif: Vif) -> None:
    for _ in range(2):
        driver.plug(INSTANCE, vif)
        assert list(make().list_taps()) == found(driver, vif.devname)
    for _ in range(2):
        make().unplug(INSTANCE, vif.devname)
        assert list(driver.list_taps()) == []


def test_a_filter_is_there_once_and_removed_once(driver: WiringDriver, make: Make, vif: Vif) -> None:
    driver.plug(INSTANCE, vif)
    driver.refresh_filter(vif, RULES)
    assert list(driver.list_filters()) == []
    for _ in range(2):
        driver.apply_filter(INSTANCE, vif, RULES)
        driver.refresh_filter(vif, [])
        assert list(make().list_filters()) == found(driver, vif.port_id)
    for _ in range(2):
        make().remove_filter(vif.port_id)
        assert list(driver.list_filters()) == []
    driver.unplug(INSTANCE, vif.devname)


def test_what_is_kept_is_compared_with_what_is_said(driver: WiringDriver, make: Make, vif: Vif) -> None:
    server, other = server_of(vif), replace(vif, fixed_ips=(replace(vif.fixed_ips[0], ip_address="10.0.0.7"),))
    # A drill's files keep no more than that something is there.
    kept = not driver.local and not isinstance(driver, WiringFiles)
    assert driver.filter_is_current(vif, RULES)
    assert list(driver.outdated_dhcp([vif], server)) == []
    driver.plug(INSTANCE, vif)
    driver.apply_filter(INSTANCE, vif, RULES)
    driver.serve_dhcp(INSTANCE, vif, server)
    assert make().filter_is_current(vif, RULES)
    assert make().filter_is_current(other, RULES) is not kept
    assert make().filter_is_current(vif, []) is not kept
    assert list(make().outdated_dhcp([vif], server)) == []
    assert list(make().outdated_dhcp([other], server)) == ([vif.port_id] if kept else [])
    moved = replace(server, fixed_ips=(replace(vif.fixed_ips[0], ip_address="10.0.0.3"),))
    assert list(make().outdated_dhcp([vif], moved)) == ([vif.port_id] if kept else [])
    driver.withdraw_dhcp(vif.network_id, vif.port_id)
    driver.remove_filter(vif.port_id)
    driver.unplug(INSTANCE, vif.devname)


def test_a_port_is_served_once_and_withdrawn_once(driver: WiringDriver, make: Make, vif: Vif) -> None:
    server, other = server_of(vif), beside(vif, 6)
    driver.plug(INSTANCE, vif)
    driver.refresh_dhcp([vif], server)
    assert list(driver.list_dhcp()) == []
    for _ in range(2):
        driver.serve_dhcp(INSTANCE, vif, server)
        driver.refresh_dhcp([vif, other], server)
        assert list(make().list_dhcp()) == found(driver, vif.port_id)
    driver.serve_dhcp(INSTANCE, other, server)
    assert list(driver.list_dhcp()) == found(driver, vif.port_id, other.port_id)
    for _ in range(2):
        make().withdraw_dhcp(vif.network_id, vif.port_id)
        assert list(driver.list_dhcp()) == found(driver, other.port_id)
    driver.withdraw_dhcp(vif.network_id, other.port_id)
    driver.unplug(INSTANCE, vif.devname)
    assert everything(driver) == []


def test_what_is_absent_is_taken_away_without_error(driver: WiringDriver, vif: Vif) -> None:
    driver.withdraw_dhcp(vif.network_id, vif.port_id)
    driver.remove_filter(vif.port_id)
    driver.unplug(INSTANCE, vif.devname)
    assert everything(driver) == []


def test_a_guest_that_is_not_there_has_no_lease_and_does_not_answer(driver: WiringDriver, vif: Vif) -> None:
    driver.plug(INSTANCE, vif)
    driver.serve_dhcp(INSTANCE, vif, server_of(vif))
    assert list(driver.leases(vif)) == []
    assert not driver.answers(vif, vif.fixed_ips[0].ip_address, port=None)
    assert not driver.answers(vif, vif.fixed_ips[0].ip_address, port=22)
    driver.withdraw_dhcp(vif.network_id, vif.port_id)
    driver.unplug(INSTANCE, vif.devname)
    assert list(driver.leases(vif)) == []


def test_many_at_once(driver: WiringDriver, make: Make, vif: Vif) -> None:
    server = server_of(vif)
    vifs = [beside(vif, number) for number in range(10, 18)]

    def there_and_back(one: Vif) -> None:
        mine = make()
        mine.plug(INSTANCE, one)
        mine.apply_filter(INSTANCE, one, RULES)
        mine.serve_dhcp(INSTANCE, one, server)
        mine.withdraw_dhcp(one.network_id, one.port_id)
        mine.remove_filter(one.port_id)
        mine.unplug(INSTANCE, one.devname)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(there_and_back, vifs))
    assert everything(driver) == []
