"""Subnets with their pools: made, changed, deleted, shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import Any, TypeAlias

import sqlalchemy as sa

from slipway import errors
from slipway.drivers.network.embedded.addressing import subnet_rules
from slipway.drivers.network.embedded.addressing.addresses import Range, gaps
from slipway.drivers.network.embedded.common.checks import IpNetwork
from slipway.drivers.network.embedded.common.listing import Listing, Page, one, usable
from slipway.drivers.network.embedded.common.resource import UNSET
from slipway.drivers.network.embedded.common.services import Services
from slipway.drivers.network.embedded.common.tables import (
    IpAddress,
    allocation_pools,
    allocations,
    damaged,
    free_ranges,
    from_hex,
    networks,
    router_ports,
    subnets,
)
from slipway.drivers.network.embedded.topology.attributes import SUBNET
from slipway.drivers.network.embedded.topology.networks import Networks
from slipway.model.network import AllocationPool, Context, HostRoute, Subnet
from slipway.states.store import Transaction

_pool_texts = (
    sa.select(
        sa.func.aggregate_strings(
            sa.type_coerce(allocation_pools.c.first, sa.String)
            + "-"
            + sa.type_coerce(allocation_pools.c.last, sa.String)
            + "-"
            + sa.cast(allocation_pools.c.position, sa.String),
            " ",
        )
    )
    .where(allocation_pools.c.subnet_id == subnets.c.id)
    .scalar_subquery()
    .label("pools")
)
_SELECT = sa.select(subnets, _pool_texts).join(networks).where(usable(subnets.c.project_id))
_SHOW = _SELECT.where(subnets.c.id == sa.bindparam("id"))
_LISTING = Listing(_SELECT, subnets)
_OTHERS = sa.select(subnets.c.cidr, subnets.c.position).where(subnets.c.network_id == sa.bindparam("network"))
_TAKEN = sa.select(allocations.c.address).where(allocations.c.subnet_id == sa.bindparam("subnet"))
_RESTING = sa.select(free_ranges.c.first, free_ranges.c.given_back).where(
    free_ranges.c.subnet_id == sa.bindparam("subnet"), free_ranges.c.given_back > 0
)

_ROUTERS = (
    sa.select(allocations.c.port_id)
    .join(router_ports, router_ports.c.port_id == allocations.c.port_id)
    .where(allocations.c.subnet_id == sa.bindparam("subnet"), allocations.c.address == sa.bindparam("address"))
)

Resting: TypeAlias = Mapping[IpAddress, int]
"""The addresses that were given back and rest, each with its number in their order."""


def _pools(text: str | None) -> list[Range]:
    try:
        parts = sorted((item.split("-") for item in (text or "").split()), key=lambda part: int(part[2]))
        return [Range(from_hex(first), from_hex(last)) for first, last, _ in parts]
    except (ValueError, IndexError) as error:
        raise damaged("pools (first-last-position)", text) from error


def _subnet(row: sa.Row[Any]) -> Subnet:
    pools = tuple(AllocationPool(str(pool.first), str(pool.last)) for pool in _pools(row.pools))
    return Subnet(
        id=row.id,
        name=row.name,
        network_id=row.network_id,
        project_id=row.project_id,
        ip_version=row.ip_version,
        cidr=row.cidr,
        gateway_ip=None if row.gateway_ip is None else str(row.gateway_ip),
        allocation_pools=pools,
        enable_dhcp=row.enable_dhcp,
        ipv6_ra_mode=row.ipv6_ra_mode,
        ipv6_address_mode=row.ipv6_address_mode,
        dns_nameservers=tuple(row.dns_nameservers or ()),
        host_routes=tuple(HostRoute(*route) for route in row.host_routes or ()),
        service_types=tuple(row.service_types or ()),
        description=row.description,
    )


class Subnets:
    """The subnets in the database."""

    def __init__(self, services: Services, networks: Networks) -> None:
        self._services = services
        self._networks = networks

    def create(self, tx: Transaction, context: Context, given: Mapping[str, Any]) -> Subnet:
        """Make a subnet with its pools. Raises what `subnetrules` finds wrong, `OverQuota`, `NetworkNotFound`."""
        values = SUBNET.for_create(context, given)
        project = values["project_id"]
        self._services.quotas.reserve(tx, project, "subnet")
        if not context.is_admin:
            self._networks.own(tx, context, values["network_id"])
        cidr, version = values["cidr"], values["ip_version"]
        if cidr is UNSET:
            raise errors.BadRequest("subnet: a cidr must be given")
        subnet_rules.check(values, version, cidr)
        subnet_rules.check_modes(values, version, cidr)
        network = self._networks.own(tx, context, values["network_id"])
        subnet_rules.check_mtu(network.name or network.id, network.mtu, version)
        wanted = values.pop("allocation_pools")
        subnet_rules.check_pools(wanted, cidr)
        gateway = subnet_rules.choose_gateway(values["gateway_ip"], cidr)
        pools = subnet_rules.choose_pools(wanted, cidr, gateway)
        others = tx.execute(_OTHERS, {"network": network.id}).all()
        subnet_rules.check_overlap(cidr, network.id, [ip_network(row.cidr) for row in others])
        subnet_id = self._services.new_id()
        position = 1 + max((row.position for row in others), default=0)
        values |= {"id": subnet_id, "gateway_ip": gateway, "position": position, "created_at": self._services.clock()}
        tx.execute(subnets.insert(), values | _columns(values))
        self._store_pools(tx, subnet_id, pools, (), {})
        return self.show(tx, context, subnet_id)

    def _store_pools(
        self, tx: Transaction, subnet_id: str, pools: Sequence[Range], taken: Sequence[IpAddress], resting: Resting
    ) -> None:
        rows = [
            {"subnet_id": subnet_id, "first": pool.first, "last": pool.last, "position": position}
            for position, pool in enumerate(pools)
        ]
        if rows:
            tx.execute(allocation_pools.insert(), rows)
        free = [(gap, 0) for gap in gaps(pools, sorted([*taken, *resting], key=int))]
        free += [(Range(each, each), number) for each, number in resting.items() if any(each in pool for pool in pools)]
        if free:
            tx.execute(
                free_ranges.insert(),
                [{"subnet_id": subnet_id, "first": f.first, "last": f.last, "given_back": n} for f, n in free],
            )

    def update(self, tx: Transaction, context: Context, subnet_id: str, given: Mapping[str, Any]) -> Subnet:
        """Change a subnet; the addresses that its ports have stay. Raises what `subnetrules` finds wrong."""
        values = SUBNET.for_update(given)
        subnet = self.own(tx, context, subnet_id)
        cidr = ip_network(subnet.cidr)
        self._check_update(tx, subnet, cidr, values)
        pools = values.pop("allocation_pools", None)
        if values:
            tx.execute(subnets.update().where(subnets.c.id == subnet.id).values(values | _columns(values)))
        if pools is not None:
            taken = tx.scalars(_TAKEN, {"subnet": subnet.id}).all()
            resting: Resting = dict(tx.execute(_RESTING, {"subnet": subnet.id}).all())
            tx.execute(allocation_pools.delete().where(allocation_pools.c.subnet_id == subnet.id))
            tx.execute(free_ranges.delete().where(free_ranges.c.subnet_id == subnet.id))
            self._store_pools(tx, subnet.id, pools, taken, resting)
        return self.show(tx, context, subnet.id)

    def _check_update(self, tx: Transaction, subnet: Subnet, cidr: IpNetwork, values: Mapping[str, Any]) -> None:
        gateway = values.get("gateway_ip", UNSET)
        old = None if subnet.gateway_ip is None else ip_address(subnet.gateway_ip)
        is_new = gateway is not UNSET and gateway != old

        def check_gateway() -> None:
            if is_new and old is not None:
                _check_not_a_routers(tx, subnet, old)

        was_on = subnet.enable_dhcp
        subnet_rules.check(values, subnet.ip_version, cidr, dhcp_was_on=was_on, check_gateway=check_gateway)
        if values.get("enable_dhcp") is False and (subnet.ipv6_ra_mode or subnet.ipv6_address_mode):
            raise errors.InvalidInput("enable_dhcp: cannot be switched off where IPv6 modes are set")
        current = [Range(ip_address(pool.start), ip_address(pool.end)) for pool in subnet.allocation_pools]
        pools = values.get("allocation_pools")
        if pools is not None:
            subnet_rules.check_pools(pools, cidr)
        if pools is not None or is_new:
            chosen = old if gateway is UNSET else gateway
            subnet_rules.check_gateway_outside(chosen, current if pools is None else pools)

    def remove(self, tx: Transaction, subnet: Subnet) -> None:
        """Delete a subnet that has no allocations any more."""
        for table in (free_ranges, allocation_pools):
            tx.execute(table.delete().where(table.c.subnet_id == subnet.id))
        tx.execute(subnets.delete().where(subnets.c.id == subnet.id))
        self._services.quotas.release(tx, subnet.project_id, "subnet")

    def show(self, tx: Transaction, context: Context, subnet_id: str) -> Subnet:
        """One subnet by id. Raises `SubnetNotFound` when it is not there, or not to be seen by the project."""
        row = tx.execute(_SHOW, one(context, subnet_id)).first()
        if row is None:
            raise errors.SubnetNotFound(f"subnet {subnet_id}: not found")
        return _subnet(row)

    def own(self, tx: Transaction, context: Context, subnet_id: str) -> Subnet:
        """A subnet that the project may change: its own one, or one of its networks; an administrator any one."""
        subnet = self.show(tx, context, subnet_id)
        if subnet.project_id != context.project_id:
            self._networks.own(tx, context, subnet.network_id)
        return subnet

    def list(self, tx: Transaction, context: Context, filters: Mapping[str, Any], page: Page) -> Sequence[Subnet]:
        """The subnets that the project may see and that match all filters."""
        return tuple(map(_subnet, _LISTING.rows(tx, context, filters, page)))


def _check_not_a_routers(tx: Transaction, subnet: Subnet, gateway: IpAddress) -> None:
    """Raises `GatewayIpInUse` where a router has the subnet's gateway address."""
    port_id = tx.scalar(_ROUTERS, {"subnet": subnet.id, "address": gateway})
    if port_id is not None:
        raise errors.GatewayIpInUse(f"gateway_ip: {gateway} is the address of a router's port {port_id}")


def _columns(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values whose column holds another form: text and lists of text."""
    columns: dict[str, Any] = {}
    if "cidr" in values:
        columns["cidr"] = str(values["cidr"])
    if "dns_nameservers" in values:
        columns["dns_nameservers"] = [str(server) for server in values["dns_nameservers"]]
    if "host_routes" in values:
        columns["host_routes"] = [(str(destination), str(nexthop)) for destination, nexthop in values["host_routes"]]
    return columns
