"""The part of `Networks` about routers, floating IPs and port forwardings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from slipway.model.network import Context
from slipway.model.routing import FloatingIp, PortForwarding, Router, RouterInterface
from slipway.networks.attributes import HostRouteRequest
from slipway.networks.routing_attributes import (
    FloatingIpChanges,
    FloatingIpFilters,
    ForwardingChanges,
    ForwardingFilters,
    InterfaceRequest,
    NewFloatingIp,
    NewForwarding,
    NewRouter,
    RouterChanges,
    RouterFilters,
)


class Routing:
    """Routers, floating IPs and port forwardings; names and errors are Neutron's."""

    def _call(self, operation: str, context: Context | None, named: Mapping[str, object], *places: object) -> Any:
        raise NotImplementedError

    # --- routers --------------------------------------------------------------------------------------------------

    def create_router(self, *, context: Context | None = None, **attributes: Unpack[NewRouter]) -> Router:
        """Make a router. Raises `NetworkNotFound`, `BadRequest`, and what an address of its gateway raises."""
        made: Router = self._call("create_router", context, attributes)
        return made

    def update_router(
        self, router_id: str, *, context: Context | None = None, **attributes: Unpack[RouterChanges]
    ) -> Router:
        """Change what is given.

        Raises `RouterNotFound`, `NetworkNotFound`, `BadRequest`, `InvalidRoutes`,
        `RouterExternalGatewayInUseByFloatingIp`.
        """
        changed: Router = self._call("update_router", context, attributes, router_id)
        return changed

    def delete_router(self, router_id: str, *, context: Context | None = None) -> None:
        """Delete a router with its gateway and routes. Raises `RouterNotFound`, `RouterInUse`."""
        self._call("delete_router", context, {}, router_id)

    def show_router(self, router_id: str, *, context: Context | None = None) -> Router:
        """One router by id. Raises `RouterNotFound`."""
        found: Router = self._call("show_router", context, {}, router_id)
        return found

    def list_routers(self, *, context: Context | None = None, **filters: Unpack[RouterFilters]) -> Sequence[Router]:
        """The routers that match all filters, by name."""
        found: Sequence[Router] = self._call("list_routers", context, filters)
        return found

    def add_router_interface(
        self, router_id: str, *, context: Context | None = None, **attributes: Unpack[InterfaceRequest]
    ) -> RouterInterface:
        """Have a router lead to a subnet, by its gateway address, or to the addresses of a port.

        Raises `RouterNotFound`, `SubnetNotFound`, `PortNotFound`, `BadRequest`, `PortInUse`,
        `IpAddressAlreadyAllocated`.
        """
        made: RouterInterface = self._call("add_router_interface", context, attributes, router_id)
        return made

    def remove_router_interface(
        self, router_id: str, *, context: Context | None = None, **attributes: Unpack[InterfaceRequest]
    ) -> RouterInterface:
        """Have a router lead there no longer; the port is deleted.

        Raises `RouterNotFound`, `RouterInterfaceNotFound`, `RouterInterfaceNotFoundForSubnet`,
        `SubnetMismatchForPort`, `RouterInterfaceInUseByFloatingIP`, `RouterInterfaceInUseByRoute`.
        """
        gone: RouterInterface = self._call("remove_router_interface", context, attributes, router_id)
        return gone

    def add_extraroutes(
        self, router_id: str, routes: Sequence[HostRouteRequest], *, context: Context | None = None
    ) -> Router:
        """Add static routes to those that a router has. Raises `RouterNotFound`, `InvalidRoutes`."""
        changed: Router = self._call("add_extraroutes", context, {"routes": routes}, router_id)
        return changed

    def remove_extraroutes(
        self, router_id: str, routes: Sequence[HostRouteRequest], *, context: Context | None = None
    ) -> Router:
        """Take static routes away from those that a router has. Raises `RouterNotFound`."""
        changed: Router = self._call("remove_extraroutes", context, {"routes": routes}, router_id)
        return changed

    # --- floating IPs ---------------------------------------------------------------------------------------------

    def create_floatingip(self, *, context: Context | None = None, **attributes: Unpack[NewFloatingIp]) -> FloatingIp:
        """Take an address of an external network, for a port's where one is named.

        Raises `NetworkNotFound`, `PortNotFound`, `BadRequest`, `ExternalGatewayForFloatingIPNotFound`,
        `FloatingIPPortAlreadyAssociated`, and what taking an address raises.
        """
        made: FloatingIp = self._call("create_floatingip", context, attributes)
        return made

    def update_floatingip(
        self, floatingip_id: str, *, context: Context | None = None, **attributes: Unpack[FloatingIpChanges]
    ) -> FloatingIp:
        """Have it stand for another port's address, or for none. Raises as `create_floatingip`."""
        changed: FloatingIp = self._call("update_floatingip", context, attributes, floatingip_id)
        return changed

    def delete_floatingip(self, floatingip_id: str, *, context: Context | None = None) -> None:
        """Give the address back. Raises `FloatingIPNotFound`, `FipInUseByPortForwarding`."""
        self._call("delete_floatingip", context, {}, floatingip_id)

    def show_floatingip(self, floatingip_id: str, *, context: Context | None = None) -> FloatingIp:
        """One floating IP by id. Raises `FloatingIPNotFound`."""
        found: FloatingIp = self._call("show_floatingip", context, {}, floatingip_id)
        return found

    def list_floatingips(
        self, *, context: Context | None = None, **filters: Unpack[FloatingIpFilters]
    ) -> Sequence[FloatingIp]:
        """The floating IPs that match all filters, by address."""
        found: Sequence[FloatingIp] = self._call("list_floatingips", context, filters)
        return found

    # --- port forwardings -----------------------------------------------------------------------------------------

    def create_port_forwarding(
        self, floatingip_id: str, *, context: Context | None = None, **attributes: Unpack[NewForwarding]
    ) -> PortForwarding:
        """Forward ports of a floating IP. Raises `FloatingIPNotFound`, `BadRequest`, `PortHasBindingFloatingIP`."""
        made: PortForwarding = self._call("create_port_forwarding", context, attributes, floatingip_id)
        return made

    def update_port_forwarding(
        self,
        floatingip_id: str,
        forwarding_id: str,
        *,
        context: Context | None = None,
        **attributes: Unpack[ForwardingChanges],
    ) -> PortForwarding:
        """Change what is given. Raises as `create_port_forwarding`, and `PortForwardingNotFound`."""
        changed: PortForwarding = self._call(
            "update_port_forwarding", context, attributes, floatingip_id, forwarding_id
        )
        return changed

    def delete_port_forwarding(self, floatingip_id: str, forwarding_id: str, *, context: Context | None = None) -> None:
        """Forward these ports no longer. Raises `FloatingIPNotFound`, `PortForwardingNotFound`."""
        self._call("delete_port_forwarding", context, {}, floatingip_id, forwarding_id)

    def list_port_forwardings(
        self, floatingip_id: str, *, context: Context | None = None, **filters: Unpack[ForwardingFilters]
    ) -> Sequence[PortForwarding]:
        """The forwardings of a floating IP that match all filters."""
        found: Sequence[PortForwarding] = self._call("list_port_forwardings", context, filters, floatingip_id)
        return found
