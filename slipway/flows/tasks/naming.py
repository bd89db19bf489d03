"""NICs as the network says now: what their hosts are to be told when that changes."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from slipway.drivers.network.base import NetworkDriver
from slipway.drivers.network.routing import routing_of
from slipway.flows.tasks.hosting import has_routers
from slipway.model.hostname import domain_of, names_of
from slipway.model.machine import Vif
from slipway.model.network import Network, Port, Subnet
from slipway.model.neutron import ADMIN, ROUTER_INTERFACES


def as_now(vif: Vif, port: Port, subnets: Sequence[Subnet], home: Network) -> Vif:
    """The VIF as the network says now; whether that reaches the outside is left as it was."""
    return replace(
        vif,
        mac_address=port.mac_address,
        mtu=home.mtu,
        fixed_ips=port.fixed_ips,
        subnets=tuple(subnet for subnet in subnets if any(ip.subnet_id == subnet.id for ip in port.fixed_ips)),
        port_security_enabled=port.port_security_enabled,
        security_groups=port.security_groups,
        allowed_address_pairs=port.allowed_address_pairs,
        dhcp_options=port.extra_dhcp_opts,
        admin_up=port.admin_state_up and home.admin_state_up,
        names=names_of(port, home),
        domain=domain_of(home),
    )


def reaches_out(network: NetworkDriver, home: Network, subnets: Sequence[Subnet]) -> bool:
    """Whether the network has a way to the outside: a router with a gateway, or one of the physical network.

    Raises what the service does.
    """
    if home.provider_network_type in ("flat", "vlan") and any(subnet.gateway_ip for subnet in subnets):
        return True
    if not has_routers(network):
        return False
    ports = network.list_ports(ADMIN, network_id=home.id)
    led_to = {port.device_id for port in ports if port.device_owner in ROUTER_INTERFACES}
    routers = routing_of(network).list_routers(ADMIN) if led_to else ()
    return any(one.id in led_to and one.admin_state_up and one.external_gateway_info for one in routers)
