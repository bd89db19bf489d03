"""What a network driver must do for the routers and floating IPs of a run file. Not every driver has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, cast

from slipway import errors
from slipway.drivers.network.base import NetworkDriver
from slipway.model.network import Context
from slipway.model.routing import FloatingIp, PortForwarding, Router, RouterInterface
from slipway.states.store import Transaction


class RoutingDriver(Protocol):
    """Routers and floating IPs, with the names and errors of Neutron; `tx` as in `NetworkDriver`."""

    def create_router(self, context: Context, *, tx: Transaction | None = None, **attributes: Any) -> Router:
        """Make a router."""

    def update_router(
        self, context: Context, router_id: str, *, tx: Transaction | None = None, **attributes: Any
    ) -> Router:
        """Change what is named. Raises `RouterNotFound`, and what the service refuses."""

    def delete_router(self, context: Context, router_id: str, *, tx: Transaction | None = None) -> None:
        """Delete a router that leads to no subnet. Raises `RouterNotFound`, `RouterInUse`."""

    def list_routers(self, context: Context, *, tx: Transaction | None = None, **filters: Any) -> Sequence[Router]:
        """The routers that match all filters."""

    def add_router_interface(
        self, context: Context, router_id: str, *, tx: Transaction | None = None, **attributes: Any
    ) -> RouterInterface:
        """Have a router lead to a `subnet_id`. Raises `RouterNotFound`, and what the service refuses."""

    def remove_router_interface(
        self, context: Context, router_id: str, *, tx: Transaction | None = None, **attributes: Any
    ) -> RouterInterface:
        """Have a router lead to a `subnet_id` no longer. Raises `RouterNotFound`, and what the service refuses."""

    def create_floatingip(self, context: Context, *, tx: Transaction | None = None, **attributes: Any) -> FloatingIp:
        """Take an address of an external network."""

    def update_floatingip(
        self, context: Context, floatingip_id: str, *, tx: Transaction | None = None, **attributes: Any
    ) -> FloatingIp:
        """Have it stand for another port, or for none."""

    def delete_floatingip(self, context: Context, floatingip_id: str, *, tx: Transaction | None = None) -> None:
        """Give it back. Raises `FloatingIPNotFound`."""

    def list_floatingips(
        self, context: Context, *, tx: Transaction | None = None, **filters: Any
    ) -> Sequence[FloatingIp]:
        """The floating IPs that match all filters."""

    def create_port_forwarding(
        self, context: Context, floatingip_id: str, *, tx: Transaction | None = None, **attributes: Any
    ) -> PortForwarding:
        """Forward ports of a floating IP. Raises `FloatingIPNotFound`, and what the service refuses."""

    def delete_port_forwarding(
        self, context: Context, floatingip_id: str, forwarding_id: str, *, tx: Transaction | None = None
    ) -> None:
        """Forward these ports no longer. Raises `FloatingIPNotFound`, `PortForwardingNotFound`."""


def routing_of(driver: NetworkDriver) -> RoutingDriver:
    """The driver as one that has routers. Raises `HTTPNotImplemented` for one that has none."""
    if not hasattr(driver, "create_router"):
        raise errors.HTTPNotImplemented(f"the network driver {type(driver).__name__} has no routers and floating IPs")
    return cast(RoutingDriver, driver)
