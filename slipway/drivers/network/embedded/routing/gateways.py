"""The external gateways of routers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import sqlalchemy as sa

from slipway import errors
from slipway.drivers.network.embedded.addressing.fixed_ips import Wanted
from slipway.drivers.network.embedded.addressing.subnet_rules import is_auto_address
from slipway.drivers.network.embedded.common.owners import ROUTER_GATEWAY
from slipway.drivers.network.embedded.common.tables import (
    IpAddress,
    allocations,
    floating_ips,
    ports,
    routers,
    subnets,
)
from slipway.drivers.network.embedded.routing import attached, routes
from slipway.drivers.network.embedded.routing.service_ports import ServicePorts, as_asked
from slipway.drivers.network.embedded.topology.networks import Networks
from slipway.model.network import Context, Network, Subnet
from slipway.states.store import Transaction

_SET_SNAT = routers.update().where(routers.c.id == sa.bindparam("router")).values(enable_snat=sa.bindparam("snat"))
_SERVED = sa.select(floating_ips.c.id).where(floating_ips.c.router_id == sa.bindparam("router")).limit(1)
_GATEWAY_IPS = sa.select(subnets.c.gateway_ip).where(subnets.c.network_id == sa.bindparam("network"))
_PORTS_ON = sa.select(ports.c.id).where(
    ports.c.network_id == sa.bindparam("network"), ports.c.device_owner == ROUTER_GATEWAY
)
_ADDRESSES = (
    sa.select(allocations.c.address, allocations.c.subnet_id, subnets.c.ipv6_ra_mode, subnets.c.ipv6_address_mode)
    .join_from(allocations, subnets)
    .where(allocations.c.port_id == sa.bindparam("port"))
    .order_by(allocations.c.position)
)


class Gateways:
    """Gives routers their way out, and takes it away."""

    def __init__(self, networks: Networks, ports: ServicePorts) -> None:
        self._networks = networks
        self._ports = ports

    def put(
        self,
        tx: Transaction,
        context: Context,
        router_id: str,
        info: Mapping[str, Any] | None,
        *,
        with_routes: bool = True,
    ) -> None:
        """Give the router this gateway, or (None) none; without `with_routes` its routes are not looked at.

        Raises `NetworkNotFound`, `BadRequest`, `InvalidRoutes`, `RouterExternalGatewayInUseByFloatingIp`, and what
        taking an address raises.
        """
        tx.execute(_SET_SNAT, {"router": router_id, "snat": True if info is None else info.get("enable_snat", True)})
        held = attached.of(tx, router_id)
        current = [row for row in held if row.port_type == ROUTER_GATEWAY]
        others = [row for row in held if row.port_type != ROUTER_GATEWAY]
        wanted: Sequence[Wanted] = (info or {}).get("external_fixed_ips", ())
        network = None if info is None else self._networks.show(tx, context, info["network_id"])
        reached = {} if network is None else self._check_network(tx, network, wanted)
        if with_routes:
            self._check_routes(tx, router_id, others, reached)
        if current and network is not None and current[0].network_id == network.id:
            if _is_changed(current, wanted):
                self._ports.update(tx, current[0].port_id, fixed_ips=as_asked(wanted))
            return
        if current:
            self._remove(tx, router_id, current[0])
        if network is not None:
            attached.check_overlap(tx, others, reached)
            self._create(tx, router_id, network, wanted)

    def _check_network(self, tx: Transaction, network: Network, wanted: Sequence[Wanted]) -> Mapping[str, str]:
        """The network's subnets. Raises `BadRequest` for one that is not external, and for its gateway's address."""
        if not network.router_external:
            raise errors.BadRequest(f"router: network {network.name or network.id} is not external")
        taken = set(tx.scalars(_GATEWAY_IPS, {"network": network.id})) - {None}
        for each in wanted:
            if each.address in taken:
                raise errors.BadRequest(f"router: {each.address} is the gateway of the external network itself")
        return attached.subnets_of(tx, network.id)

    def _check_routes(self, tx: Transaction, router_id: str, others: Sequence[Any], reached: Mapping[str, str]) -> None:
        """Raises `InvalidRoutes` where a static route would lead nowhere with the new gateway."""
        if current := routes.of(tx, router_id):
            cidrs = [row.cidr for row in others if row.cidr is not None] + list(reached.values())
            addresses = [row.address for row in others if row.address is not None]
            routes.check(tx, router_id, current, cidrs, addresses)

    def _remove(self, tx: Transaction, router_id: str, current: sa.Row[Any]) -> None:
        if tx.execute(_SERVED, {"router": router_id}).first() is not None:
            raise errors.RouterExternalGatewayInUseByFloatingIp(
                f"router {router_id}: floating IPs need its gateway on network {current.network_id}"
            )
        self._ports.delete(tx, current.port_id)

    def _create(self, tx: Transaction, router_id: str, network: Network, wanted: Sequence[Wanted]) -> None:
        asked: dict[str, Any] = {"fixed_ips": as_asked(wanted)} if wanted else {}
        # It belongs to no project, so that nobody changes it through the port (Neutron).
        port = self._ports.create(tx, network_id=network.id, device_id=router_id, device_owner=ROUTER_GATEWAY, **asked)
        attached.attach(tx, router_id, port.id, ROUTER_GATEWAY)

    def extend(self, tx: Transaction, subnet: Subnet) -> None:
        """Give the gateways on the subnet's network, which is external, an address of it, where they have none of its
        IP version.

        One for which none is left goes without, as in Neutron.
        """
        if subnet.ip_version == 4 and not {"", ROUTER_GATEWAY}.intersection(subnet.service_types or ("",)):
            return
        for port_id in tx.scalars(_PORTS_ON, {"network": subnet.network_id}).all():
            rows = tx.execute(_ADDRESSES, {"port": port_id}).all()
            given = [row for row in rows if not is_auto_address(row.ipv6_ra_mode, row.ipv6_address_mode)]
            if len(given) > 1 or any(row.address.version == subnet.ip_version for row in given):
                continue
            addresses = [{"subnet_id": row.subnet_id, "ip_address": str(row.address)} for row in rows]
            with suppress(errors.NetworkError), tx.begin_nested():
                self._ports.update(tx, port_id, fixed_ips=[*addresses, {"subnet_id": subnet.id}])


def _is_changed(current: Sequence[Any], wanted: Sequence[Wanted]) -> bool:
    """Whether these addresses are others than those that the gateway has (Neutron: as far as they are named)."""
    if not wanted:
        return False
    if {each.subnet_id for each in wanted if each.subnet_id} != {row.subnet_id for row in current}:
        return True
    addresses: set[IpAddress] = {row.address for row in current}
    return {each.address for each in wanted if each.address is not None} != addresses
