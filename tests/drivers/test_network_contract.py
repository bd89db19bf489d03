"""What every network driver guarantees. A new driver: a class like `Embedded`, and a line in `SERVICES`."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from ipaddress import IPv6Address
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from slipway import errors
from slipway.drivers.network.base import NetworkDriver
from slipway.drivers.registry import driver_class
from slipway.model.network import AllocationPool, Context, FixedIp, HostRoute, Network, Subnet
from slipway.settings import Settings
from slipway.states.store import Store
from tests.neutron.process import HOSTS, VIF_TYPE
from tests.waiting import PATIENCE

NOBODY = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
"""An id that nothing has."""


class Service:
    """A network service under test, with a project that nobody used before."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.store, self.settings = store, settings
        self.user = Context(f"demo-{uuid.uuid4().hex[:8]}")
        self.admin = Context(self.user.project_id, is_admin=True)
        self.stranger = Context(f"other-{uuid.uuid4().hex[:8]}")

    def driver(self) -> NetworkDriver:
        """A new driver object of the same service, as after a restart."""
        driver: NetworkDriver = driver_class("network", self.settings.network)(self.store, self.settings)
        return driver


def a_real_neutron(request: pytest.FixtureRequest) -> Settings:
    return Settings(network="neutron", endpoint=request.getfixturevalue("neutron").endpoint)


SERVICES: dict[str, Callable[[pytest.FixtureRequest], Settings]] = {
    "embedded": lambda _request: Settings(),
    "neutron": a_real_neutron,
}


@pytest.fixture(params=list(SERVICES))
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    store = Store(f"sqlite:///{tmp_path / 'slipway.db'}", synchronous="OFF")
    yield Service(store, SERVICES[request.param](request))
    store.close()


@pytest.fixture
def driver(service: Service) -> NetworkDriver:
    return service.driver()


@pytest.fixture
def network(service: Service, driver: NetworkDriver) -> Network:
    return driver.create_network(service.admin, name="net", project_id=service.user.project_id)


@pytest.fixture
def subnet(service: Service, driver: NetworkDriver, network: Network) -> Subnet:
    return driver.create_subnet(service.user, network_id=network.id, name="subnet", cidr="10.0.0.0/24", ip_version=4)


@contextmanager
def raises(service: Service, kind: type[errors.NetworkError], text: str | None = None) -> Iterator[None]:
    """Just this class, whose text names no more than one line."""
    with pytest.raises(kind, match=text) as caught:
        yield
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)


# --- networks -------------------------------------------------------------------------------------------------------


def test_a_network_is_the_projects_own(service: Service, driver: NetworkDriver) -> None:
    made = driver.create_network(service.admin, name="net", mtu=1400, shared=False, project_id=service.user.project_id)
    assert (made.name, made.mtu, made.project_id, made.shared) == ("net", 1400, service.user.project_id, False)
    assert (made.port_security_enabled, made.router_external, made.status) == (True, False, "ACTIVE")
    seen = service.driver().show_network(service.user, made.id)
    assert (seen.id, seen.name, seen.mtu) == (made.id, "net", 1400)
    assert [each.id for each in driver.list_networks(service.user, name="net")] == [made.id]
    assert list(driver.list_networks(service.user, name="another")) == []


def test_networks_are_listed_by_name(service: Service, driver: NetworkDriver) -> None:
    for name in ("b", "c", "a"):
        driver.create_network(service.user, name=name)
    own = [each.name for each in driver.list_networks(service.user) if each.project_id == service.user.project_id]
    assert own == ["a", "b", "c"]


def test_a_strangers_network_is_not_found(service: Service, driver: NetworkDriver, network: Network) -> None:
    assert list(driver.list_networks(service.stranger, name="net")) == []
    with raises(service, errors.NetworkNotFound, network.id):
        driver.show_network(service.stranger, network.id)
    with raises(service, errors.NetworkNotFound, network.id):
        driver.delete_network(service.stranger, network.id)
    assert driver.show_network(service.user, network.id).id == network.id


