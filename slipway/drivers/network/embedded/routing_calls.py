"""The calls of the embedded network about routers, floating IPs and port forwardings."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from slipway.drivers.network.embedded.common.listing import Page
from slipway.drivers.network.embedded.common.transactions import Transactions
from slipway.drivers.network.embedded.topology.mechanisms import PortChange
from slipway.model.network import Context
from slipway.model.routing import FloatingIp, PortForwarding, Router, RouterInterface
from slipway.states.store import Transaction

if TYPE_CHECKING:
    from slipway.drivers.network.embedded.common.services import Services
    from slipway.drivers.network.embedded.ports.port_changes import PortChanges
    from slipway.drivers.network.embedded.ports.ports import Ports
    from slipway.drivers.network.embedded.routing.floating_ips import FloatingIps
    from slipway.drivers.network.embedded.routing.forwardings import Forwardings
    from slipway.drivers.network.embedded.routing.gateways import Gateways
    from slipway.drivers.network.embedded.routing.interfaces import Interfaces
    from slipway.drivers.network.embedded.routing.routers import Routers
    from slipway.drivers.network.embedded.routing.service_ports import ServicePorts
    from slipway.drivers.network.embedded.topology.networks import Networks
    from slipway.drivers.network.embedded.topology.subnets import Subnets


class Routing:
    """The part of `EmbeddedNetwork` that Neutron has in its router and port forwarding plugins."""

    _transactions: Transactions
    _services: Services
    _networks: Networks
    _subnets: Subnets
    _ports: Ports
    _changes: PortChanges

    @abstractmethod
    def _after(self, tx: Transaction, change: PortChange) -> None:
        """Tell of a change of a port."""

    # Most builds have no router: what is for those is loaded when it is first asked for.

    @cached_property
    def _service_ports(self) -> ServicePorts:
        from slipway.drivers.network.embedded.routing.service_ports import ServicePorts

        return ServicePorts(self._ports, self._changes, self._after)

    @cached_property
    def _gateways(self) -> Gateways:
        from slipway.drivers.network.embedded.routing.gateways import Gateways

        return Gateways(self._networks, self._service_ports)

    @cached_property
    def _routers(self) -> Routers:
        from slipway.drivers.network.embedded.routing.routers import Routers

        return Routers(self._services, self._service_ports, self._gateways)

    @cached_property
    def _interfaces(self) -> Interfaces:
        from slipway.drivers.network.embedded.routing.interfaces import Interfaces

        return Interfaces(self._routers, self._subnets, self._ports, self._service_ports)

    @cached_property
    def _floating_ips(self) -> FloatingIps:
        from slipway.drivers.network.embedded.routing.floating_ips import FloatingIps

        return FloatingIps(self._services, self._networks, self._ports, self._service_ports)

    @cached_property
    def _forwardings(self) -> Forwardings:
        from slipway.drivers.network.embedded.routing.forwardings import Forwardings

        return Forwardings(self._services, self._ports)

    # --- routers --------------------------------------------------------------------------------------------------

    def create_router(self, context: Context, *, tx: Transaction | None = None, **attributes: Any) -> Router:
        """Make a router. Raises `OverQuota`, `PolicyNotAuthorized`, and what its gateway raises."""
        with self._transactions.writing(tx) as own:
            return self._routers.create(own, context, attributes)

    def update_router(
        self, context: Context, router_id: str, *, tx: Transaction | None = None, **attributes: Any
    ) -> Router:
        """Change what is named, `external_gateway_info` (None: none) and `routes` among it.

        Raises `RouterNotFound`, `InvalidRoutes`, `RouterExternalGatewayInUseByFloatingIp` and others.
        """
        with self._transactions.writing(tx) as own:
            return self._routers.update(own, context, router_id, attributes)

    def delete_router(self, context: Context, router_id: str, *, tx: Transaction | None = None) -> None:
        """Delete a router with its gateway. Raises `RouterNotFound`, `RouterInUse`."""
        with self._transactions.writing(tx) as own:
            self._routers.delete(own, context, router_id)

    def show_router(self, context: Context, router_id: str, *, tx: Transaction | None = None) -> Router:
        """One router by id. Raises `RouterNotFound`."""
        with self._transactions.reading(tx, once=True) as own:
            return self._routers.show(own, context, router_id)

    def list_routers(self, context: Context, *, tx: Transaction | None = None, **filters: Any) -> Sequence[Router]:
        """The project's routers that match all filters, by name."""
        page = Page.taken_from(filters, "name")
        with self._transactions.reading(tx) as own:
            return self._routers.list(own, context, filters, page)

    def add_router_interface(
        self, context: Context, router_id: str, *, tx: Transaction | None = None, **attributes: Any
    ) -> RouterInterface:
        """Have a router lead to a `subnet_id`, by its gateway address, or to those of a `port_id`.

        Raises `RouterNotFound`, `BadRequest`, `PortInUse`, `IpAddressAlreadyAllocated`.
        """
        with self._transactions.writing(tx) as own:
            return self._interfaces.add(own, context, router_id, attributes)

    def remove_router_interface(
        self, context: Context, router_id: str, *, tx: Transaction | None = None, **attributes: Any
    ) -> RouterInterface:
        """Have a router lead to a `subnet_id`, or by a `port_id`, no longer; the port is deleted.

        Raises `RouterNotFound`, `RouterInterfaceNotFound`, `RouterInterfaceNotFoundForSubnet`,
        `SubnetMismatchForPort`, `RouterInterfaceInUseByFloatingIP`, `RouterInterfaceInUseByRoute`.
        """
        with self._transactions.writing(tx) as own:
            return self._interfaces.remove(own, context, router_id, attributes)

    def add_extraroutes(
        self, context: Context, router_id: str, *, routes: object, tx: Transaction | None = None
    ) -> Router:
        """Add static routes to those that a router has. Raises `RouterNotFound`, `InvalidRoutes`, `OverQuota`."""
        with self._transactions.writing(tx) as own:
            return self._routers.change_routes(own, context, router_id, routes, add=True)

    def remove_extraroutes(
        self, context: Context, router_id: str, *, routes: object, tx: Transaction | None = None
    ) -> Router:
        """Take static routes away from those that a router has. Raises `RouterNotFound`."""
        with self._transactions.writing(tx) as own:
            return self._routers.change_routes(own, context, router_id, routes, add=False)

    # --- floating IPs ---------------------------------------------------------------------------------------------

    def create_floatingip(self, context: Context, *, tx: Transaction | None = None, **attributes: Any) -> FloatingIp:
        """Take an address of an external network, for a port's where one is named.

        Raises `NetworkNotFound`, `ExternalGatewayForFloatingIPNotFound`, `FloatingIPPortAlreadyAssociated` and others.
        """
        with self._transactions.writing(tx) as own:
            return self._floating_ips.create(own, context, attributes)

    def update_floatingip(
        self, context: Context, floatingip_id: str, *, tx: Transaction | None = None, **attributes: Any
    ) -> FloatingIp:
        """Associate it with another port, or with none (`port_id` None). Raises as `create_floatingip`."""
        with self._transactions.writing(tx) as own:
            return self._floating_ips.update(own, context, floatingip_id, attributes)

    def delete_floatingip(self, context: Context, floatingip_id: str, *, tx: Transaction | None = None) -> None:
        """Give the address back. Raises `FloatingIPNotFound`, `FipInUseByPortForwarding`."""
        with self._transactions.writing(tx) as own:
            self._floating_ips.delete(own, context, floatingip_id)

    def show_floatingip(self, context: Context, floatingip_id: str, *, tx: Transaction | None = None) -> FloatingIp:
        """One floating IP by id. Raises `FloatingIPNotFound`."""
        with self._transactions.reading(tx) as own:
            return self._floating_ips.show(own, context, floatingip_id)

    def list_floatingips(
        self, context: Context, *, tx: Transaction | None = None, **filters: Any
    ) -> Sequence[FloatingIp]:
        """The project's floating IPs that match all filters, by address."""
        page = Page.taken_from(filters, "floating_ip_address")
        with self._transactions.reading(tx) as own:
            return self._floating_ips.list(own, context, filters, page)

    # --- port forwardings -----------------------------------------------------------------------------------------

    def create_port_forwarding(
        self, context: Context, floatingip_id: str, *, tx: Transaction | None = None, **attributes: Any
    ) -> PortForwarding:
        """Forward ports of a floating IP. Raises `FloatingIPNotFound`, `BadRequest`, `PortHasBindingFloatingIP`."""
        with self._transactions.writing(tx) as own:
            return self._forwardings.create(own, context, floatingip_id, attributes)

    def update_port_forwarding(
        self,
        context: Context,
        floatingip_id: str,
        forwarding_id: str,
        *,
        tx: Transaction | None = None,
        **attributes: Any,
    ) -> PortForwarding:
        """Change what is named. Raises as `create_port_forwarding`, and `PortForwardingNotFound`."""
        with self._transactions.writing(tx) as own:
            return self._forwardings.update(own, context, floatingip_id, forwarding_id, attributes)

    def delete_port_forwarding(
        self, context: Context, floatingip_id: str, forwarding_id: str, *, tx: Transaction | None = None
    ) -> None:
        """Forward these ports no longer. Raises `FloatingIPNotFound`, `PortForwardingNotFound`."""
        with self._transactions.writing(tx) as own:
            self._forwardings.delete(own, context, floatingip_id, forwarding_id)

    def show_port_forwarding(
        self, context: Context, floatingip_id: str, forwarding_id: str, *, tx: Transaction | None = None
    ) -> PortForwarding:
        """One forwarding of a floating IP. Raises `FloatingIPNotFound`, `PortForwardingNotFound`."""
        with self._transactions.reading(tx) as own:
            return self._forwardings.show(own, context, floatingip_id, forwarding_id)

    def list_port_forwardings(
        self, context: Context, floatingip_id: str, *, tx: Transaction | None = None, **filters: Any
    ) -> Sequence[PortForwarding]:
        """The forwardings of a floating IP that match all filters. Raises `FloatingIPNotFound`."""
        page = Page.taken_from(filters, "external_first")
        with self._transactions.reading(tx) as own:
            return self._forwardings.list(own, context, floatingip_id, filters, page)
