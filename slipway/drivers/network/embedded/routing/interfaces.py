"""The interfaces of routers: added and removed, by subnet or by port."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import Any

import sqlalchemy as sa

from slipway import errors
from slipway.drivers.network.embedded.common import checks
from slipway.drivers.network.embedded.common.owners import ROUTER_INTERFACE
from slipway.drivers.network.embedded.common.tables import floating_ips, port_forwardings
from slipway.drivers.network.embedded.ports import port_rows
from slipway.drivers.network.embedded.ports.ports import Ports
from slipway.drivers.network.embedded.routing import attached, routes
from slipway.drivers.network.embedded.routing.routers import Routers
from slipway.drivers.network.embedded.routing.service_ports import ServicePorts
from slipway.drivers.network.embedded.topology.subnets import Subnets
from slipway.model.network import Context, Port, Subnet
from slipway.model.neutron import ADMIN
from slipway.model.routing import Router, RouterInterface
from slipway.states.store import Transaction

_mine = floating_ips.c.router_id == sa.bindparam("router")
_NEEDED = sa.union_all(
    sa.select(floating_ips.c.port_id, floating_ips.c.fixed_ip_address).where(
        _mine, floating_ips.c.port_id.is_not(None)
    ),
    sa.select(port_forwardings.c.internal_port_id, port_forwardings.c.internal_ip_address)
    .join_from(port_forwardings, floating_ips)
    .where(_mine),
)


class Interfaces:
    """Adds interfaces to routers and removes them."""

    def __init__(self, routers: Routers, subnets: Subnets, ports: Ports, service_ports: ServicePorts) -> None:
        self._routers = routers
        self._subnets = subnets
        self._ports = ports
        self._service_ports = service_ports

    # --- added ------------------------------------------------------------------------------------------------------

    def add(self, tx: Transaction, context: Context, router_id: str, given: Mapping[str, Any]) -> RouterInterface:
        """Have the router lead to a subnet, by its gateway address, or to those of a port.

        Raises `RouterNotFound`, `BadRequest`, `SubnetNotFound`, `PortNotFound`, `PortInUse`, and
        `IpAddressAlreadyAllocated` where another has the gateway address.
        """
        router = self._routers.own(tx, context, router_id)
        port_id, subnet_id = _named(given)
        if port_id and subnet_id:
            raise errors.BadRequest("router: give either subnet_id or port_id, not both")
        if port_id:
            port, subnets = self._add_port(tx, context, router, port_id)
        else:
            assert subnet_id is not None
            port, subnets = self._add_subnet(tx, context, router, subnet_id)
        return _interface(router.id, port, subnets, subnets[-1])

    def _add_subnet(
        self, tx: Transaction, context: Context, router: Router, subnet_id: str
    ) -> tuple[Port, Sequence[Subnet]]:
        subnet = self._subnets.show(tx, context, subnet_id)
        if subnet.gateway_ip is None:
            raise errors.BadRequest(f"router: subnet {subnet.name or subnet.id} has no gateway_ip; add a port instead")
        if subnet.project_id != context.project_id and not context.is_admin:
            raise errors.BadRequest(f"router: subnet {subnet.id} belongs to another project")
        _check_not_advertised(subnet)
        held = attached.of(tx, router.id)
        attached.check_overlap(tx, held, {subnet.id: subnet.cidr})
        address = {"subnet_id": subnet.id, "ip_address": subnet.gateway_ip}
        if subnet.ip_version == 6 and (there := _ipv6_port(held, subnet.network_id, owner=ROUTER_INTERFACE)):
            current = [
                {"subnet_id": row.subnet_id, "ip_address": str(row.address)}
                for row in held
                if row.port_id == there and row.subnet_id is not None
            ]
            return self._service_ports.update(tx, there, fixed_ips=[*current, address]), [subnet]
        port = self._service_ports.create(
            tx,
            project_id=router.project_id,
            network_id=subnet.network_id,
            fixed_ips=[address],
            device_id=router.id,
            device_owner=ROUTER_INTERFACE,
        )
        attached.attach(tx, router.id, port.id, ROUTER_INTERFACE)
        return port, [subnet]

    def _add_port(
        self, tx: Transaction, context: Context, router: Router, port_id: str
    ) -> tuple[Port, Sequence[Subnet]]:
        port = port_rows.from_row(self._ports.row(tx, context, port_id, lock=True))
        if port.device_id:
            raise errors.PortInUse(f"port {port.id}: is attached to {port.device_id}")
        if not port.fixed_ips:
            raise errors.BadRequest(f"router: port {port.id} has no address")
        subnets = [self._subnets.show(tx, context, each.subnet_id) for each in port.fixed_ips]
        for subnet in subnets:
            _check_not_advertised(subnet)
        held = attached.of(tx, router.id)
        if any(subnet.ip_version == 6 for subnet in subnets) and (there := _ipv6_port(held, port.network_id)):
            raise errors.BadRequest(f"router: has an IPv6 port on network {port.network_id} already: {there}")
        attached.check_overlap(tx, held, {subnet.id: subnet.cidr for subnet in subnets})
        if sum(subnet.ip_version == 4 for subnet in subnets) > 1:
            raise errors.BadRequest(f"router: port {port.id} has several IPv4 addresses")
        _check_in_pools(context, port, subnets)
        port = self._service_ports.update(tx, port.id, device_id=router.id, device_owner=ROUTER_INTERFACE)
        attached.attach(tx, router.id, port.id, ROUTER_INTERFACE)
        return port, subnets

    # --- removed ----------------------------------------------------------------------------------------------------

    def remove(self, tx: Transaction, context: Context, router_id: str, given: Mapping[str, Any]) -> RouterInterface:
        """Have the router lead there no longer; its port is deleted, or loses the address.

        Raises `RouterNotFound`, `BadRequest`, `RouterInterfaceNotFound`, `RouterInterfaceNotFoundForSubnet`,
        `SubnetMismatchForPort`, `RouterInterfaceInUseByFloatingIP`, `RouterInterfaceInUseByRoute`.
        """
        router = self._routers.own(tx, context, router_id)
        port_id, subnet_id = _named(given)
        if port_id:
            return self._remove_port(tx, router, port_id, subnet_id)
        assert subnet_id is not None
        return self._remove_subnet(tx, router, self._subnets.show(tx, context, subnet_id))

    def _remove_port(self, tx: Transaction, router: Router, port_id: str, subnet_id: str | None) -> RouterInterface:
        mine = [row for row in attached.of(tx, router.id) if row.port_id == port_id]
        if not mine or mine[0].port_type != ROUTER_INTERFACE:
            raise errors.RouterInterfaceNotFound(f"router {router.name or router.id}: has no interface {port_id}")
        port = port_rows.from_row(self._ports.row(tx, ADMIN, port_id))
        ids = [each.subnet_id for each in port.fixed_ips]
        if subnet_id and subnet_id not in ids:
            raise errors.SubnetMismatchForPort(f"port {port_id}: has no address of subnet {subnet_id}")
        subnets = [self._subnets.show(tx, ADMIN, each) for each in dict.fromkeys(ids)]
        for subnet in subnets:
            self._check_not_needed(tx, router, subnet)
        self._service_ports.delete(tx, port_id)
        return _interface(router.id, port, subnets, subnets[0])

    def _remove_subnet(self, tx: Transaction, router: Router, subnet: Subnet) -> RouterInterface:
        held = [row for row in attached.of(tx, router.id) if row.port_type == ROUTER_INTERFACE]
        if any(row.network_id == subnet.network_id for row in held):
            self._check_not_needed(tx, router, subnet)
        there = next((row.port_id for row in held if row.subnet_id == subnet.id), None)
        if there is None:
            raise errors.RouterInterfaceNotFoundForSubnet(
                f"router {router.name or router.id}: has no interface on subnet {subnet.name or subnet.id}"
            )
        port = port_rows.from_row(self._ports.row(tx, ADMIN, there))
        if len(port.fixed_ips) > 1:
            left = [
                {"subnet_id": each.subnet_id, "ip_address": each.ip_address}
                for each in port.fixed_ips
                if each.subnet_id != subnet.id
            ]
            self._service_ports.update(tx, there, fixed_ips=left)
        else:
            self._service_ports.delete(tx, there)
        return _interface(router.id, port, [subnet], subnet)

    def _check_not_needed(self, tx: Transaction, router: Router, subnet: Subnet) -> None:
        name, cidr = subnet.name or subnet.id, ip_network(subnet.cidr)
        for port_id, address in tx.execute(_NEEDED, {"router": router.id}):
            if address not in cidr:
                continue
            port = self._ports.find(tx, ADMIN, port_id)
            if port is not None and any(each.subnet_id == subnet.id for each in port_rows.taken(port)):
                raise errors.RouterInterfaceInUseByFloatingIP(
                    f"router {router.name or router.id}: floating IPs need its interface on subnet {name}"
                )
        if any(nexthop in cidr for _, nexthop in routes.of(tx, router.id)):
            raise errors.RouterInterfaceInUseByRoute(
                f"router {router.name or router.id}: static routes need its interface on subnet {name}"
            )


def _named(given: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The port and the subnet that were named, one of them at least. Raises `BadRequest`."""
    if "port_id" not in given and "subnet_id" not in given:
        raise errors.BadRequest("router: either subnet_id or port_id must be given")
    found = {}
    for name in ("port_id", "subnet_id"):
        try:
            found[name] = checks.uuid_text(given[name], name) if name in given else None
        except errors.HTTPBadRequest as error:
            raise errors.BadRequest(str(error)) from error
    return found["port_id"], found["subnet_id"]