def test_a_shared_network_is_seen_by_all(service: Service, driver: NetworkDriver) -> None:
    made = driver.create_network(service.admin, name=f"shared-{uuid.uuid4()}", shared=True)
    try:
        assert [each.id for each in driver.list_networks(service.stranger, name=made.name)] == [made.id]
    finally:
        driver.delete_network(service.admin, made.id)


def test_only_an_administrator_shares(service: Service, driver: NetworkDriver) -> None:
    with pytest.raises(errors.Forbidden):
        driver.create_network(service.user, name="net", shared=True)
    assert list(driver.list_networks(service.user, name="net")) == []


def test_a_network_in_use_stays(service: Service, driver: NetworkDriver, network: Network, subnet: Subnet) -> None:
    port = driver.create_port(service.user, network_id=network.id)
    with raises(service, errors.NetworkInUse):
        driver.delete_network(service.user, network.id)
    driver.delete_port(service.user, port.id)
    driver.delete_network(service.user, network.id)
    with raises(service, errors.NetworkNotFound, network.id):
        driver.show_network(service.user, network.id)
    assert list(driver.list_subnets(service.admin, network_id=network.id)) == []


# --- subnets --------------------------------------------------------------------------------------------------------


def test_a_subnet_is_as_it_was_asked_for(service: Service, driver: NetworkDriver, network: Network) -> None:
    made = driver.create_subnet(
        service.user,
        network_id=network.id,
        name="subnet",
        cidr="192.168.0.0/24",
        ip_version=4,
        gateway_ip=None,
        enable_dhcp=False,
        allocation_pools=[{"start": "192.168.0.10", "end": "192.168.0.20"}],
        dns_nameservers=["192.168.0.1"],
        host_routes=[{"destination": "10.1.0.0/16", "nexthop": "192.168.0.9"}],
    )
    assert made == Subnet(
        id=made.id,
        name="subnet",
        network_id=network.id,
        project_id=service.user.project_id,
        ip_version=4,
        cidr="192.168.0.0/24",
        gateway_ip=None,
        allocation_pools=(AllocationPool("192.168.0.10", "192.168.0.20"),),
        enable_dhcp=False,
        dns_nameservers=("192.168.0.1",),
        host_routes=(HostRoute("10.1.0.0/16", "192.168.0.9"),),
    )
    assert list(service.driver().list_subnets(service.user, network_id=network.id, name="subnet")) == [made]


def test_what_a_subnet_does_not_say_is_neutrons_default(subnet: Subnet) -> None:
    assert (subnet.gateway_ip, subnet.enable_dhcp) == ("10.0.0.1", True)
    assert subnet.allocation_pools == (AllocationPool("10.0.0.2", "10.0.0.254"),)


def test_a_subnet_of_ipv6_keeps_its_modes(service: Service, driver: NetworkDriver, network: Network) -> None:
    modes: dict[str, Any] = {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}
    made = driver.create_subnet(service.user, network_id=network.id, cidr="2001:db8::/64", ip_version=6, **modes)
    assert (made.ipv6_ra_mode, made.ipv6_address_mode, made.ip_version) == ("slaac", "slaac", 6)
    port = driver.create_port(service.user, network_id=network.id)
    first, *rest = (int(part, 16) for part in port.mac_address.split(":"))
    eui = bytes((first ^ 2, *rest[:2], 0xFF, 0xFE, *rest[2:]))
    assert [IPv6Address(ip.ip_address).packed[8:] for ip in port.fixed_ips] == [eui]


def test_subnets_of_two_networks_are_told_apart(service: Service, driver: NetworkDriver, subnet: Subnet) -> None:
    other = driver.create_network(service.user, name="other")
    second = driver.create_subnet(service.user, network_id=other.id, cidr="10.0.0.0/24", ip_version=4)
    assert [each.id for each in driver.list_subnets(service.user, network_id=other.id)] == [second.id]
    assert {each.id for each in driver.list_subnets(service.user)} == {subnet.id, second.id}


