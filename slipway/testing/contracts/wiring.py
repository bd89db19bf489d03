"""What every wiring driver guarantees, as `slipway.drivers.wiring.base` says it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import pytest
from msgspec.structs import replace

from slipway.drivers.wiring.base import WiringDriver
from slipway.model.hosted import HostedRouter
from slipway.model.machine import Vif, Wired
from slipway.model.network import AllocationPool, FixedIp, Port, SecurityGroupRule, Subnet
from slipway.model.routing import Route, Router
from slipway.testing.contracts.samples import lacking, make_vif

INSTANCE = "0f0f0f0f-0000-4000-8000-000000000000"
RULES = [SecurityGroupRule(str(uuid.uuid4()), str(uuid.uuid4()), "demo", "ingress", "IPv4", "tcp", 80, 80)]

Make = Callable[[], WiringDriver]


class WiringContract:
    """Subclass it and override the fixture `make_driver`."""

    compares: ClassVar[bool] = True
    """Whether the driver tells that a filter or a DHCP entry is not what it should be."""

    @pytest.fixture
    def make_driver(self) -> Make:
        """Makes a driver; each call another one of the same host without taps, as after a restart."""
        raise NotImplementedError(f"{type(self).__name__}: override the fixture make_driver")

    @pytest.fixture
    def driver(self, make_driver: Make) -> WiringDriver:
        """A driver of the host."""
        return make_driver()

    @pytest.fixture
    def vif(self) -> Vif:
        """A VIF with an address."""
        bare = make_vif()
        pools = (AllocationPool("10.0.0.2", "10.0.0.254"),)
        subnet = Subnet(str(uuid.uuid4()), "v4", bare.network_id, "demo", 4, "10.0.0.0/24", "10.0.0.1", pools)
        return replace(bare, fixed_ips=(FixedIp(subnet.id, "10.0.0.5"),), subnets=(subnet,))

    def test_it_has_all_that_the_protocol_names(self, make_driver: Make) -> None:
        assert lacking(make_driver(), WiringDriver) == set()

    def test_a_tap_is_plugged_once_and_unplugged_once(self, driver: WiringDriver, make_driver: Make, vif: Vif) -> None:
        for _ in range(2):
            driver.plug(INSTANCE, vif)
            assert said(make_driver().list_taps(), of=INSTANCE) == found(driver, vif.devname)
        for _ in range(2):
            make_driver().unplug(INSTANCE, vif.devname)
            assert list(driver.list_taps()) == []

    def test_a_filter_is_there_once_and_removed_once(self, driver: WiringDriver, make_driver: Make, vif: Vif) -> None:
        driver.plug(INSTANCE, vif)
        driver.refresh_filter(vif, RULES)
        assert list(driver.list_filters()) == []
        for _ in range(2):
            driver.apply_filter(INSTANCE, vif, RULES)
            driver.refresh_filter(vif, [])
            assert said(make_driver().list_filters()) == found(driver, vif.port_id)
        for _ in range(2):
            make_driver().remove_filter(vif.port_id)
            assert list(driver.list_filters()) == []
        driver.unplug(INSTANCE, vif.devname)

    def test_what_is_kept_is_compared_with_what_is_said(
        self, driver: WiringDriver, make_driver: Make, vif: Vif
    ) -> None:
        server, other = server_of(vif), replace(vif, fixed_ips=(replace(vif.fixed_ips[0], ip_address="10.0.0.7"),))
        kept = self.compares
        assert driver.filter_is_current(vif, RULES)
        assert list(driver.outdated_dhcp([vif], server)) == []
        driver.plug(INSTANCE, vif)
        driver.apply_filter(INSTANCE, vif, RULES)
        driver.serve_dhcp(INSTANCE, vif, server)
        assert make_driver().filter_is_current(vif, RULES)
        assert make_driver().filter_is_current(other, RULES) is not kept
        assert make_driver().filter_is_current(vif, []) is not kept
        assert list(make_driver().outdated_dhcp([vif], server)) == []
        assert list(make_driver().outdated_dhcp([other], server)) == ([vif.port_id] if kept else [])
        moved = replace(server, fixed_ips=(replace(vif.fixed_ips[0], ip_address="10.0.0.3"),))
        assert list(make_driver().outdated_dhcp([vif], moved)) == ([vif.port_id] if kept else [])
        narrow = replace(vif, mtu=1300)
        assert make_driver().tap_is_current(vif)
        assert make_driver().tap_is_current(narrow) is not kept
        driver.refresh_tap(narrow)
        assert make_driver().tap_is_current(narrow)
        driver.release_leases(vif.network_id, vif.port_id)
        assert said(driver.list_dhcp(), of=vif.network_id) == found(driver, vif.port_id)
        driver.withdraw_dhcp(vif.network_id, vif.port_id)
        driver.remove_filter(vif.port_id)
        driver.unplug(INSTANCE, vif.devname)
        driver.refresh_tap(vif)
        driver.release_leases(vif.network_id, vif.port_id)
        assert everything(driver) == []

    def test_a_port_is_served_once_and_withdrawn_once(self, driver: WiringDriver, make_driver: Make, vif: Vif) -> None:
        server, other = server_of(vif), beside(vif, 6)
        driver.plug(INSTANCE, vif)
        driver.refresh_dhcp([vif], server)
        assert list(driver.list_dhcp()) == []
        for _ in range(2):
            driver.serve_dhcp(INSTANCE, vif, server)
            driver.refresh_dhcp([vif, other], server)
            assert said(make_driver().list_dhcp(), of=vif.network_id) == found(driver, vif.port_id)
        driver.serve_dhcp(INSTANCE, other, server)
        assert said(driver.list_dhcp(), of=vif.network_id) == found(driver, vif.port_id, other.port_id)
        for _ in range(2):
            make_driver().withdraw_dhcp(vif.network_id, vif.port_id)
            assert said(driver.list_dhcp(), of=vif.network_id) == found(driver, other.port_id)
        driver.withdraw_dhcp(vif.network_id, other.port_id)
        driver.unplug(INSTANCE, vif.devname)
        assert everything(driver) == []

    def test_routers_are_those_that_were_set_last(self, driver: WiringDriver, make_driver: Make, vif: Vif) -> None:
        one, other = router_of(vif), router_of(replace(beside(vif, 9), fixed_ips=()))
        assert list(driver.list_routers([one])) == []
        for _ in range(2):
            driver.set_routers([one, other])
            assert said(make_driver().list_routers([one, other])) == found(driver, one.router.id, other.router.id)
        routes = (Route("10.7.0.0/16", "10.0.0.9"),)
        changed = replace(one, router=replace(one.router, routes=routes))
        differs = [
            bool(each.fault) for each in make_driver().list_routers([changed, other]) if each.name == one.router.id
        ]
        assert differs == ([] if driver.local else [True])
        make_driver().set_routers([changed])
        for anew in (False, True):
            driver.set_routers([changed], anew=anew)
            assert said(make_driver().list_routers([changed])) == found(driver, one.router.id)
        for _ in range(2):
            driver.set_routers([])
            assert everything(make_driver()) == []

    def test_many_set_a_hosts_routers_at_once(self, driver: WiringDriver, make_driver: Make, vif: Vif) -> None:
        one = router_of(vif)

        def there_and_back(_number: int) -> None:
            mine = make_driver()
            mine.set_routers([one])
            mine.list_routers([])
            mine.set_routers([])

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(there_and_back, range(8)))
        assert everything(driver) == []

    def test_what_is_absent_is_taken_away_without_error(self, driver: WiringDriver, vif: Vif) -> None:
        driver.withdraw_dhcp(vif.network_id, vif.port_id)
        driver.remove_filter(vif.port_id)
        driver.unplug(INSTANCE, vif.devname)
        assert everything(driver) == []

    def test_a_guest_that_is_not_there_has_no_lease_and_does_not_answer(self, driver: WiringDriver, vif: Vif) -> None:
        driver.plug(INSTANCE, vif)
        driver.serve_dhcp(INSTANCE, vif, server_of(vif))
        assert list(driver.leases(vif)) == []
        assert not driver.answers(vif, vif.fixed_ips[0].ip_address, port=None)
        assert not driver.answers(vif, vif.fixed_ips[0].ip_address, port=22)
        driver.withdraw_dhcp(vif.network_id, vif.port_id)
        driver.unplug(INSTANCE, vif.devname)
        assert list(driver.leases(vif)) == []

    def test_many_at_once(self, driver: WiringDriver, make_driver: Make, vif: Vif) -> None:
        server = server_of(vif)
        vifs = [beside(vif, number) for number in range(10, 18)]

        def there_and_back(one: Vif) -> None:
            mine = make_driver()
            mine.plug(INSTANCE, one)
            mine.apply_filter(INSTANCE, one, RULES)
            mine.serve_dhcp(INSTANCE, one, server)
            mine.withdraw_dhcp(one.network_id, one.port_id)
            mine.remove_filter(one.port_id)
            mine.unplug(INSTANCE, one.devname)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(there_and_back, vifs))
        assert everything(driver) == []


def server_of(vif: Vif) -> Port:
    """The port of the DHCP server of the VIF's network."""
    port = str(uuid.uuid4())
    return Port(port, "", vif.network_id, "demo", "fa:16:3e:ff:00:01", (FixedIp(vif.subnets[0].id, "10.0.0.2"),))


