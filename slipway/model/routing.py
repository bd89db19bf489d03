"""Routers, floating IPs and port forwardings, as Neutron shapes them."""

from msgspec import Struct

from slipway.model.network import FixedIp


class ExternalGateway(Struct, frozen=True):
    """A router's way out: its addresses on an external network, and whether what it sends there bears one of them."""

    network_id: str
    enable_snat: bool = True
    external_fixed_ips: tuple[FixedIp, ...] = ()


class Route(Struct, frozen=True):
    """A static route of a router."""

    destination: str
    nexthop: str


class Router(Struct, frozen=True):
    """A router; attributes as in Neutron's API."""

    id: str
    name: str
    project_id: str
    admin_state_up: bool = True
    status: str = "ACTIVE"
    external_gateway_info: ExternalGateway | None = None
    routes: tuple[Route, ...] = ()
    description: str = ""


class RouterInterface(Struct, frozen=True):
    """What was added to a router, or removed: `id` is the router's, `subnet_ids` what its `port_id` leads to."""

    id: str
    project_id: str
    port_id: str
    network_id: str
    subnet_id: str
    subnet_ids: tuple[str, ...]


class PortForwarding(Struct, frozen=True):
    """Ports of a floating IP that lead to ports of an address; single ones are None where it is a range."""

    id: str
    floatingip_id: str
    protocol: str
    internal_port_id: str
    internal_ip_address: str
    internal_port: int | None
    external_port: int | None
    internal_port_range: str
    external_port_range: str
    description: str = ""


class FloatingIp(Struct, frozen=True):
    """An address of an external network that stands for a port's; attributes as in Neutron's API."""

    id: str
    project_id: str
    floating_network_id: str
    floating_ip_address: str
    port_id: str | None = None
    fixed_ip_address: str | None = None
    router_id: str | None = None
    status: str = "DOWN"
    dns_name: str = ""
    dns_domain: str = ""
    port_forwardings: tuple[PortForwarding, ...] = ()
    description: str = ""
