"""The rows of the build's checklist that the network service is to keep, by number."""

from __future__ import annotations

import random
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from slipway import errors
from slipway.drivers.network.embedded.common import tables
from slipway.drivers.network.embedded.driver import EmbeddedNetwork
from slipway.model.network import Context, FixedIp
from slipway.settings import Settings
from slipway.states.store import Store

V6 = "2001:db8::/64"
MAC, EUI64 = "fa:16:3e:11:22:33", "2001:db8::f816:3eff:fe11:2233"


@pytest.fixture
def network_id(driver: EmbeddedNetwork, admin: Context) -> str:
    return driver.create_network(admin, name="net").id


def subnet(driver: EmbeddedNetwork, network_id: str, cidr: str, **attributes: Any) -> str:
    version = 6 if ":" in cidr else 4
    admin = Context("demo", is_admin=True)
    return driver.create_subnet(admin, network_id=network_id, cidr=cidr, ip_version=version, **attributes).id


def slaac(driver: EmbeddedNetwork, network_id: str) -> str:
    return subnet(driver, network_id, V6, ipv6_ra_mode="slaac", ipv6_address_mode="slaac")


def rows(store: Store) -> dict[str, list[Any]]:
    with store.read() as tx:
        return {table.name: [tuple(row) for row in tx.execute(sa.select(table))] for table in tables.TABLES}


def test_s1_the_port_and_all_its_parts_are_one_transaction(
    driver: EmbeddedNetwork, store: Store, admin: Context, network_id: str
) -> None:
    subnet(driver, network_id, "10.0.0.0/24")
    driver.list_security_groups(admin)
    before = rows(store)
    parts: dict[str, Any] = {
        "fixed_ips": [{"ip_address": "10.0.0.9"}],
        "allowed_address_pairs": [{"ip_address": "10.0.0.77"}],
        "extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": "1400"}],
    }
    with pytest.raises(errors.InvalidInput):
        driver.create_port(admin, network_id=network_id, binding_profile={"a": "x" * 5000}, **parts)
    after = rows(store)
    after["quotas"] = [row for row in after["quotas"] if row in before["quotas"] or row[2] != 0]
    assert after == before
    port = driver.create_port(admin, network_id=network_id, binding_host_id="node-1", **parts)
    assert driver.show_port(admin, port.id) == port
    assert port.security_groups
    assert port.allowed_address_pairs
    assert port.extra_dhcp_opts
    assert port.binding_vif_type == "bridge"


def test_s3_the_network_must_exist_and_routers_ports_are_routers(driver: EmbeddedNetwork, network_id: str) -> None:
    with pytest.raises(errors.NetworkNotFound):
        driver.create_port(Context("demo"), network_id="11111111-2222-3333-4444-555555555555")
    with pytest.raises(errors.DeviceIDNotOwnedByTenant):
        driver.create_port(
            Context("demo"), network_id=network_id, device_owner="network:router_interface", device_id="router"
        )


@pytest.mark.parametrize(
    ("base_mac", "fixed"), [("fa:16:3e:00:00:00", "fa:16:3e:"), ("fe:ed:01:02:00:00", "fe:ed:01:02:")]
)
def test_s4_macs_begin_as_base_mac(store: Store, admin: Context, base_mac: str, fixed: str) -> None:
    driver = EmbeddedNetwork(store, Settings(base_mac=base_mac))
    network = driver.create_network(admin, name="net")
    macs = {driver.create_port(admin, network_id=network.id).mac_address for _ in range(20)}
    assert len(macs) == 20
    assert all(mac.startswith(fixed) for mac in macs)


@pytest.mark.parametrize("base_mac", ["01:00:5e:00:00:00", "fa:16:3e", "", "00:00:00:00:00:00"])
def test_s4_base_macs_that_no_nic_can_have(store: Store, base_mac: str) -> None:
    with pytest.raises(errors.HTTPBadRequest, match="base_mac"):
        EmbeddedNetwork(store, Settings(base_mac=base_mac))


class Scripted(random.SystemRandom):
    """Draws these last octets, one after the other."""

    def __init__(self, draws: list[int]) -> None:
        super().__init__()
        self.draws = draws

    def randbytes(self, n: int) -> bytes:
        return bytes([0] * (n - 1) + [self.draws.pop(0)])


def test_s4_a_clash_is_drawn_again_within_the_network_only(store: Store, admin: Context) -> None:
    driver = EmbeddedNetwork(store, Settings(mac_generation_retries=3), rng=Scripted([1, 1, 1, 2, 1, 1, 2, 1]))
    net, other = driver.create_network(admin, name="net"), driver.create_network(admin, name="other")
    assert driver.create_port(admin, network_id=net.id).mac_address == "fa:16:3e:00:00:01"
    assert driver.create_port(admin, network_id=net.id).mac_address == "fa:16:3e:00:00:02"
    assert driver.create_port(admin, network_id=other.id).mac_address == "fa:16:3e:00:00:01"
    with pytest.raises(errors.MacAddressGenerationFailure):
        driver.create_port(admin, network_id=net.id)
    with pytest.raises(errors.MacAddressInUse):
        driver.create_port(admin, network_id=net.id, mac_address="fa:16:3e:00:00:01")


