"""Networks, subnets and security groups."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from ipaddress import IPv6Address
from typing import Any

import pytest

from slipway import errors
from slipway.drivers.network.base import NetworkDriver
from slipway.model.network import AllocationPool, HostRoute, Network, Subnet
from slipway.testing.contracts.network.service import Service, ServiceContract, raises
from slipway.testing.contracts.samples import lacking


class NetworksContract(ServiceContract):
    """What stands before ports can."""

    def test_it_has_all_that_the_protocol_names(self, make_driver: Callable[[], NetworkDriver]) -> None:
        assert lacking(make_driver(), NetworkDriver) == set()

    # --- networks ---------------------------------------------------------------------------------------------------

    def test_a_network_is_the_projects_own(self, service: Service, driver: NetworkDriver) -> None:
        made = driver.create_network(
            service.admin, name="net", mtu=1400, shared=False, project_id=service.user.project_id
        )
        assert (made.name, made.mtu, made.project_id, made.shared) == ("net", 1400, service.user.project_id, False)
        assert (made.port_security_enabled, made.router_external, made.status) == (True, False, "ACTIVE")
        seen = service.driver().show_network(service.user, made.id)
        assert (seen.id, seen.name, seen.mtu) == (made.id, "net", 1400)
        assert [each.id for each in driver.list_networks(service.user, name="net")] == [made.id]
        assert list(driver.list_networks(service.user, name="another")) == []

    def test_networks_are_listed_by_name(self, service: Service, driver: NetworkDriver) -> None:
        for name in ("b", "c", "a"):
            driver.create_network(service.user, name=name)
        own = [each.name for each in driver.list_networks(service.user) if each.project_id == service.user.project_id]
        assert own == ["a", "b", "c"]

    def test_a_strangers_network_is_not_found(self, service: Service, driver: NetworkDriver, network: Network) -> None:
        assert list(driver.list_networks(service.stranger, name="net")) == []
        with raises(errors.NetworkNotFound, network.id):
            driver.show_network(service.stranger, network.id)
        with raises(errors.NetworkNotFound, network.id):
            driver.delete_network(service.stranger, network.id)
        assert driver.show_network(service.user, network.id).id == network.id

    def test_a_shared_network_is_seen_by_all(self, service: Service, driver: NetworkDriver) -> None:
        made = driver.create_network(service.admin, name=f"shared-{uuid.uuid4()}", shared=True)
        try:
            assert [each.id for each in driver.list_networks(service.stranger, name=made.name)] == [made.id]
        finally:
            driver.delete_network(service.admin, made.id)

    def test_only_an_administrator_shares(self, service: Service, driver: NetworkDriver) -> None:
        with pytest.raises(errors.Forbidden):
            driver.create_network(service.user, name="net", shared=True)
        assert list(driver.list_networks(service.user, name="net")) == []

    def test_a_network_is_changed(self, service: Service, driver: NetworkDriver, network: Network) -> None:
        changed = driver.update_network(service.user, network.id, name="renamed", mtu=1400)
        assert (changed.id, changed.name, changed.mtu) == (network.id, "renamed", 1400)
        assert service.driver().show_network(service.user, network.id) == changed
        with raises(errors.NetworkNotFound, network.id):
            driver.update_network(service.stranger, network.id, name="taken")

    def test_a_network_in_use_stays(
        self, service: Service, driver: NetworkDriver, network: Network, subnet: Subnet
    ) -> None:
        port = driver.create_port(service.user, network_id=network.id)
        with raises(errors.NetworkInUse):
            driver.delete_network(service.user, network.id)
        driver.delete_port(service.user, port.id)
        driver.delete_network(service.user, network.id)
        with raises(errors.NetworkNotFound, network.id):
            driver.show_network(service.user, network.id)
        assert list(driver.list_subnets(service.admin, network_id=network.id)) == []

    # --- subnets ----------------------------------------------------------------------------------------------------

    def test_a_subnet_is_as_it_was_asked_for(self, service: Service, driver: NetworkDriver, network: Network) -> None:
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

    def test_what_a_subnet_does_not_say_is_neutrons_default(self, subnet: Subnet) -> None:
        assert (subnet.gateway_ip, subnet.enable_dhcp) == ("10.0.0.1", True)
        assert subnet.allocation_pools == (AllocationPool("10.0.0.2", "10.0.0.254"),)

    def test_a_subnet_of_ipv6_keeps_its_modes(self, service: Service, driver: NetworkDriver, network: Network) -> None:
        modes: dict[str, Any] = {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}
        made = driver.create_subnet(service.user, network_id=network.id, cidr="2001:db8::/64", ip_version=6, **modes)
        assert (made.ipv6_ra_mode, made.ipv6_address_mode, made.ip_version) == ("slaac", "slaac", 6)
        port = driver.create_port(service.user, network_id=network.id)
        first, *rest = (int(part, 16) for part in port.mac_address.split(":"))
        eui = bytes((first ^ 2, *rest[:2], 0xFF, 0xFE, *rest[2:]))
        assert [IPv6Address(ip.ip_address).packed[8:] for ip in port.fixed_ips] == [eui]

    def test_subnets_of_two_networks_are_told_apart(
        self, service: Service, driver: NetworkDriver, subnet: Subnet
    ) -> None:
        other = driver.create_network(service.user, name="other")
        second = driver.create_subnet(service.user, network_id=other.id, cidr="10.0.0.0/24", ip_version=4)
        assert [each.id for each in driver.list_subnets(service.user, network_id=other.id)] == [second.id]
        # Those of external networks are everybody's.
        assert {each.id for each in driver.list_subnets(service.user)} >= {subnet.id, second.id}

    def test_a_subnet_is_changed_and_its_ports_keep_their_addresses(
        self, service: Service, driver: NetworkDriver, network: Network, subnet: Subnet
    ) -> None:
        port = driver.create_port(service.user, network_id=network.id, fixed_ips=[{"ip_address": "10.0.0.50"}])
        changed = driver.update_subnet(
            service.user,
            subnet.id,
            gateway_ip=None,
            allocation_pools=[{"start": "10.0.0.10", "end": "10.0.0.20"}],
            dns_nameservers=["10.0.0.9"],
            host_routes=[{"destination": "10.1.0.0/16", "nexthop": "10.0.0.9"}],
        )
        assert changed.allocation_pools == (AllocationPool("10.0.0.10", "10.0.0.20"),)
        assert (changed.gateway_ip, changed.dns_nameservers) == (None, ("10.0.0.9",))
        assert changed.host_routes == (HostRoute("10.1.0.0/16", "10.0.0.9"),)
        assert list(service.driver().list_subnets(service.user, network_id=network.id)) == [changed]
        assert driver.show_port(service.user, port.id).fixed_ips == port.fixed_ips
        emptied = driver.update_subnet(service.user, subnet.id, dns_nameservers=[], host_routes=[])
        assert (emptied.dns_nameservers, emptied.host_routes) == ((), ())
        with raises(errors.OutOfBoundsAllocationPool):
            driver.update_subnet(service.user, subnet.id, allocation_pools=[{"start": "10.0.0.2", "end": "10.0.1.9"}])
        with raises(errors.SubnetNotFound, subnet.id):
            driver.update_subnet(service.stranger, subnet.id, gateway_ip=None)

    def test_a_subnet_in_use_stays(
        self, service: Service, driver: NetworkDriver, network: Network, subnet: Subnet
    ) -> None:
        port = driver.create_port(service.user, network_id=network.id)
        with raises(errors.SubnetInUse):
            driver.delete_subnet(service.user, subnet.id)
        driver.delete_port(service.user, port.id)
        driver.delete_subnet(service.user, subnet.id)
        with raises(errors.SubnetNotFound, subnet.id):
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
            ({"allocation_pools": [{"start": "10.0.0.2", "end": "10.0.0.9", "last": "10.0.0.5"}]},
             errors.HTTPBadRequest),
            ({"host_routes": [{"destination": "10.1.0.0/16", "nexthop": "10.0.0.9", "via": 1}]}, errors.HTTPBadRequest),
            ({"gateway": "10.0.0.5"}, errors.HTTPBadRequest),
        ],
        ids=lambda value: getattr(value, "__name__", ""),
    )  # fmt: skip
    def test_a_subnet_that_cannot_be(
        self,
        service: Service,
        driver: NetworkDriver,
        network: Network,
        wanted: dict[str, Any],
        kind: type[errors.NetworkError],
    ) -> None:
        with raises(kind):
            driver.create_subnet(
                service.user, network_id=network.id, **{"cidr": "10.0.0.0/24", "ip_version": 4, **wanted}
            )

    # --- security groups --------------------------------------------------------------------------------------------

    def test_the_default_group_is_there(self, service: Service, driver: NetworkDriver) -> None:
        (group,) = driver.list_security_groups(service.user)
        assert (group.name, group.project_id) == ("default", service.user.project_id)

    def test_a_group_with_rules(self, service: Service, driver: NetworkDriver) -> None:
        group = driver.create_security_group(service.user, name="web")
        assert {(rule.direction, rule.ethertype) for rule in group.rules} == {("egress", "IPv4"), ("egress", "IPv6")}
        wanted: dict[str, Any] = {"direction": "ingress", "ethertype": "IPv4", "protocol": "tcp", "port_range_min": 80}
        wanted |= {"port_range_max": 81, "remote_ip_prefix": "10.0.0.0/8"}
        rule = driver.create_security_group_rule(service.user, security_group_id=group.id, **wanted)
        assert {name: getattr(rule, name) for name in wanted} == wanted
        with raises(errors.SecurityGroupRuleExists):
            driver.create_security_group_rule(service.user, security_group_id=group.id, **wanted)
        (seen,) = service.driver().list_security_groups(service.user, name="web")
        assert rule in seen.rules
        assert len(seen.rules) == 3
        driver.delete_security_group_rule(service.user, rule.id)
        (seen,) = service.driver().list_security_groups(service.user, name="web")
        assert rule not in seen.rules
        with raises(errors.SecurityGroupRuleNotFound, rule.id):
            driver.delete_security_group_rule(service.user, rule.id)
        assert list(driver.list_security_groups(service.stranger, name="web")) == []
        driver.delete_security_group(service.user, group.id)
        with raises(errors.SecurityGroupNotFound, group.id):
            driver.delete_security_group(service.user, group.id)