def _ipv6_port(held: Sequence[Any], network_id: str, owner: str | None = None) -> str | None:
    """The router's port on the network that has an IPv6 address."""
    for row in held:
        fits = row.network_id == network_id and (owner is None or row.device_owner == owner)
        if fits and row.address is not None and row.address.version == 6:
            port_id: str = row.port_id
            return port_id
    return None


def _check_not_advertised(subnet: Subnet) -> None:
    """Raises `BadRequest` where a router that is not ours advertises the subnet."""
    if subnet.ip_version == 6 and subnet.ipv6_ra_mode is None and subnet.ipv6_address_mode is not None:
        raise errors.BadRequest(
            f"router: subnet {subnet.name or subnet.id} expects router advertisements of another router; "
            "give it an ipv6_ra_mode"
        )


def _check_in_pools(context: Context, port: Port, subnets: Sequence[Subnet]) -> None:
    """Raises `BadRequest` for a project's port with an address outside the pools of another's subnet."""
    if context.is_admin:
        return
    for fixed, subnet in zip(port.fixed_ips, subnets, strict=True):
        address = ip_address(fixed.ip_address)
        pools = [(ip_address(pool.start), ip_address(pool.end)) for pool in subnet.allocation_pools]
        within = any(int(first) <= int(address) <= int(last) for first, last in pools)
        if not within and subnet.project_id != context.project_id:
            raise errors.BadRequest(
                f"router: port {port.id} has {address}, outside the pools of another project's subnet {subnet.id}"
            )


def _interface(router_id: str, port: Port, subnets: Sequence[Subnet], shown: Subnet) -> RouterInterface:
    ids = tuple(subnet.id for subnet in subnets)
    return RouterInterface(router_id, port.project_id, port.id, port.network_id, shown.id, ids)
