"""The part of the network driver for a real Neutron about routers, floating IPs and port forwardings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from slipway import errors
from slipway.drivers.network.neutron import conversion
from slipway.drivers.network.neutron.paths import path as _path
from slipway.drivers.network.neutron.requests import Requests
from slipway.model.network import Context
from slipway.model.routing import FloatingIp, PortForwarding, Router, RouterInterface
from slipway.states.store import Transaction


class Routing(Requests):
    """Routers, floating IPs and port forwardings of a Neutron; every `tx` is ignored."""

    # --- routers --------------------------------------------------------------------------------------------------

    def create_router(self, context: Context, *, tx: Transaction | None = None, **attributes: Any) -> Router:
        """Make a router. Raises what Neutron refuses."""
        return self._create(context, "routers", "router", conversion.router, attributes)

    def update_router(
        self, context: Context, router_id: str, *, tx: Transaction | None = None, **attributes: Any
    ) -> Router:
        """Change what is named. Raises `RouterNotFound`, and what Neutron refuses."""
        path, body = _path("routers", router_id, errors.RouterNotFound), conversion.request(attributes)
        return self._one(context, "PUT", path, "router", conversion.router, body, absent=errors.RouterNotFound)

    def delete_router(self, context: Context, router_id: str, *, tx: Transaction | None = None) -> None:
        """Delete a router with its gateway. Raises `RouterNotFound`, `RouterInUse`."""
        self._delete(context, "routers", router_id, errors.RouterNotFound)

    def show_router(self, context: Context, router_id: str, *, tx: Transaction | None = None) -> Router:
        """One router by id. Raises `RouterNotFound`."""
        path = _path("routers", router_id, errors.RouterNotFound)
        return self._one(context, "GET", path, "router", conversion.router, absent=errors.RouterNotFound)

    def list_routers(self, context: Context, *, tx: Transaction | None = None, **filters: Any) -> Sequence[Router]:
        """The routers that match all filters, by name."""
        return self._list(context, "routers", conversion.router, **_page(filters, "name"))

    def add_router_interface(
        self, context: Context, router_id: str, *, tx: Transaction | None = None, **attributes: Any
    ) -> RouterInterface:
        """Have a router lead to a `subnet_id`, or to those of a `port_id`. Raises `RouterNotFound` and others."""
        return self._lead(context, router_id, "add_router_interface", attributes)

    def remove_router_interface(
        self, context: Context, router_id: str, *, tx: Transaction | None = None, **attributes: Any
    ) -> RouterInterface:
        """Have a router lead there no longer. Raises `RouterNotFound`, `RouterInterfaceNotFoundForSubnet`."""
        return self._lead(context, router_id, "remove_router_interface", attributes)

    def _lead(self, context: Context, router_id: str, call: str, attributes: Mapping[str, Any]) -> RouterInterface:
        path = f"{_path('routers', router_id, errors.RouterNotFound)}/{call}"
        answer = self._service.request(context, "PUT", path, body=dict(attributes), absent=errors.RouterNotFound)
        return conversion.router_interface(self._service.seen_by(context, answer))

    def add_extraroutes(
        self, context: Context, router_id: str, *, routes: Sequence[Mapping[str, str]], tx: Transaction | None = None
    ) -> Router:
        """Add static routes to those that a router has. Raises `RouterNotFound`, `InvalidRoutes`."""
        return self._change_routes(context, router_id, "add_extraroutes", routes)

    def remove_extraroutes(
        self, context: Context, router_id: str, *, routes: Sequence[Mapping[str, str]], tx: Transaction | None = None
    ) -> Router:
        """Take static routes away from those that a router has. Raises `RouterNotFound`."""
        return self._change_routes(context, router_id, "remove_extraroutes", routes)

    def _change_routes(
        self, context: Context, router_id: str, call: str, routes: Sequence[Mapping[str, str]]
    ) -> Router:
        path, body = f"{_path('routers', router_id, errors.RouterNotFound)}/{call}", {"routes": list(routes)}
        return self._one(context, "PUT", path, "router", conversion.router, body, absent=errors.RouterNotFound)

    # --- floating IPs ---------------------------------------------------------------------------------------------

    def create_floatingip(self, context: Context, *, tx: Transaction | None = None, **attributes: Any) -> FloatingIp:
        """Take an address of an external network. Raises what Neutron refuses."""
        return self._create(context, "floatingips", "floatingip", conversion.floating_ip, attributes)

    def update_floatingip(
        self, context: Context, floatingip_id: str, *, tx: Transaction | None = None, **attributes: Any
    ) -> FloatingIp:
        """Have it stand for another port, or (`port_id` None) for none. Raises `FloatingIPNotFound` and others."""
        absent = errors.FloatingIPNotFound
        path, body = _path("floatingips", floatingip_id, absent), conversion.request(attributes)
        return self._one(context, "PUT", path, "floatingip", conversion.floating_ip, body, absent=absent)

    def delete_floatingip(self, context: Context, floatingip_id: str, *, tx: Transaction | None = None) -> None:
        """Give the address back. Raises `FloatingIPNotFound`, `FipInUseByPortForwarding`."""
        self._delete(context, "floatingips", floatingip_id, errors.FloatingIPNotFound)

    def show_floatingip(self, context: Context, floatingip_id: str, *, tx: Transaction | None = None) -> FloatingIp:
        """One floating IP by id. Raises `FloatingIPNotFound`."""
        absent = errors.FloatingIPNotFound
        path = _path("floatingips", floatingip_id, absent)
        return self._one(context, "GET", path, "floatingip", conversion.floating_ip, absent=absent)

    def list_floatingips(
        self, context: Context, *, tx: Transaction | None = None, **filters: Any
    ) -> Sequence[FloatingIp]:
        """The floating IPs that match all filters, by address."""
        return self._list(context, "floatingips", conversion.floating_ip, **_page(filters, "floating_ip_address"))

    # --- port forwardings -----------------------------------------------------------------------------------------

    def create_port_forwarding(
        self, context: Context, floatingip_id: str, *, tx: Transaction | None = None, **attributes: Any
    ) -> PortForwarding:
        """Forward ports of a floating IP. Raises `FloatingIPNotFound`, and what Neutron refuses."""
        body = conversion.request(attributes)
        return self._forwarding(context, "POST", _forwardings(floatingip_id), floatingip_id, body)

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
        body = conversion.request(attributes)
        return self._forwarding(context, "PUT", _forwardings(floatingip_id, forwarding_id), floatingip_id, body)

    def delete_port_forwarding(
        self, context: Context, floatingip_id: str, forwarding_id: str, *, tx: Transaction | None = None
    ) -> None:
        """Forward these ports no longer. Raises `FloatingIPNotFound`, `PortForwardingNotFound`."""
        path = _forwardings(floatingip_id, forwarding_id)
        self._service.request(context, "DELETE", path, absent=errors.PortForwardingNotFound)

    def list_port_forwardings(
        self, context: Context, floatingip_id: str, *, tx: Transaction | None = None, **filters: Any
    ) -> Sequence[PortForwarding]:
        """The forwardings of a floating IP that match all filters. Raises `FloatingIPNotFound`."""
        answer = self._service.request(
            context, "GET", _forwardings(floatingip_id), query=filters, absent=errors.FloatingIPNotFound
        )
        return [conversion.port_forwarding(each, floatingip_id) for each in answer.get("port_forwardings", ())]

    def _forwarding(
        self, context: Context, method: str, path: str, floatingip_id: str, body: Mapping[str, Any]
    ) -> PortForwarding:
        absent = errors.PortForwardingNotFound
        answer = self._service.one(context, method, path, "port_forwarding", body, absent=absent)
        return conversion.port_forwarding(answer, floatingip_id)


def _forwardings(floatingip_id: str, forwarding_id: str | None = None) -> str:
    path = f"{_path('floatingips', floatingip_id, errors.FloatingIPNotFound)}/port_forwardings"
    return path if forwarding_id is None else path + _path("", forwarding_id, errors.PortForwardingNotFound)[1:]


def _page(filters: Mapping[str, Any], sort_key: str) -> dict[str, Any]:
    """The filters with an order, which Neutron wants a direction for."""
    return {"sort_key": sort_key, "sort_dir": "asc"} | dict(filters)
