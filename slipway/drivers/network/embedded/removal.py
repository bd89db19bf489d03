"""Deleting networks and subnets, with what belongs to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from slipway import errors
from slipway.drivers.network.embedded.addressing import fixed_ips
from slipway.drivers.network.embedded.addressing.subnet_rules import is_auto_address
from slipway.drivers.network.embedded.common.owners import AUTO_DELETED, ROUTER_INTERFACES
from slipway.drivers.network.embedded.common.tables import allocations, ports
from slipway.drivers.network.embedded.ports import port_rows
from slipway.drivers.network.embedded.ports.ports import Ports
from slipway.drivers.network.embedded.topology.networks import Networks
from slipway.drivers.network.embedded.topology.subnets import Subnets
from slipway.model.network import Context, Network, Port, Subnet
from slipway.model.neutron import ADMIN
from slipway.states.store import Transaction

if TYPE_CHECKING:
    from slipway.drivers.network.embedded.routing.floating_ips import FloatingIps

_PORTS = sa.select(ports.c.id, ports.c.device_owner).where(ports.c.network_id == sa.bindparam("network"))
_ALLOCATIONS = (
    sa.select(allocations.c.address, allocations.c.port_id, ports.c.device_owner)
    .join(ports)
    .where(allocations.c.subnet_id == sa.bindparam("subnet"))
)
_FREE_ALL = allocations.delete().where(allocations.c.subnet_id == sa.bindparam("subnet"))
_AUTO_PORTS = sa.select(
    ports.c.id,
    ports.c.device_owner,
    ports.c.mac_address,
    sa.select(sa.func.coalesce(sa.func.max(allocations.c.position), -1) + 1)
    .where(allocations.c.port_id == ports.c.id)
    .scalar_subquery()
    .label("next_position"),
).where(ports.c.network_id == sa.bindparam("network"))


class Removal:
    """Deletes networks and subnets that nobody uses any more."""

    def __init__(
        self, networks: Networks, subnets: Subnets, ports: Ports, floating_ips: Callable[[], FloatingIps]
    ) -> None:
        self._networks = networks
        self._subnets = subnets
        self._ports = ports
        self._floating_ips = floating_ips

    def delete_network(self, tx: Transaction, context: Context, network_id: str) -> tuple[Network, Sequence[Port]]:
        """Delete a network with its subnets, DHCP ports and unused floating IPs; gives the network and those ports.

        Raises `NetworkNotFound` and `NetworkInUse`.
        """
        network = self._networks.own(tx, context, network_id)
        if network.router_external:
            self._floating_ips().delete_unused(tx, network.id)
        rows = tx.execute(_PORTS, {"network": network.id}).all()
        if users := [row.id for row in rows if row.device_owner not in AUTO_DELETED]:
            raise errors.NetworkInUse(f"network {network.name or network.id}: has ports: {', '.join(users)}")
        gone = tuple(self._ports.delete(tx, ADMIN, row.id) for row in rows)
        for subnet_id in network.subnets:
            self.delete_subnet(tx, ADMIN, subnet_id)
        self._networks.remove(tx, network)
        return network, gone

    def delete_subnet(self, tx: Transaction, context: Context, subnet_id: str) -> Subnet:
        """Delete a subnet; ports that got its addresses unasked lose them. Raises `SubnetNotFound`, `SubnetInUse`."""
        subnet = self._subnets.own(tx, context, subnet_id)
        kept = ROUTER_INTERFACES if is_auto_address(subnet.ipv6_ra_mode, subnet.ipv6_address_mode) else None
        for row in tx.execute(_ALLOCATIONS, {"subnet": subnet.id}):
            owner = row.device_owner
            if owner in kept if kept else owner not in AUTO_DELETED:
                raise errors.SubnetInUse(
                    f"subnet {subnet.name or subnet.id}: port {row.port_id} has its address {row.address}"
                )
        tx.execute(_FREE_ALL, {"subnet": subnet.id})
        self._subnets.remove(tx, subnet)
        return subnet

    def add_auto_addresses(self, tx: Transaction, subnet: Subnet) -> None:
        """Give the ports that are there an address of a new SLAAC subnet, as Neutron does."""
        if not is_auto_address(subnet.ipv6_ra_mode, subnet.ipv6_address_mode):
            return
        site: Sequence[Any] = tx.execute(port_rows.SUBNETS, {"network": subnet.network_id}).all()
        rows = tx.execute(_AUTO_PORTS, {"network": subnet.network_id}).all()
        for row in rows:
            holder = fixed_ips.Holder(row.id, subnet.network_id, row.device_owner, row.mac_address)
            fitting = [s for s in site if s.subnet_id == subnet.id and fixed_ips.serves(s, row.device_owner)]
            picks = fixed_ips.from_mac(holder, fixed_ips.candidates(fitting, subnet.network_id, row.device_owner))
            fixed_ips.take(tx, holder, picks, row.next_position)