def router_of(vif: Vif) -> HostedRouter:
    """A router that leads to the VIF's subnets, by a port that is the VIF."""
    return HostedRouter(Router(str(uuid.uuid4()), "edge", "demo"), (vif,))


def beside(vif: Vif, number: int) -> Vif:
    """Another VIF on the same network."""
    port = str(uuid.uuid4())
    address = replace(vif.fixed_ips[0], ip_address=f"10.0.0.{number}")
    mac = f"fa:16:3e:00:01:{number:02x}"
    return replace(vif, port_id=port, devname=f"tap{port[:11]}", mac_address=mac, fixed_ips=(address,))


def found(driver: WiringDriver, *names: str) -> list[Wired]:
    """What a driver lists that has these, with nothing wrong; one that has no effect lists nothing."""
    return [] if driver.local else [Wired(name) for name in sorted(names)]


def said(listed: Sequence[Wired], *, of: str = "") -> list[Wired]:
    """What is listed, without what a driver need not tell: whose it is (`of` where it is told), and `joined`."""
    assert {one.of for one in listed} <= {"", of}
    return [Wired(one.name, one.fault) for one in listed]


def everything(driver: WiringDriver) -> list[Wired]:
    """All that the driver lists."""
    return [*driver.list_taps(), *driver.list_filters(), *driver.list_dhcp(), *driver.list_routers([])]
