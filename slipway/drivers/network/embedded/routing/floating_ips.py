"""Floating IPs: made, associated with ports, deleted, shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Any

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.exc import IntegrityError

from slipway import errors
from slipway.drivers.network.embedded.common.listing import Listing, Page, one
from slipway.drivers.network.embedded.common.owners import FLOATING_IP as OWNER
from slipway.drivers.network.embedded.common.services import Services
from slipway.drivers.network.embedded.common.tables import IpAddress, floating_ips, port_forwardings, subnets
from slipway.drivers.network.embedded.ports import port_rows
from slipway.drivers.network.embedded.ports.ports import Ports
from slipway.drivers.network.embedded.routing import floating_rows, ways_out
from slipway.drivers.network.embedded.routing.attributes import FLOATING_IP
from slipway.drivers.network.embedded.routing.service_ports import ServicePorts
from slipway.drivers.network.embedded.topology.networks import Networks
from slipway.model.network import Context, FixedIp, Network, Port
from slipway.model.neutron import DHCP_OWNER
from slipway.model.routing import FloatingIp
from slipway.states.store import Transaction

_HAS_IPV4 = sa.select(subnets.c.id).where(subnets.c.network_id == sa.bindparam("network"), subnets.c.ip_version == 4)
_SET = (
    floating_ips.update()
    .where(floating_ips.c.id == sa.bindparam("fip"))
    .values(
        port_id=sa.bindparam("new_port"),
        fixed_ip_address=sa.bindparam("new_address"),
        router_id=sa.bindparam("new_router"),
        description=sa.bindparam("new_description"),
    )
)
_ASSOCIATED = sa.select(floating_ips.c.id).where(
    floating_ips.c.floating_network_id == sa.bindparam("network"),
    floating_ips.c.port_id == sa.bindparam("port"),
    floating_ips.c.fixed_ip_address == sa.bindparam("address"),
)
_FORWARDS = sa.select(port_forwardings.c.id).where(port_forwardings.c.floatingip_id == sa.bindparam("fip")).limit(1)
_UNUSED_ON = sa.select(floating_ips.c.id).where(
    floating_ips.c.floating_network_id == sa.bindparam("network"),
    floating_ips.c.port_id.is_(None),
    floating_ips.c.router_id.is_(None),
)
_LISTING = Listing(floating_rows.SELECT, floating_ips)


class Association(Struct, frozen=True):
    """What a floating IP stands for, and the router that does it; None all of it where it stands for nothing."""

    port_id: str | None = None
    address: IpAddress | None = None
    router_id: str | None = None


class FloatingIps:
    """The floating IPs in the database."""

    def __init__(self, services: Services, networks: Networks, ports: Ports, service_ports: ServicePorts) -> None:
        self._services = services
        self._networks = networks
        self._ports = ports
        self._service_ports = service_ports

    def create(self, tx: Transaction, context: Context, given: Mapping[str, Any]) -> FloatingIp:
        """Take an address of an external network, and have it stand for a port's where one is named.

        Raises what `FLOATING_IP` finds wrong, `OverQuota`, `PolicyNotAuthorized`, `NetworkNotFound`, `BadRequest`,
        what taking an address raises, `PortNotFound`, `ExternalGatewayForFloatingIPNotFound`,
        `FloatingIPPortAlreadyAssociated`.
        """
        values = FLOATING_IP.for_create(context, given)
        self._services.quotas.reserve(tx, values["project_id"], "floatingip")
        address: IpAddress | None = values["floating_ip_address"]
        if address is not None and not context.is_admin:
            raise errors.PolicyNotAuthorized("floatingip: floating_ip_address may be given by administrators only")
        network = self._networks.show(tx, context, values["floating_network_id"])
        self._check_network(tx, network)
        if address is not None and address.version != 4:
            raise errors.BadRequest(f"floatingip: {address} is no IPv4 address")
        fip_id = self._services.new_id()
        outside = self._take_address(tx, fip_id, network, values)
        row = {
            "id": fip_id,
            "floating_port_id": outside.id,
            "floating_ip_address": ip_address(_ipv4(outside)[0].ip_address),
            "status": "DOWN",
            "created_at": self._services.clock(),
            **{name: values[name] for name in _KEPT},
        }
        wanted = self._associate(tx, context, values, Association(), network.id, values["project_id"])
        tx.execute(floating_ips.insert(), row)
        self._set(tx, fip_id, wanted, values["description"])
        return self.show(tx, context, fip_id)

    def _check_network(self, tx: Transaction, network: Network) -> None:
        if not network.router_external:
            raise errors.BadRequest(f"floatingip: network {network.name or network.id} is not external")
        if tx.execute(_HAS_IPV4, {"network": network.id}).first() is None:
            raise errors.BadRequest(f"floatingip: network {network.name or network.id} has no IPv4 subnet")

    def _take_address(self, tx: Transaction, fip_id: str, network: Network, values: Mapping[str, Any]) -> Port:
        asked = {} if values["subnet_id"] is None else {"subnet_id": values["subnet_id"]}
        if values["floating_ip_address"] is not None:
            asked["ip_address"] = str(values["floating_ip_address"])
        port = self._service_ports.create(
            tx,
            status="N/A",
            network_id=network.id,
            device_id=fip_id,
            device_owner=OWNER,
            **({"fixed_ips": [asked]} if asked else {}),
        )
        if not _ipv4(port):
            raise errors.BadRequest(f"floatingip: {port.fixed_ips[0].ip_address} is no IPv4 address")
        return port

    def update(self, tx: Transaction, context: Context, fip_id: str, given: Mapping[str, Any]) -> FloatingIp:
        """Associate a floating IP with another port, or (`port_id` None, and where nothing is given) with none.

        Raises as `create`, `FloatingIPNotFound`, and `FipInUseByPortForwarding`.
        """
        values = FLOATING_IP.for_update(given)
        row = self._row(tx, context, fip_id, lock=True)
        current = Association(row.port_id, row.fixed_ip_address, row.router_id)
        wanted = self._associate(tx, context, values, current, row.floating_network_id, row.project_id)
        if values.get("port_id") and tx.execute(_FORWARDS, {"fip": row.id}).first() is not None:
            raise errors.FipInUseByPortForwarding(f"floating IP {row.floating_ip_address}: forwards ports")
        self._set(tx, row.id, wanted, values.get("description", row.description))
        return self.show(tx, context, row.id)

    def _associate(
        self,
        tx: Transaction,
        context: Context,
        values: Mapping[str, Any],
        current: Association,
        network_id: str,
        project_id: str,
    ) -> Association:
        """What the floating IP is to stand for (Neutron: `_check_and_get_fip_assoc`)."""
        if values.get("fixed_ip_address") is not None and not values.get("port_id"):
            raise errors.BadRequest("floatingip: fixed_ip_address needs a port_id")
        wanted = Association()
        if values.get("port_id"):
            wanted = self._find(tx, context, values, values["port_id"], network_id, project_id)
            taken = {"network": network_id, "port": wanted.port_id, "address": wanted.address}
            if wanted.port_id != current.port_id and tx.execute(_ASSOCIATED, taken).first() is not None:
                raise _taken(wanted)
        elif values and "port_id" not in values and current.port_id:
            # What is not said stays; Neutron looks for address and router anew.
            wanted = self._find(tx, context, values, current.port_id, network_id, project_id)
        if current.port_id is None and current.router_id is not None:
            return Association(wanted.port_id, wanted.address, current.router_id)
        return wanted

    def _find(
        self,
        tx: Transaction,
        context: Context,
        values: Mapping[str, Any],
        port_id: str,
        network_id: str,
        project_id: str,
    ) -> Association:
        port = port_rows.from_row(self._ports.row(tx, context, port_id))
        if port.project_id != project_id and not context.is_admin:
            raise errors.BadRequest(f"floatingip: port {port.id} belongs to another project")
        if port.device_owner == DHCP_OWNER:
            raise errors.BadRequest(f"floatingip: port {port.id} is a DHCP server's, which has none")
        fixed = _chosen(port, values.get("fixed_ip_address"))
        router = values.get("router_id")
        if router:
            ways_out.check_router(tx, context, router, network_id)
        else:
            router = ways_out.router_for(tx, port, fixed.subnet_id, network_id)
        return Association(port.id, ip_address(fixed.ip_address), router)

    def _set(self, tx: Transaction, fip_id: str, wanted: Association, description: str) -> None:
        new = {"new_port": wanted.port_id, "new_address": wanted.address, "new_router": wanted.router_id}
        try:
            with tx.begin_nested():
                tx.execute(_SET, {"fip": fip_id, "new_description": description} | new)
        except IntegrityError as error:
            raise _taken(wanted) from error

    def delete(self, tx: Transaction, context: Context, fip_id: str) -> FloatingIp:
        """Delete a floating IP and give its address back. Raises `FloatingIPNotFound`, `FipInUseByPortForwarding`."""
        row = self._row(tx, context, fip_id, lock=True)
        found = floating_rows.from_rows(tx, [row])[0]
        self._service_ports.delete(tx, row.floating_port_id)
        return found

    def delete_unused(self, tx: Transaction, network_id: str) -> None:
        """Delete the network's floating IPs that stand for nothing (Neutron: they go with it)."""
        for fip_id in tx.scalars(_UNUSED_ON, {"network": network_id}).all():
            self.delete(tx, Context("", is_admin=True), fip_id)

    def show(self, tx: Transaction, context: Context, fip_id: str) -> FloatingIp:
        """One floating IP by id. Raises `FloatingIPNotFound`."""
        return floating_rows.from_rows(tx, [self._row(tx, context, fip_id)])[0]

    def _row(self, tx: Transaction, context: Context, fip_id: str, *, lock: bool = False) -> sa.Row[Any]:
        statement = floating_rows.SHOW_LOCKED if lock else floating_rows.SHOW
        row = tx.execute(statement, one(context, fip_id)).first()
        if row is None:
            raise errors.FloatingIPNotFound(f"floating IP {fip_id}: not found")
        return row

    def list(self, tx: Transaction, context: Context, filters: Mapping[str, Any], page: Page) -> Sequence[FloatingIp]:
        """The project's floating IPs that match all filters."""
        return floating_rows.from_rows(tx, _LISTING.rows(tx, context, filters, page))


_KEPT = ("project_id", "floating_network_id", "description", "dns_name", "dns_domain")


def _ipv4(port: Port) -> Sequence[FixedIp]:
    return [each for each in port.fixed_ips if ip_address(each.ip_address).version == 4]


def _chosen(port: Port, address: IpAddress | None) -> FixedIp:
    """The port's address that is meant. Raises `BadRequest`."""
    if address is not None and address.version != 4:
        raise errors.BadRequest(f"floatingip: {address} is no IPv4 address")
    fitting = [each for each in _ipv4(port) if address in (None, ip_address(each.ip_address))]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise errors.BadRequest(f"floatingip: port {port.id} has several IPv4 addresses: give fixed_ip_address")
    raise errors.BadRequest(f"floatingip: port {port.id} has no address {address or 'of IPv4'}")


def _taken(wanted: Association) -> errors.FloatingIPPortAlreadyAssociated:
    return errors.FloatingIPPortAlreadyAssociated(
        f"floatingip: {wanted.address} of port {wanted.port_id} has one of this network already"
    )