def test_a_subnet_in_use_stays(service: Service, driver: NetworkDriver, network: Network, subnet: Subnet) -> None:
    port = driver.create_port(service.user, network_id=network.id)
    with raises(service, errors.SubnetInUse):
        driver.delete_subnet(service.user, subnet.id)
    driver.delete_port(service.user, port.id)
    driver.delete_subnet(service.user, subnet.id)
    with raises(service, errors.SubnetNotFound, subnet.id):
        driver.delete_subnet(service.user, subnet.id)


@pytest.mark.parametrize(
    ("wanted", "kind"),
    [
        ({"gateway_ip": "10.0.0.5", "allocation_pools": [{"start": "10.0.0.2", "end": "10.0.0.9"}]},
         errors.GatewayConflictWithAllocationPools),
        ({"allocation_pools": [{"start": "10.0.0.2", "end": "10.0.1.9"}]}, errors.OutOfBoundsAllocationPool),
        ({"allocation_pools": [{"start": "10.0.0.9", "end": "10.0.0.2"}]}, errors.InvalidAllocationPool),
        ({"ipv6_ra_mode": "slaac"}, errors.InvalidInput),
        ({"ip_version": 6}, errors.InvalidInput),
        ({"allocation_pools": [{"start": "10.0.0.2", "end": "10.0.0.9", "last": "10.0.0.5"}]}, errors.HTTPBadRequest),
        ({"host_routes": [{"destination": "10.1.0.0/16", "nexthop": "10.0.0.9", "via": 1}]}, errors.HTTPBadRequest),
        ({"gateway": "10.0.0.5"}, errors.HTTPBadRequest),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)  # fmt: skip
def test_a_subnet_that_cannot_be(
    service: Service, driver: NetworkDriver, network: Network, wanted: dict[str, Any], kind: type[errors.NetworkError]
) -> None:
    with raises(service, kind):
        driver.create_subnet(service.user, network_id=network.id, **{"cidr": "10.0.0.0/24", "ip_version": 4, **wanted})


# --- ports ----------------------------------------------------------------------------------------------------------


def test_a_port_gets_an_address(service: Service, driver: NetworkDriver, network: Network, subnet: Subnet) -> None:
    made = driver.create_port(
        service.user, network_id=network.id, name="port", device_id="vm-1", key=f"{network.id}/one"
    )
    assert (made.name, made.network_id, made.device_id, made.status) == ("port", network.id, "vm-1", "DOWN")
    assert made.project_id == service.user.project_id
    assert made.mac_address.startswith("fa:16:3e:")
    (address,) = made.fixed_ips
    assert address.subnet_id == subnet.id
    assert address.ip_address.startswith("10.0.0.")
    assert len(made.security_groups) == 1
    assert service.driver().show_port(service.user, made.id) == made


def test_a_port_is_as_it_was_asked_for(
    service: Service, driver: NetworkDriver, network: Network, subnet: Subnet
) -> None:
    group = driver.create_security_group(service.user, name="web")
    made = driver.create_port(
        service.admin,
        network_id=network.id,
        fixed_ips=[{"ip_address": "10.0.0.77"}],
        mac_address="fa:16:3e:00:00:77",
        security_groups=[group.id],
        extra_dhcp_opts=[{"opt_name": "mtu", "opt_value": "1400"}],
        admin_state_up=False,
        project_id=service.user.project_id,
    )
    assert made.fixed_ips == (FixedIp(subnet.id, "10.0.0.77"),)
    assert (made.mac_address, made.security_groups, made.admin_state_up) == ("fa:16:3e:00:00:77", (group.id,), False)
    assert [(option.opt_name, option.opt_value) for option in made.extra_dhcp_opts] == [("mtu", "1400")]
    assert made.project_id == service.user.project_id
    with raises(service, errors.SecurityGroupInUse):
        driver.delete_security_group(service.user, group.id)


@pytest.mark.parametrize("spelling", ["FA:16:3E:00:00:77", "fa-16-3e-00-00-77", "fa16.3e00.0077", "fa:16:3e:0:0:77"])
def test_a_mac_is_one_mac_however_it_is_spelled(
    service: Service, driver: NetworkDriver, network: Network, spelling: str
) -> None:
    wanted: dict[str, Any] = {"allowed_address_pairs": [{"ip_address": "10.0.0.9", "mac_address": spelling}]}
    made = driver.create_port(service.user, network_id=network.id, mac_address=spelling, **wanted)
    assert made.mac_address == "fa:16:3e:00:00:77"
    assert [each.mac_address for each in made.allowed_address_pairs] == ["fa:16:3e:00:00:77"]
    assert service.driver().show_port(service.user, made.id) == made


def test_no_addresses_and_no_groups(service: Service, driver: NetworkDriver, network: Network, subnet: Subnet) -> None:
    made = driver.create_port(service.user, network_id=network.id, fixed_ips=[], security_groups=[])
    assert (made.fixed_ips, made.security_groups) == ((), ())


@pytest.mark.parametrize(
    ("wanted", "kind"),
    [
        ({"network_id": NOBODY}, errors.NetworkNotFound),
        ({"fixed_ips": [{"ip_address": "10.0.0.50"}]}, errors.IpAddressAlreadyAllocated),
        ({"fixed_ips": [{"ip_address": "10.9.0.1"}]}, errors.InvalidIpForNetwork),
        ({"fixed_ips": [{"ip_address": "10.0.0.255"}]}, errors.InvalidIpForNetwork),
        ({"fixed_ips": [{"subnet_id": NOBODY}]}, errors.SubnetNotFound),
        ({"mac_address": "fa:16:3e:00:00:50"}, errors.MacAddressInUse),
        ({"security_groups": [NOBODY]}, errors.SecurityGroupNotFound),
        ({"fixed_ips": [{"ip_adress": "10.0.0.9"}]}, errors.HTTPBadRequest),
        ({"fixed_ips": [{"ip_address": "10.0.0.9", "subnet": "subnet"}]}, errors.HTTPBadRequest),
        ({"extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": "1", "version": 4}]}, errors.InvalidInput),
        ({"allowed_address_pairs": [{"ip_address": "10.0.0.9", "mac": "fa:16:3e:00:00:51"}]}, errors.HTTPBadRequest),
        ({"mac": "fa:16:3e:00:00:51"}, errors.HTTPBadRequest),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_port_that_cannot_be(
    service: Service,
    driver: NetworkDriver,
    network: Network,
    subnet: Subnet,
    wanted: dict[str, Any],
    kind: type[errors.NetworkError],
) -> None:
    taken = driver.create_port(
        service.user, network_id=network.id, fixed_ips=[{"ip_address": "10.0.0.50"}], mac_address="fa:16:3e:00:00:50"
    )
    with raises(service, kind):
        driver.create_port(service.user, key="bad", **{"network_id": network.id, **wanted})
    assert driver.find_port(service.admin, "bad") is None
    assert [port.id for port in driver.list_ports(service.user)] == [taken.id]


def test_addresses_run_out(service: Service, driver: NetworkDriver, network: Network) -> None:
    driver.create_subnet(service.user, network_id=network.id, cidr="10.0.0.0/29", ip_version=4)
    for _ in range(5):
        driver.create_port(service.user, network_id=network.id)
    with raises(service, errors.IpAddressGenerationFailure):
        driver.create_port(service.user, network_id=network.id)


def test_a_strangers_port_is_not_found(
    service: Service, driver: NetworkDriver, network: Network, subnet: Subnet
) -> None:
    port = driver.create_port(service.user, network_id=network.id)
    for call in (driver.show_port, driver.delete_port):
        with raises(service, errors.PortNotFound, port.id):
            call(service.stranger, port.id)
    with raises(service, errors.PortNotFound, port.id):
        driver.update_port(service.stranger, port.id, name="mine")
    assert list(driver.list_ports(service.stranger)) == []
    assert driver.show_port(service.user, port.id) == port


@pytest.mark.parametrize("port_id", [NOBODY, "web-port", "../networks", "", "a?b=c"])
def test_what_is_no_port_is_not_found(service: Service, driver: NetworkDriver, port_id: str) -> None:
    with raises(service, errors.PortNotFound):
        driver.show_port(service.user, port_id)
    with raises(service, errors.PortNotFound):
        driver.delete_port(service.admin, port_id)


def test_a_port_is_updated(service: Service, driver: NetworkDriver, network: Network, subnet: Subnet) -> None:
    port = driver.create_port(service.user, network_id=network.id, device_id="vm-1")
    changed = driver.update_port(service.user, port.id, device_id="", name="free")
    assert (changed.device_id, changed.name, changed.fixed_ips) == ("", "free", port.fixed_ips)
    again = driver.update_port(service.user, port.id, device_id="", name="free")
    assert again.fixed_ips == port.fixed_ips
    assert driver.show_port(service.user, port.id) == again


def test_a_port_that_has_changed_since_it_was_looked_at_stays_as_it_is(
    service: Service, driver: NetworkDriver, network: Network, subnet: Subnet
) -> None:
    port = driver.create_port(service.user, network_id=network.id)
    taken = driver.update_port(service.user, port.id, unchanged=port, device_id="vm-1")
    with raises(service, errors.RevisionNumberConstraintFailed):
        driver.update_port(service.user, port.id, unchanged=port, device_id="vm-2")
    assert driver.show_port(service.user, port.id) == taken
    freed = driver.update_port(service.user, port.id, unchanged=taken, device_id="")
    assert freed.device_id == ""


def test_a_port_is_bound_and_unbound(service: Service, driver: NetworkDriver, network: Network, subnet: Subnet) -> None:
    port = driver.create_port(service.user, network_id=network.id, device_id="vm-1")
    for host in HOSTS:
        bound = driver.update_port(service.admin, port.id, device_owner="compute:nova", binding_host_id=host)
        assert (bound.binding_host_id, bound.device_owner) == (host, "compute:nova")
        assert bound.binding_vif_type == ("bridge" if driver.local else VIF_TYPE)
        assert (bound.binding_vnic_type, bound.binding_profile) == ("normal", "{}")
        assert service.driver().show_port(service.admin, port.id) == bound
    free = driver.update_port(service.admin, port.id, device_owner="", binding_host_id="")
    assert (free.binding_host_id, free.binding_vif_type, free.device_owner) == ("", "unbound", "")
    assert (free.fixed_ips, free.mac_address) == (port.fixed_ips, port.mac_address)


def test_only_an_administrator_binds(service: Service, driver: NetworkDriver, network: Network, subnet: Subnet) -> None:
    port = driver.create_port(service.user, network_id=network.id)
    with pytest.raises(errors.Forbidden):
        driver.update_port(service.user, port.id, binding_host_id=HOSTS[0])
    assert driver.show_port(service.admin, port.id).binding_host_id == ""


def test_a_port_has_a_dns_name(service: Service, driver: NetworkDriver, network: Network) -> None:
    made = driver.create_port(service.user, network_id=network.id, key=f"{network.id}/dns", dns_name="web-1")
    assert made.dns_name == "web-1"
    assert service.driver().show_port(service.user, made.id).dns_name == "web-1"
    assert driver.create_port(service.user, network_id=network.id).dns_name == ""


def test_a_deleted_port_is_gone_and_its_address_free(
    service: Service, driver: NetworkDriver, network: Network, subnet: Subnet
) -> None:
    wanted = [{"ip_address": "10.0.0.9"}]
    for _ in range(2):
        port = driver.create_port(service.user, network_id=network.id, fixed_ips=wanted, key=f"{network.id}/one")
        driver.delete_port(service.admin, port.id)
        with raises(service, errors.PortNotFound, port.id):
            driver.delete_port(service.admin, port.id)
        assert driver.find_port(service.admin, f"{network.id}/one") is None


# --- lists of ports -------------------------------------------------------------------------------------------------


def test_ports_are_filtered_by_all_that_is_given(
    service: Service, driver: NetworkDriver, network: Network, subnet: Subnet
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
    service: Service, driver: NetworkDriver, network: Network, subnet: Subnet
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
    service: Service, driver: NetworkDriver, network: Network, subnet: Subnet
) -> None:
    """As audit does."""
    port = driver.create_port(service.user, network_id=network.id)
    assert port.id in {each.id for each in driver.list_ports(Context("", is_admin=True))}


# --- keys -----------------------------------------------------------------------------------------------------------


def test_a_port_with_a_key_is_made_once(
    service: Service, driver: NetworkDriver, network: Network, subnet: Subnet
) -> None:
    key = f"{network.id}/create-port/0"
    first = driver.create_port(service.user, network_id=network.id, key=key, device_id="vm")
    for again in (driver, service.driver()):
        assert again.create_port(service.user, network_id=network.id, key=key, device_id="vm") == first
        found = again.find_port(service.admin, key)
        assert found is not None
        assert found.id == first.id
    assert len(driver.list_ports(service.user)) == 1


def test_keys_are_told_apart(service: Service, driver: NetworkDriver, network: Network, subnet: Subnet) -> None:
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
    service: Service, driver: NetworkDriver, network: Network, subnet: Subnet
) -> None:
    port = driver.create_port(service.user, network_id=network.id, key=f"{network.id}/0", device_id="vm")
    driver.update_port(service.admin, port.id, device_owner="compute:nova", binding_host_id=HOSTS[0])
    driver.update_port(service.admin, port.id, device_owner="", binding_host_id="", device_id="")
    found = driver.find_port(service.admin, f"{network.id}/0")
    assert found is not None
    assert found.id == port.id


