"""The errors of routers, floating IPs and port forwardings: Neutron's names."""

from __future__ import annotations

from slipway.errors.network import BadRequest, Conflict, NotFound


class RouterNotFound(NotFound):
    """The router is not there, or another project's."""


class FloatingIPNotFound(NotFound):
    """The floating IP is not there, or another project's."""


class PortForwardingNotFound(NotFound):
    """The floating IP has no such forwarding."""


class RouterInterfaceNotFound(NotFound):
    """The port is no interface of this router."""


class RouterInterfaceNotFoundForSubnet(NotFound):
    """The router has no interface on this subnet."""


class ExternalGatewayForFloatingIPNotFound(NotFound):
    """No router leads from the port's subnet to the floating IP's network."""


class TenantQuotaNotFound(NotFound):
    """The project has no limits of its own. Neutron's name."""


class InvalidRoutes(BadRequest):
    """A route's next hop cannot be reached by the router, or is the router itself."""


class SubnetMismatchForPort(BadRequest):
    """The port has no address of this subnet."""


class RouterInUse(Conflict):
    """The router has interfaces."""


class RouterInterfaceInUseByFloatingIP(Conflict):
    """A floating IP or a forwarding needs the interface."""


class RouterInterfaceInUseByRoute(Conflict):
    """A static route's next hop is behind the interface."""


class RouterExternalGatewayInUseByFloatingIp(Conflict):
    """A floating IP needs the router's gateway."""


class ExternalNetworkInUse(Conflict):
    """Routers have their gateway on the network, or it has floating IPs, so it stays external."""


class GatewayIpInUse(Conflict):
    """A router's interface has the subnet's gateway address, so it stays the gateway."""


class ServicePortInUse(Conflict):
    """The port is a router's or a floating IP's, and goes with it."""


class FloatingIPPortAlreadyAssociated(Conflict):
    """The fixed address has a floating IP of this network already, or the floating IP a port."""


class FipAssociated(Conflict):
    """The port has a floating IP that is another project's."""


class FipInUseByPortForwarding(Conflict):
    """The floating IP forwards ports."""


class PortHasBindingFloatingIP(Conflict):
    """The port has a floating IP of its own, so none is forwarded to it."""
