"""Ports: how they are made, changed, bound and deleted."""

from __future__ import annotations

from typing import Any

import pytest

from slipway import errors
from slipway.drivers.network.base import NetworkDriver
from slipway.model.network import FixedIp, Network, Subnet
from slipway.testing.contracts.network.service import HOSTS, NOBODY, Service, ServiceContract, raises


class PortsContract(ServiceContract):
    """What is done to one port."""

    # --- ports ------------------------------------------------------------------------------------------------------

    def test_a_port_gets_an_address(
        self, service: Service, driver: NetworkDriver, network: Network, subnet: Subnet
    ) -> None:
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
        self, service: Service, driver: NetworkDriver, network: Network, subnet: Subnet
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
        assert (made.mac_address, made.security_groups, made.admin_state_up) == (
            "fa:16:3e:00:00:77",
            (group.id,),
            False,
        )
        assert [(option.opt_name, option.opt_value) for option in made.extra_dhcp_opts] == [("mtu", "1400")]
        assert made.project_id == service.user.project_id
        with raises(errors.SecurityGroupInUse):
            driver.delete_security_group(service.user, group.id)

    @pytest.mark.parametrize(
        "spelling", ["FA:16:3E:00:00:77", "fa-16-3e-00-00-77", "fa16.3e00.0077", "fa:16:3e:0:0:77"]
    )
    def test_a_mac_is_one_mac_however_it_is_spelled(
        self, service: Service, driver: NetworkDriver, network: Network, spelling: str
    ) -> None:
        wanted: dict[str, Any] = {"allowed_address_pairs": [{"ip_address": "10.0.0.9", "mac_address": spelling}]}
        made = driver.create_port(service.user, network_id=network.id, mac_address=spelling, **wanted)
        assert made.mac_address == "fa:16:3e:00:00:77"
        assert [each.mac_address for each in made.allowed_address_pairs] == ["fa:16:3e:00:00:77"]
        assert service.driver().show_port(service.user, made.id) == made

    def test_no_addresses_and_no_groups(
        self, service: Service, driver: NetworkDriver, network: Network, subnet: Subnet
    ) -> None:
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
            (
                {"allowed_address_pairs": [{"ip_address": "10.0.0.9", "mac": "fa:16:3e:00:00:51"}]},
                errors.HTTPBadRequest,
            ),
            ({"mac": "fa:16:3e:00:00:51"}, errors.HTTPBadRequest),
        ],
        ids=lambda value: getattr(value, "__name__", ""),
    )
    def test_a_port_that_cannot_be(
        self,
        service: Service,
        driver: NetworkDriver,
        network: Network,
        subnet: Subnet,
        wanted: dict[str, Any],
        kind: type[errors.NetworkError],
    ) -> None:
        taken = driver.create_port(
            service.user,
            network_id=network.id,
            fixed_ips=[{"ip_address": "10.0.0.50"}],
            mac_address="fa:16:3e:00:00:50",
        )
        with raises(kind):
            driver.create_port(service.user, key="bad", **{"network_id": network.id, **wanted})
        assert driver.find_port(service.admin, "bad") is None
        assert [port.id for port in driver.list_ports(service.user)] == [taken.id]

    def test_addresses_run_out(self, service: Service, driver: NetworkDriver, network: Network) -> None:
        driver.create_subnet(service.user, network_id=network.id, cidr="10.0.0.0/29", ip_version=4)
        for _ in range(5):
            driver.create_port(service.user, network_id=network.id)
        with raises(errors.IpAddressGenerationFailure):
            driver.create_port(service.user, network_id=network.id)

    def test_a_strangers_port_is_not_found(
        self, service: Service, driver: NetworkDriver, network: Network, subnet: Subnet
    ) -> None:
        port = driver.create_port(service.user, network_id=network.id)
        for call in (driver.show_port, driver.delete_port):
            with raises(errors.PortNotFound, port.id):
                call(service.stranger, port.id)
        with raises(errors.PortNotFound, port.id):
            driver.update_port(service.stranger, port.id, name="mine")
        assert list(driver.list_ports(service.stranger)) == []
        assert driver.show_port(service.user, port.id) == port

    @pytest.mark.parametrize("port_id", [NOBODY, "web-port", "../networks", "", "a?b=c"])
    def test_what_is_no_port_is_not_found(self, service: Service, driver: NetworkDriver, port_id: str) -> None:
        with raises(errors.PortNotFound):
            driver.show_port(service.user, port_id)
        with raises(errors.PortNotFound):
            driver.delete_port(service.admin, port_id)

    def test_a_port_is_updated(self, service: Service, driver: NetworkDriver, network: Network, subnet: Subnet) -> None:
        port = driver.create_port(service.user, network_id=network.id, device_id="vm-1")
        changed = driver.update_port(service.user, port.id, device_id="", name="free")
        assert (changed.device_id, changed.name, changed.fixed_ips) == ("", "free", port.fixed_ips)
        again = driver.update_port(service.user, port.id, device_id="", name="free")
        assert again.fixed_ips == port.fixed_ips
        assert driver.show_port(service.user, port.id) == again

    def test_a_port_that_has_changed_since_it_was_looked_at_stays_as_it_is(
        self, service: Service, driver: NetworkDriver, network: Network, subnet: Subnet
    ) -> None:
        port = driver.create_port(service.user, network_id=network.id)
        taken = driver.update_port(service.user, port.id, unchanged=port, device_id="vm-1")
        with raises(errors.RevisionNumberConstraintFailed):
            driver.update_port(service.user, port.id, unchanged=port, device_id="vm-2")
        assert driver.show_port(service.user, port.id) == taken
        freed = driver.update_port(service.user, port.id, unchanged=taken, device_id="")
        assert freed.device_id == ""

    def test_a_port_is_bound_and_unbound(
        self, service: Service, driver: NetworkDriver, network: Network, subnet: Subnet
    ) -> None:
        port = driver.create_port(service.user, network_id=network.id, device_id="vm-1")
        for host in HOSTS:
            bound = driver.update_port(service.admin, port.id, device_owner="compute:nova", binding_host_id=host)
            assert (bound.binding_host_id, bound.device_owner) == (host, "compute:nova")
            assert bound.binding_vif_type == self.vif_type
            assert (bound.binding_vnic_type, bound.binding_profile) == ("normal", "{}")
            assert service.driver().show_port(service.admin, port.id) == bound
        free = driver.update_port(service.admin, port.id, device_owner="", binding_host_id="")
        assert (free.binding_host_id, free.binding_vif_type, free.device_owner) == ("", "unbound", "")
        assert (free.fixed_ips, free.mac_address) == (port.fixed_ips, port.mac_address)

    def test_a_port_is_bound_to_a_second_host_to_which_its_instance_goes(
        self, service: Service, driver: NetworkDriver, network: Network, subnet: Subnet
    ) -> None:
        here, there = HOSTS
        assert driver.binds_twice(service.admin)
        port = driver.create_port(service.user, network_id=network.id, device_id="vm-1")
        owner = "compute:nova"
        profile = {"vpn": True}
        bound = driver.update_port(
            service.admin, port.id, device_owner=owner, binding_host_id=here, binding_profile=profile
        )
        made = driver.create_binding(service.admin, port.id, there)
        assert (made.host, made.status, made.vif_type) == (there, "INACTIVE", self.vif_type)
        assert driver.create_binding(service.admin, port.id, there) == made
        assert _bindings(service, port.id) == [(here, "ACTIVE"), (there, "INACTIVE")]
        assert driver.show_port(service.admin, port.id).binding_host_id == bound.binding_host_id
        further = driver.further_bindings(service.admin, [here, there])
        assert [(one.id, host) for one, host in further if one.id == port.id] == [(port.id, there)]
        for _ in range(2):
            driver.activate_binding(service.admin, port.id, there)
        assert _bindings(service, port.id) == [(there, "ACTIVE"), (here, "INACTIVE")]
        moved = driver.show_port(service.admin, port.id)
        assert (moved.binding_host_id, moved.binding_vif_type) == (there, self.vif_type)
        assert moved.binding_profile == bound.binding_profile
        assert (moved.fixed_ips, moved.mac_address, moved.device_owner) == (bound.fixed_ips, bound.mac_address, owner)
        for host in (here, here, there):
            driver.delete_binding(service.admin, port.id, host)
        assert _bindings(service, port.id) == [(there, "ACTIVE")]

    def test_a_second_binding_goes_with_its_port_and_what_is_not_there_is_told(
        self, service: Service, driver: NetworkDriver, network: Network, subnet: Subnet
    ) -> None:
        port = driver.create_port(service.user, network_id=network.id, device_id="vm-1")
        driver.update_port(service.admin, port.id, device_owner="compute:nova", binding_host_id=HOSTS[0])
        with raises(errors.PortBindingNotFound):
            driver.activate_binding(service.admin, port.id, HOSTS[1])
        driver.create_binding(service.admin, port.id, HOSTS[1])
        with pytest.raises(errors.Forbidden):
            driver.create_binding(service.user, port.id, HOSTS[1])
        driver.delete_port(service.admin, port.id)
        driver.delete_binding(service.admin, port.id, HOSTS[1])
        for call in (driver.create_binding, driver.activate_binding):
            with raises(errors.PortNotFound):
                call(service.admin, port.id, HOSTS[1])
        with raises(errors.PortNotFound):
            driver.list_bindings(service.admin, port.id)

    def test_only_an_administrator_binds(
        self, service: Service, driver: NetworkDriver, network: Network, subnet: Subnet
    ) -> None:
        port = driver.create_port(service.user, network_id=network.id)
        with pytest.raises(errors.Forbidden):
            driver.update_port(service.user, port.id, binding_host_id=HOSTS[0])
        assert driver.show_port(service.admin, port.id).binding_host_id == ""

    def test_a_port_has_a_dns_name(self, service: Service, driver: NetworkDriver, network: Network) -> None:
        made = driver.create_port(service.user, network_id=network.id, key=f"{network.id}/dns", dns_name="web-1")
        assert made.dns_name == "web-1"
        assert service.driver().show_port(service.user, made.id).dns_name == "web-1"
        assert driver.create_port(service.user, network_id=network.id).dns_name == ""

    def test_a_deleted_port_is_gone_and_its_address_free(
        self, service: Service, driver: NetworkDriver, network: Network, subnet: Subnet
    ) -> None:
        wanted = [{"ip_address": "10.0.0.9"}]
        for _ in range(2):
            port = driver.create_port(service.user, network_id=network.id, fixed_ips=wanted, key=f"{network.id}/one")
            driver.delete_port(service.admin, port.id)
            with raises(errors.PortNotFound, port.id):
                driver.delete_port(service.admin, port.id)
            assert driver.find_port(service.admin, f"{network.id}/one") is None


def _bindings(service: Service, port_id: str) -> list[tuple[str, str]]:
    """As a driver that was started anew tells them."""
    return [(one.host, one.status) for one in service.driver().list_bindings(service.admin, port_id)]