def test_a_port_with_a_key_is_ours(service: Service, driver: NetworkDriver, network: Network, subnet: Subnet) -> None:
    port = driver.create_port(service.user, network_id=network.id, key=f"{network.id}/0", device_id="vm")
    assert driver.is_ours(port)
    driver.update_port(service.admin, port.id, device_id="")
    assert service.driver().is_ours(driver.show_port(service.user, port.id))
    plain = driver.create_port(service.user, network_id=network.id)
    assert driver.is_ours(plain) == driver.local


def test_one_key_asked_for_at_once_leaves_one_port(service: Service, network: Network, subnet: Subnet) -> None:
    """Four workers in step, three times; afterwards, whoever looks finds just one port and its addresses are one."""
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


# --- security groups ------------------------------------------------------------------------------------------------


def test_the_default_group_is_there(service: Service, driver: NetworkDriver) -> None:
    (group,) = driver.list_security_groups(service.user)
    assert (group.name, group.project_id) == ("default", service.user.project_id)


def test_a_group_with_rules(service: Service, driver: NetworkDriver) -> None:
    group = driver.create_security_group(service.user, name="web")
    assert {(rule.direction, rule.ethertype) for rule in group.rules} == {("egress", "IPv4"), ("egress", "IPv6")}
    wanted: dict[str, Any] = {"direction": "ingress", "ethertype": "IPv4", "protocol": "tcp", "port_range_min": 80}
    wanted |= {"port_range_max": 81, "remote_ip_prefix": "10.0.0.0/8"}
    rule = driver.create_security_group_rule(service.user, security_group_id=group.id, **wanted)
    assert {name: getattr(rule, name) for name in wanted} == wanted
    with raises(service, errors.SecurityGroupRuleExists):
        driver.create_security_group_rule(service.user, security_group_id=group.id, **wanted)
    (seen,) = service.driver().list_security_groups(service.user, name="web")
    assert rule in seen.rules
    assert len(seen.rules) == 3
    assert list(driver.list_security_groups(service.stranger, name="web")) == []
    driver.delete_security_group(service.user, group.id)
    with raises(service, errors.SecurityGroupNotFound, group.id):
        driver.delete_security_group(service.user, group.id)


# --- many at once ---------------------------------------------------------------------------------------------------


def test_ports_made_at_once_have_addresses_of_their_own(service: Service, network: Network, subnet: Subnet) -> None:
    driver = service.driver()
    with ThreadPoolExecutor(4) as pool:
        names = [f"p{random.getrandbits(64)}" for _ in range(12)]
        ports = list(pool.map(lambda name: driver.create_port(service.user, network_id=network.id, name=name), names))
    assert [port.name for port in ports] == names
    assert len({ip.ip_address for port in ports for ip in port.fixed_ips}) == 12
