"""Routers: made, changed, deleted, shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from slipway import errors
from slipway.drivers.network.embedded.common.listing import Listing, Page, one
from slipway.drivers.network.embedded.common.owners import ROUTER_INTERFACE
from slipway.drivers.network.embedded.common.resource import UNSET
from slipway.drivers.network.embedded.common.services import Services
from slipway.drivers.network.embedded.common.tables import floating_ips, routers
from slipway.drivers.network.embedded.routing import attached, router_rows, routes
from slipway.drivers.network.embedded.routing.attributes import ROUTER
from slipway.drivers.network.embedded.routing.gateways import Gateways
from slipway.drivers.network.embedded.routing.service_ports import ServicePorts
from slipway.drivers.network.embedded.topology.attributes import routes as check_routes
from slipway.model.network import Context
from slipway.model.routing import Router
from slipway.states.store import Transaction

_PLAIN = ("name", "description", "admin_state_up")
_LISTING = Listing(router_rows.SELECT, routers)
_DELETE = routers.delete().where(routers.c.id == sa.bindparam("router"))
_FORGET = floating_ips.update().where(floating_ips.c.router_id == sa.bindparam("router")).values(router_id=None)


class Routers:
    """The routers in the database."""

    def __init__(self, services: Services, ports: ServicePorts, gateways: Gateways) -> None:
        self._services = services
        self._ports = ports
        self._gateways = gateways

    def create(self, tx: Transaction, context: Context, given: Mapping[str, Any]) -> Router:
        """Make a router. Raises what `ROUTER` finds wrong, `OverQuota`, `PolicyNotAuthorized`, and as a gateway."""
        values = ROUTER.for_create(context, given)
        self._services.quotas.reserve(tx, values["project_id"], "router")
        _check_policy(context, values)
        router_id = self._services.new_id()
        row = {name: values[name] for name in ("project_id", *_PLAIN)}
        more = {"id": router_id, "enable_snat": True, "created_at": self._services.clock()}
        tx.execute(routers.insert(), row | more)
        if values["external_gateway_info"] is not None:
            self._gateways.put(tx, context, router_id, values["external_gateway_info"])
        return self.show(tx, context, router_id)

    def update(self, tx: Transaction, context: Context, router_id: str, given: Mapping[str, Any]) -> Router:
        """Change what is given: routes first, then the gateway (Neutron).

        Raises what `ROUTER` finds wrong, `RouterNotFound`, `PolicyNotAuthorized`, `InvalidRoutes`, and as a gateway.
        """
        values = ROUTER.for_update(given)
        router = self.own(tx, context, router_id)
        _check_policy(context, values)
        if "routes" in values:
            self._put_routes(tx, router, routes.as_set(values["routes"]))
        if "external_gateway_info" in values:
            self._gateways.put(tx, context, router.id, values["external_gateway_info"])
        if new := {name: values[name] for name in _PLAIN if name in values}:
            tx.execute(routers.update().where(routers.c.id == router.id).values(new))
        return self.show(tx, context, router.id)

    def change_routes(self, tx: Transaction, context: Context, router_id: str, given: object, *, add: bool) -> Router:
        """Add these routes to those that are there, or take them away; what is so already is no error."""
        named = routes.as_set(check_routes(given, "routes"))
        router = self.own(tx, context, router_id)
        current = routes.of(tx, router.id)
        self._put_routes(tx, router, current | named if add else current - named)
        return self.show(tx, context, router.id)

    def _put_routes(self, tx: Transaction, router: Router, wanted: routes.RouteSet) -> None:
        routes.put(tx, self._services.quotas, router.project_id, router.id, wanted)

    def delete(self, tx: Transaction, context: Context, router_id: str) -> Router:
        """Delete a router with its gateway and routes; gives it as it was.

        Raises `RouterNotFound`, `RouterInUse`, `RouterExternalGatewayInUseByFloatingIp`.
        """
        router = self.own(tx, context, router_id)
        held = attached.of(tx, router.id)
        if users := {row.port_id: None for row in held if row.port_type == ROUTER_INTERFACE}:
            raise errors.RouterInUse(f"router {router.name or router.id}: has interfaces: {', '.join(users)}")
        self._gateways.put(tx, context, router.id, None, with_routes=False)
        routes.clear(tx, router.id)
        tx.execute(_FORGET, {"router": router.id})
        tx.execute(_DELETE, {"router": router.id})
        self._services.quotas.release(tx, router.project_id, "router")
        return router

    def show(self, tx: Transaction, context: Context, router_id: str) -> Router:
        """One router by id. Raises `RouterNotFound`."""
        return self._find(tx, context, router_id, router_rows.SHOW)

    def own(self, tx: Transaction, context: Context, router_id: str) -> Router:
        """A router that is to be changed, locked against other writers. Raises `RouterNotFound`."""
        return self._find(tx, context, router_id, router_rows.SHOW_LOCKED)

    def _find(self, tx: Transaction, context: Context, router_id: str, statement: sa.Select[Any]) -> Router:
        row = tx.execute(statement, one(context, router_id)).first()
        if row is None:
            raise errors.RouterNotFound(f"router {router_id}: not found")
        return router_rows.from_row(row)

    def list(self, tx: Transaction, context: Context, filters: Mapping[str, Any], page: Page) -> Sequence[Router]:
        """The project's routers that match all filters."""
        return tuple(map(router_rows.from_row, _LISTING.rows(tx, context, filters, page)))


def _check_policy(context: Context, values: Mapping[str, Any]) -> None:
    """Raises `PolicyNotAuthorized` for what only administrators may give, be it the default (Neutron)."""
    if context.is_admin:
        return
    given = [name for name in ("distributed", "ha") if values.get(name, UNSET) is not UNSET]
    given += [name for name in values.get("external_gateway_info") or () if name != "network_id"]
    if given:
        raise errors.PolicyNotAuthorized(f"router: {given[0]} may be given by administrators only")
