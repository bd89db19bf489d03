"""Ports of DHCP servers: what a real Neutron 25.2.3 was seen to do with those that its DHCP agents ask for."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.drivers.network.embedded.driver import EmbeddedNetwork
from slipway.model.network import Context, Port, QuotaUse, Subnet
from slipway.states.store import Store

SLAAC = {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}
STATEFUL = {"ipv6_ra_mode": "dhcpv6-stateful", "ipv6_address_mode": "dhcpv6-stateful"}
DEFAULT_GROUP = QuotaUse(security_group=1, security_group_rule=4)
"""What a project has of its first network for good."""
FROM_MAC = "f816:3eff:fe11:2233"


class Site:
    """A network with an IPv4, a stateful and a SLAAC subnet, and the DHCP port of a host on it."""

    def __init__(self, driver: EmbeddedNetwork, admin: Context) -> None:
        self.driver, self.admin = driver, admin
        self.network_id = driver.create_network(admin, name="net").id
        self.v4 = self.add("10.0.0.0/24")
        self.v6 = self.add("2001:db8:1::/64", **STATEFUL)
        self.slaac = self.add("2001:db8:2::/64", **SLAAC)
        self.port = self.create_port()

    def add(self, cidr: str, **modes: Any) -> Subnet:
        version = 6 if ":" in cidr else 4
        return self.driver.create_subnet(self.admin, network_id=self.network_id, cidr=cidr, ip_version=version, **modes)

    def create_port(self) -> Port:
        return self.driver.create_port(
            self.admin,
            key=f"dhcp/{self.network_id}/host-1",
            network_id=self.network_id,
            device_owner="network:dhcp",
            device_id=f"dhcp-host-1-{self.network_id}",
            mac_address="fa:16:3e:11:22:33",
            fixed_ips=[{"subnet_id": self.v4.id}, {"subnet_id": self.v6.id}],
        )

    def addresses(self) -> set[str]:
        return {ip.ip_address for ip in self.driver.show_port(self.admin, self.port.id).fixed_ips}


@pytest.fixture
def site(driver: EmbeddedNetwork, admin: Context) -> Site:
    return Site(driver, admin)


def test_it_has_an_address_of_each_subnet_and_no_security(site: Site) -> None:
    assert site.addresses() == {"10.0.0.2", "2001:db8:1::1", f"2001:db8:2:0:{FROM_MAC}"}
    assert (site.port.port_security_enabled, site.port.security_groups, site.port.status) == (False, (), "DOWN")


def test_asked_for_again_it_is_the_same(site: Site) -> None:
    assert site.create_port() == site.port
    assert site.driver.show_quota(site.admin, site.admin.project_id).used.port == 1


def test_a_new_subnet_is_served_when_it_is_named_and_a_slaac_one_by_itself(site: Site) -> None:
    before = site.addresses()
    second = site.add("10.1.0.0/24")
    site.add("2001:db8:3::/64", **SLAAC)
    assert site.addresses() == before | {f"2001:db8:3:0:{FROM_MAC}"}
    named = [{"subnet_id": each.id} for each in (site.v4, site.v6, second)]
    site.driver.update_port(site.admin, site.port.id, fixed_ips=named)
    assert site.addresses() == before | {f"2001:db8:3:0:{FROM_MAC}", "10.1.0.2"}


def test_it_does_not_keep_a_subnet(site: Site) -> None:
    for subnet in (site.v4, site.v6, site.slaac):
        site.driver.delete_subnet(site.admin, subnet.id)
    assert site.addresses() == set()


@pytest.mark.parametrize("device_id", ["dhcp-host-1", "reserved_dhcp_port"])
def test_it_goes_with_its_network(site: Site, device_id: str, store: Store) -> None:
    site.driver.update_port(site.admin, site.port.id, device_id=device_id)
    site.driver.delete_network(site.admin, site.network_id)
    assert site.driver.find_port(site.admin, f"dhcp/{site.network_id}/host-1") is None
    assert site.driver.show_quota(site.admin, site.admin.project_id).used == DEFAULT_GROUP
    with store.read() as tx:
        assert tx.exec_driver_sql("SELECT count(*) FROM allocations").scalar() == 0
