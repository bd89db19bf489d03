"""Port forwardings: ports of a floating IP that lead to ports of a fixed address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from slipway import errors
from slipway.drivers.network.embedded.common.listing import Listing, Page, one
from slipway.drivers.network.embedded.common.services import Services
from slipway.drivers.network.embedded.common.tables import IpAddress, floating_ips, port_forwardings
from slipway.drivers.network.embedded.ports import port_rows
from slipway.drivers.network.embedded.ports.ports import Ports
from slipway.drivers.network.embedded.routing import floating_rows, ways_out
from slipway.drivers.network.embedded.routing.attributes import FORWARDING, ports_of
from slipway.model.network import Context
from slipway.model.neutron import ADMIN
from slipway.model.routing import PortForwarding
from slipway.states.store import Transaction

_SHOW = floating_rows.FORWARDINGS.where(
    port_forwardings.c.id == sa.bindparam("id"), port_forwardings.c.floatingip_id == sa.bindparam("fip")
)
_LISTING = Listing(floating_rows.FORWARDINGS, port_forwardings)
_DELETE = port_forwardings.delete().where(port_forwardings.c.id == sa.bindparam("forwarding"))
_LEFT = sa.select(port_forwardings.c.id).where(port_forwardings.c.floatingip_id == sa.bindparam("fip")).limit(1)
_SET_ROUTER = (
    floating_ips.update().where(floating_ips.c.id == sa.bindparam("fip")).values(router_id=sa.bindparam("router"))
)
_BOUND = sa.select(floating_ips.c.floating_ip_address).where(floating_ips.c.port_id == sa.bindparam("port")).limit(1)
_other = port_forwardings.c.id != sa.bindparam("me")
_same_protocol = port_forwardings.c.protocol == sa.bindparam("protocol")
_CLASHES = {
    "internal": sa.select(port_forwardings.c.id).where(
        _other,
        _same_protocol,
        port_forwardings.c.internal_port_id == sa.bindparam("port"),
        port_forwardings.c.internal_ip_address == sa.bindparam("address"),
        port_forwardings.c.internal_first <= sa.bindparam("last"),
        port_forwardings.c.internal_last >= sa.bindparam("first"),
    ),
    "external": sa.select(port_forwardings.c.id).where(
        _other,
        _same_protocol,
        port_forwardings.c.floatingip_id == sa.bindparam("fip"),
        port_forwardings.c.external_first <= sa.bindparam("last"),
        port_forwardings.c.external_last >= sa.bindparam("first"),
    ),
}


class Forwardings:
    """The port forwardings in the database."""

    def __init__(self, services: Services, ports: Ports) -> None:
        self._services = services
        self._ports = ports

    def create(self, tx: Transaction, context: Context, fip_id: str, given: Mapping[str, Any]) -> PortForwarding:
        """Forward ports of a floating IP that stands for no port itself.

        Raises what `FORWARDING` finds wrong, `FloatingIPNotFound`, `PolicyNotAuthorized`, `BadRequest`,
        `PortHasBindingFloatingIP`, `FloatingIPPortAlreadyAssociated`, `PortNotFound`.
        """
        values = FORWARDING.for_create(context, given)
        row = {
            "id": self._services.new_id(),
            "floatingip_id": fip_id,
            **{name: values[name] for name in ("protocol", "internal_port_id", "internal_ip_address", "description")},
        }
        for side in ("internal", "external"):
            ports = ports_of(values, side)
            if ports is None:
                raise errors.HTTPBadRequest(f"port_forwarding: {side}_port or {side}_port_range must be given")
            row[f"{side}_first"], row[f"{side}_last"] = ports
        self._check_owner(tx, context, fip_id)
        # As in Neutron: what is wrong with the ports is told before the floating IP is looked for.
        self._check_ports(tx, row)
        self._check_not_bound(tx, values["internal_port_id"])
        fip = self._fip(tx, context, fip_id, change=True)
        if fip.port_id is not None:
            raise errors.FloatingIPPortAlreadyAssociated(f"floating IP {fip.floating_ip_address}: stands for a port")
        router_id = self._router(tx, context, fip, row)
        if fip.router_id is None:
            tx.execute(_SET_ROUTER, {"fip": fip.id, "router": router_id})
        self._write(tx, port_forwardings.insert(), row)
        return self.show(tx, context, fip.id, row["id"])

    def update(
        self, tx: Transaction, context: Context, fip_id: str, forwarding_id: str, given: Mapping[str, Any]
    ) -> PortForwarding:
        """Change what is given. Raises as `create`, and `PortForwardingNotFound`."""
        values = FORWARDING.for_update(given)
        fip = self._fip(tx, context, fip_id, change=True)
        if values.get("internal_port_id"):
            self._check_not_bound(tx, values["internal_port_id"])
        before = dict(self._row(tx, context, fip_id, forwarding_id)._mapping)
        new = {name: value for name, value in values.items() if name in before}
        for side in ("internal", "external"):
            if ports := ports_of(values, side):
                new[f"{side}_first"], new[f"{side}_last"] = ports
        row = before | new
        if row["internal_port_id"] != before["internal_port_id"]:
            self._router(tx, context, fip, row)
        self._check_address(tx, context, row)
        self._check_ports(tx, row)
        if new:
            self._write(tx, port_forwardings.update().where(port_forwardings.c.id == row["id"]), new)
        return self.show(tx, context, fip.id, row["id"])

    def _write(self, tx: Transaction, statement: sa.Insert | sa.Update, row: Mapping[str, Any]) -> None:
        try:
            with tx.begin_nested():
                tx.execute(statement.values(row))
        except IntegrityError as error:
            raise errors.BadRequest("port_forwarding: these ports are forwarded already") from error

    def _check_ports(self, tx: Transaction, row: Mapping[str, Any]) -> None:
        """Raises `BadRequest` for ranges that do not fit, and for ports that are forwarded already."""
        inside, outside = (row[f"{side}_last"] - row[f"{side}_first"] for side in ("internal", "external"))
        if inside > 0 and inside != outside:
            raise errors.BadRequest("port_forwarding: the internal range must be one port, or as long as the external")
        same = {
            "me": row["id"],
            "protocol": row["protocol"],
            "port": row["internal_port_id"],
            "address": row["internal_ip_address"],
            "fip": row["floatingip_id"],
        }
        for side, clashes in _CLASHES.items():
            first, last = row[f"{side}_first"], row[f"{side}_last"]
            known = {name: same[name] for name in clashes.compile().params if name in same}
            if tx.execute(clashes, known | {"first": first, "last": last}).first() is not None:
                raise errors.BadRequest(
                    f"port_forwarding: some of the {side} ports {first}:{last} are forwarded already"
                )

    def _check_not_bound(self, tx: Transaction, port_id: str) -> None:
        address = tx.scalar(_BOUND, {"port": port_id})
        if address is not None:
            raise errors.PortHasBindingFloatingIP(f"port {port_id}: has the floating IP {address}")

    def _check_address(self, tx: Transaction, context: Context, row: Mapping[str, Any]) -> IpAddress:
        """The internal address, whose subnet's router is to forward. Raises `PortNotFound`, `BadRequest`."""
        port = port_rows.from_row(self._ports.row(tx, context, row["internal_port_id"]))
        wanted: IpAddress = row["internal_ip_address"]
        if wanted.version != 4 or all(ip_address(each.ip_address) != wanted for each in port.fixed_ips):
            raise errors.BadRequest(f"port_forwarding: {wanted} is no IPv4 address of port {port.id}")
        return wanted

    def _router(self, tx: Transaction, context: Context, fip: sa.Row[Any], row: Mapping[str, Any]) -> str:
        """The router that is to forward. Raises `PortNotFound`, `BadRequest`."""
        wanted = self._check_address(tx, context, row)
        port = port_rows.from_row(self._ports.row(tx, context, row["internal_port_id"]))
        subnet_id = next(each.subnet_id for each in port.fixed_ips if ip_address(each.ip_address) == wanted)
        try:
            router_id = ways_out.router_for(tx, port, subnet_id, fip.floating_network_id)
        except errors.ExternalGatewayForFloatingIPNotFound as error:
            raise errors.BadRequest(f"port_forwarding: {error}") from error
        if fip.router_id is not None and fip.router_id != router_id:
            raise errors.BadRequest(
                f"port_forwarding: floating IP {fip.floating_ip_address} is on router {fip.router_id}, "
                f"which does not reach port {port.id}"
            )
        return router_id

    def delete(self, tx: Transaction, context: Context, fip_id: str, forwarding_id: str) -> PortForwarding:
        """Delete a forwarding. Raises `FloatingIPNotFound`, `PortForwardingNotFound`."""
        fip = self._fip(tx, context, fip_id, change=True)
        row = self._row(tx, context, fip.id, forwarding_id)
        tx.execute(_DELETE, {"forwarding": row.id})
        if tx.execute(_LEFT, {"fip": fip.id}).first() is None:
            tx.execute(_SET_ROUTER, {"fip": fip.id, "router": None})
        return floating_rows.forwarding(row)

    def show(self, tx: Transaction, context: Context, fip_id: str, forwarding_id: str) -> PortForwarding:
        """One forwarding of a floating IP. Raises `FloatingIPNotFound`, `PortForwardingNotFound`."""
        self._fip(tx, context, fip_id)
        return floating_rows.forwarding(self._row(tx, context, fip_id, forwarding_id))

    def list(
        self, tx: Transaction, context: Context, fip_id: str, filters: Mapping[str, Any], page: Page
    ) -> Sequence[PortForwarding]:
        """The floating IP's forwardings that match all filters. Raises `FloatingIPNotFound`."""
        fip = self._fip(tx, context, fip_id)
        rows = _LISTING.rows(tx, context, {**filters, "floatingip_id": fip.id}, page)
        return tuple(map(floating_rows.forwarding, rows))

    def _check_owner(self, tx: Transaction, context: Context, fip_id: str) -> None:
        """For projects: raises `PolicyNotAuthorized` for another's floating IP, and `FloatingIPNotFound`, at once."""
        if context.is_admin:
            return
        row = tx.execute(floating_rows.SHOW, one(ADMIN, fip_id)).first()
        if row is None:
            raise errors.FloatingIPNotFound(f"floating IP {fip_id}: not found")
        if row.project_id != context.project_id:
            raise errors.PolicyNotAuthorized(f"floating IP {fip_id}: belongs to another project")

    def _fip(self, tx: Transaction, context: Context, fip_id: str, *, change: bool = False) -> sa.Row[Any]:
        """The floating IP's row, locked for a `change`. Raises `FloatingIPNotFound`."""
        if change:
            self._check_owner(tx, context, fip_id)
        statement = floating_rows.SHOW_LOCKED if change else floating_rows.SHOW
        row = tx.execute(statement, one(context, fip_id)).first()
        if row is None:
            raise errors.FloatingIPNotFound(f"floating IP {fip_id}: not found")
        return row

    def _row(self, tx: Transaction, context: Context, fip_id: str, forwarding_id: str) -> sa.Row[Any]:
        row = tx.execute(_SHOW, one(context, forwarding_id) | {"fip": fip_id}).first()
        if row is None:
            raise errors.PortForwardingNotFound(f"port forwarding {forwarding_id}: not found")
        return row