def test_s5_a_new_port_is_down(driver: EmbeddedNetwork, admin: Context, network_id: str) -> None:
    assert driver.create_port(admin, network_id=network_id).status == "DOWN"


def test_a1_one_address_of_each_version_and_those_from_the_mac(
    driver: EmbeddedNetwork, admin: Context, network_id: str
) -> None:
    v4 = subnet(driver, network_id, "10.0.0.0/24")
    subnet(driver, network_id, "10.1.0.0/24")
    stateful = subnet(driver, network_id, "2001:db8:1::/64")
    auto = slaac(driver, network_id)
    port = driver.create_port(admin, network_id=network_id, mac_address=MAC)
    drawn = (FixedIp(v4, "10.0.0.2"), FixedIp(stateful, "2001:db8:1::1"))
    assert port.fixed_ips == (*drawn, FixedIp(auto, EUI64))
    router = driver.create_port(admin, network_id=network_id, device_owner="network:router_interface")
    assert {each.subnet_id for each in router.fixed_ips} == {v4, stateful}


def test_a1_a_new_mac_makes_a_subnets_addresses_anew_whatever_is_asked_for_there(
    driver: EmbeddedNetwork, admin: Context, network_id: str
) -> None:
    """What comes after is looked at all the same (Neutron: `update_port_with_ips`)."""
    v4, auto = subnet(driver, network_id, "10.0.0.0/24"), slaac(driver, network_id)
    port = driver.create_port(admin, network_id=network_id, mac_address=MAC)
    asked = {"subnet_id": auto, "ip_address": "2001:db8::5"}
    mac = "0a:00:00:00:00:01"
    with pytest.raises(errors.SubnetNotFound):
        driver.update_port(admin, port.id, mac_address=mac, fixed_ips=[asked, {"subnet_id": str(uuid4())}])
    with pytest.raises(errors.AllocationOnAutoAddressSubnet):
        driver.update_port(admin, port.id, fixed_ips=[asked])
    changed = driver.update_port(admin, port.id, mac_address=mac, fixed_ips=[{"subnet_id": v4}, asked])
    assert changed.fixed_ips == (FixedIp(v4, "10.0.0.2"), FixedIp(auto, "2001:db8::800:ff:fe00:1"))


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({}, errors.InvalidInput),
        ({"ip_address": "192.168.7.7"}, errors.InvalidIpForNetwork),
        ({"subnet_id": "other"}, errors.InvalidInput),
        ({"ip_address": "10.0.0.9"}, errors.IpAddressInUse),
        ({"subnet_id": "own", "ip_address": "10.9.0.9"}, errors.InvalidIpForSubnet),
        ({"subnet_id": "slaac", "ip_address": "2001:db8::5"}, errors.AllocationOnAutoAddressSubnet),
        ({"subnet_id": "slaac", "ip_address": EUI64}, errors.AllocationOnAutoAddressSubnet),
    ],
)
def test_a2_what_is_asked_for_in_vain(
    driver: EmbeddedNetwork, admin: Context, network_id: str, asked: dict[str, str], error: type[Exception]
) -> None:
    other = driver.create_network(admin, name="other").id
    ids = {
        "own": subnet(driver, network_id, "10.0.0.0/24"),
        "slaac": slaac(driver, network_id),
        "other": subnet(driver, other, "10.9.0.0/24"),
    }
    driver.create_port(admin, network_id=network_id, fixed_ips=[{"ip_address": "10.0.0.9"}])
    entry = {key: ids.get(value, value) for key, value in asked.items()}
    with pytest.raises(error):
        driver.create_port(admin, network_id=network_id, mac_address=MAC, fixed_ips=[entry])
    assert len(driver.list_ports(admin)) == 1


def test_a3_addresses_are_served_before_subnets(driver: EmbeddedNetwork, admin: Context, network_id: str) -> None:
    own = subnet(driver, network_id, "10.0.0.0/30", gateway_ip=None)
    port = driver.create_port(admin, network_id=network_id, fixed_ips=[{"subnet_id": own}, {"ip_address": "10.0.0.1"}])
    assert port.fixed_ips == (FixedIp(own, "10.0.0.2"), FixedIp(own, "10.0.0.1"))


def test_a4_an_address_is_in_one_place_only(
    driver: EmbeddedNetwork, store: Store, admin: Context, network_id: str
) -> None:
    subnet(driver, network_id, "10.0.0.0/29")
    ports = [driver.create_port(admin, network_id=network_id, fixed_ips=[{"ip_address": "10.0.0.4"}])]
    ports += [driver.create_port(admin, network_id=network_id) for _ in range(4)]
    assert rows(store)["free_ranges"] == []
    assert len(rows(store)["allocations"]) == 5
    for port in ports:
        driver.delete_port(admin, port.id)
    assert sorted(str(first) for _, first, _, _ in rows(store)["free_ranges"]) == [f"10.0.0.{n}" for n in range(2, 7)]
    assert rows(store)["allocations"] == []


def test_a5_no_address_is_left(driver: EmbeddedNetwork, admin: Context, network_id: str) -> None:
    subnet(driver, network_id, "10.0.0.0/30")
    driver.create_port(admin, network_id=network_id)
    with pytest.raises(errors.IpAddressGenerationFailure):
        driver.create_port(admin, network_id=network_id)
    assert len(driver.list_ports(admin)) == 1
