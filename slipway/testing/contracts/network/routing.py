"""Routers, floating IPs and port forwardings, for drivers that have them."""

from __future__ import annotations

import uuid
from typing import Any

from slipway import errors
from slipway.drivers.network.base import NetworkDriver
from slipway.model.network import Network, Subnet
from slipway.testing.contracts.network.service import NOBODY, Service, ServiceContract, raises


class RoutingContract(ServiceContract):
    """A router's life, and what needs it. What a driver's protocol does not have is asked for by name."""

    def _outside(self, service: Service, driver: NetworkDriver) -> tuple[Network, Subnet]:
        name = f"public-{uuid.uuid4().hex[:8]}"
        network = driver.create_network(service.admin, name=name, router_external=True)
        subnet = driver.create_subnet(service.admin, network_id=network.id, cidr="203.0.113.0/24", ip_version=4)
        return network, subnet

    def test_a_router_with_gateway_interface_and_routes(
        self, service: Service, driver: NetworkDriver, network: Network, subnet: Subnet
    ) -> None:
        """Made, changed, shown; refused to go while it leads to a subnet or a route needs that."""
        public, _ = self._outside(service, driver)
        api: Any = driver
        asked = {"network_id": public.id, "enable_snat": False, "external_fixed_ips": [{"ip_address": "203.0.113.5"}]}
        router = api.create_router(service.admin, name="edge", external_gateway_info=asked)
        gateway = router.external_gateway_info
        assert (gateway.network_id, gateway.enable_snat) == (public.id, False)
        assert [each.ip_address for each in gateway.external_fixed_ips] == ["203.0.113.5"]
        made = api.add_router_interface(service.user, router.id, subnet_id=subnet.id)
        assert (made.id, made.network_id, made.subnet_ids) == (router.id, network.id, (subnet.id,))
        port = driver.show_port(service.admin, made.port_id)
        assert (port.device_id, port.device_owner) == (router.id, "network:router_interface")
        assert [each.ip_address for each in port.fixed_ips] == [subnet.gateway_ip]
        routes = [{"destination": "10.9.0.0/16", "nexthop": "10.0.0.7"}]
        changed = api.add_extraroutes(service.user, router.id, routes=routes)
        assert [(one.destination, one.nexthop) for one in changed.routes] == [("10.9.0.0/16", "10.0.0.7")]
        with raises(errors.InvalidRoutes):
            api.update_router(service.user, router.id, routes=[{"destination": "10.8.0.0/16", "nexthop": "10.7.0.1"}])
        with raises(errors.RouterInterfaceInUseByRoute):
            api.remove_router_interface(service.user, router.id, subnet_id=subnet.id)
        with raises(errors.RouterInUse):
            api.delete_router(service.user, router.id)
        with raises(errors.ServicePortInUse):
            driver.delete_port(service.admin, port.id)
        assert api.remove_extraroutes(service.user, router.id, routes=routes).routes == ()
        assert api.remove_router_interface(service.user, router.id, subnet_id=subnet.id).port_id == port.id
        assert api.update_router(service.user, router.id, external_gateway_info=None).external_gateway_info is None
        assert api.show_router(service.user, router.id).name == "edge"
        with raises(errors.RouterNotFound):
            api.show_router(service.stranger, router.id)
        assert [one.id for one in api.list_routers(service.user, name="edge")] == [router.id]
        api.delete_router(service.user, router.id)
        for router_id in (router.id, NOBODY, "nonsense"):
            with raises(errors.RouterNotFound):
                api.delete_router(service.user, router_id)

    def test_floating_ips_and_forwardings(
        self, service: Service, driver: NetworkDriver, network: Network, subnet: Subnet
    ) -> None:
        """Associated once a router leads there; once a fixed address; ports are forwarded by those that stand alone."""
        public, _ = self._outside(service, driver)
        api: Any = driver
        one = driver.create_port(service.user, network_id=network.id, fixed_ips=[{"ip_address": "10.0.0.5"}])
        two = driver.create_port(service.user, network_id=network.id, fixed_ips=[{"ip_address": "10.0.0.6"}])
        with raises(errors.ExternalGatewayForFloatingIPNotFound):
            api.create_floatingip(service.user, floating_network_id=public.id, port_id=one.id)
        router = api.create_router(service.user, external_gateway_info={"network_id": public.id})
        api.add_router_interface(service.user, router.id, subnet_id=subnet.id)
        fip = api.create_floatingip(service.user, floating_network_id=public.id, port_id=one.id)
        assert (fip.port_id, fip.fixed_ip_address, fip.router_id) == (one.id, "10.0.0.5", router.id)
        with raises(errors.FloatingIPPortAlreadyAssociated):
            api.create_floatingip(service.user, floating_network_id=public.id, port_id=one.id)
        with raises(errors.RouterInterfaceInUseByFloatingIP):
            api.remove_router_interface(service.user, router.id, subnet_id=subnet.id)
        with raises(errors.RouterExternalGatewayInUseByFloatingIp):
            api.update_router(service.user, router.id, external_gateway_info=None)
        assert api.update_floatingip(service.user, fip.id, port_id=None).port_id is None
        said = {"protocol": "tcp", "internal_port_id": two.id, "internal_ip_address": "10.0.0.6"}
        forwarding = api.create_port_forwarding(service.user, fip.id, **said, external_port=2222, internal_port=22)
        assert (forwarding.external_port, forwarding.internal_port, forwarding.floatingip_id) == (2222, 22, fip.id)
        assert [each.id for each in api.list_port_forwardings(service.user, fip.id)] == [forwarding.id]
        (shown,) = api.show_floatingip(service.user, fip.id).port_forwardings
        assert (shown.id, shown.external_port_range) == (forwarding.id, "2222:2222")
        moved = api.update_port_forwarding(service.user, fip.id, forwarding.id, external_port=2223)
        assert moved.external_port == 2223
        with raises(errors.FipInUseByPortForwarding):
            api.delete_floatingip(service.user, fip.id)
        api.delete_port_forwarding(service.user, fip.id, forwarding.id)
        with raises(errors.PortForwardingNotFound):
            api.delete_port_forwarding(service.user, fip.id, forwarding.id)
        found = api.list_floatingips(service.user, floating_network_id=public.id)
        assert [each.id for each in found] == [fip.id]
        api.delete_floatingip(service.user, fip.id)
        with raises(errors.FloatingIPNotFound):
            api.show_floatingip(service.user, fip.id)
