"""Ports in number: lists, keys by which each is made once, many at once."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from slipway.drivers.network.base import NetworkDriver
from slipway.model.network import Network, Subnet
from slipway.model.neutron import ADMIN
from slipway.testing.contracts.network.service import HOSTS, NOBODY, Service, ServiceContract
from slipway.testing.contracts.samples import PATIENCE


class KeysContract(ServiceContract):
    """What is found again, and made once."""

    # --- lists of ports ---------------------------------------------------------------------------------------------

    def test_ports_are_filtered_by_all_that_is_given(
        self, service: Service, driver: NetworkDriver, network: Network, subnet: Subnet
    ) -> None:
        driver.create_subnet(service.user, network_id=network.id, cidr="2001:db8::/64", ip_version=6)
        one = driver.create_port(
            service.user, network_id=network.id, name="a", device_id="vm-1",
            fixed_ips=[{"ip_address": "10.0.0.9"}, {"ip_address": "2001:db8::9"}],
        )  # fmt: skip
        two = driver.create_port(service.user, network_id=network.id, name="b", device_id="vm-1")

        def ids(**filters: str) -> set[str]:
            return {port.id for port in driver.list_ports(service.user, **filters)}  # type: ignore[arg-type]

        assert ids(device_id="vm-1") == ids(network_id=network.id) == ids() == {one.id, two.id}
        assert ids(name="a") == ids(ip_address="10.0.0.9") == ids(ip_address="2001:0DB8::0009") == {one.id}
        assert ids(name="a", device_id="vm-2") == ids(ip_address="10.0.0.90") == ids(network_id=NOBODY) == set()

    def test_pages_are_all_ports_each_once(
        self, service: Service, driver: NetworkDriver, network: Network, subnet: Subnet
    ) -> None:
        made = {driver.create_port(service.user, network_id=network.id).id for _ in range(7)}
        seen: list[str] = []
        sizes = []
        marker = None
        while page := driver.list_ports(service.user, sort_key="id", limit=3, marker=marker):
            seen += [port.id for port in page]
            sizes.append(len(page))
            marker = page[-1].id
        assert seen == sorted(made)
        assert sizes == [3, 3, 1]

    def test_an_administrator_lists_every_projects_ports(
        self, service: Service, driver: NetworkDriver, network: Network, subnet: Subnet
    ) -> None:
        """As audit does."""
        port = driver.create_port(service.user, network_id=network.id)
        assert port.id in {each.id for each in driver.list_ports(ADMIN)}

    # --- keys -------------------------------------------------------------------------------------------------------

    def test_a_port_with_a_key_is_made_once(
        self, service: Service, driver: NetworkDriver, network: Network, subnet: Subnet
    ) -> None:
        key = f"{network.id}/create-port/0"
        first = driver.create_port(service.user, network_id=network.id, key=key, device_id="vm")
        for again in (driver, service.driver()):
            assert again.create_port(service.user, network_id=network.id, key=key, device_id="vm") == first
            found = again.find_port(service.admin, key)
            assert found is not None
            assert found.id == first.id
        assert len(driver.list_ports(service.user)) == 1

    def test_keys_are_told_apart(
        self, service: Service, driver: NetworkDriver, network: Network, subnet: Subnet
    ) -> None:
        keys = ["vm/create-port/0", "vm/create-port/1", "vm/create-port/10", "vm/" + "x" * 500, "ü,&=%", ""]
        keys = [service.user.project_id + key for key in keys]
        made = {key: driver.create_port(service.user, network_id=network.id, key=key).id for key in keys}
        assert len(set(made.values())) == len(keys)
        for key, port_id in made.items():
            found = driver.find_port(service.admin, key)
            assert found is not None
            assert found.id == port_id
        assert driver.find_port(service.admin, service.user.project_id + "vm/create-port/2") is None

    def test_a_key_survives_what_a_build_does_to_its_port(
        self, service: Service, driver: NetworkDriver, network: Network, subnet: Subnet
    ) -> None:
        port = driver.create_port(service.user, network_id=network.id, key=f"{network.id}/0", device_id="vm")
        driver.update_port(service.admin, port.id, device_owner="compute:nova", binding_host_id=HOSTS[0])
        driver.update_port(service.admin, port.id, device_owner="", binding_host_id="", device_id="")
        found = driver.find_port(service.admin, f"{network.id}/0")
        assert found is not None
        assert found.id == port.id

    def test_a_port_with_a_key_is_ours(
        self, service: Service, driver: NetworkDriver, network: Network, subnet: Subnet
    ) -> None:
        port = driver.create_port(service.user, network_id=network.id, key=f"{network.id}/0", device_id="vm")
        assert driver.is_ours(port)
        driver.update_port(service.admin, port.id, device_id="")
        assert service.driver().is_ours(driver.show_port(service.user, port.id))
        plain = driver.create_port(service.user, network_id=network.id)
        assert driver.is_ours(plain) == driver.local

    def test_one_key_asked_for_at_once_leaves_one_port(
        self, service: Service, network: Network, subnet: Subnet
    ) -> None:
        """Four workers in step, three times; whoever looks afterwards finds just one port."""
        barrier = Barrier(4)
        drivers = [service.driver() for _ in range(4)]

        def make(number: int, key: str) -> str:
            barrier.wait(PATIENCE)
            return drivers[number].create_port(service.user, network_id=network.id, key=key).id

        with ThreadPoolExecutor(4) as pool:
            for attempt in range(3):
                key = f"{network.id}/{attempt}"
                list(pool.map(make, range(4), [key] * 4))
                found = service.driver().find_port(service.admin, key)
                assert found is not None
                left = service.driver().list_ports(service.user)
                assert [port.id for port in left] == [found.id]
                service.driver().delete_port(service.admin, found.id)

    # --- many at once -----------------------------------------------------------------------------------------------

    def test_ports_made_at_once_have_addresses_of_their_own(
        self, service: Service, network: Network, subnet: Subnet
    ) -> None:
        driver = service.driver()
        with ThreadPoolExecutor(4) as pool:
            names = [f"p{random.getrandbits(64)}" for _ in range(12)]
            ports = list(
                pool.map(lambda name: driver.create_port(service.user, network_id=network.id, name=name), names)
            )
        assert [port.name for port in ports] == names
        assert len({ip.ip_address for port in ports for ip in port.fixed_ips}) == 12
