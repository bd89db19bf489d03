"""Which addresses a port gets, and out of which subnets (Neutron: `IpamPluggableBackend`)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from ipaddress import ip_network
from typing import Any

import sqlalchemy as sa
from msgspec import Struct

from slipway import errors
from slipway.drivers.network.embedded.addressing import addresses
from slipway.drivers.network.embedded.addressing.subnet_rules import is_auto_address, is_end
from slipway.drivers.network.embedded.common.owners import (
    ROUTER_INTERFACES,
    ROUTER_INTERFACES_SNAT,
    ROUTER_PORTS,
    is_trusted,
)
from slipway.drivers.network.embedded.common.tables import IpAddress, allocations, subnets
from slipway.model.neutron import DHCP_OWNER
from slipway.states.statements import insert_if_absent
from slipway.states.store import Transaction

_INSERT = insert_if_absent(allocations)
_DELETE = allocations.delete().where(
    allocations.c.subnet_id == sa.bindparam("subnet"), allocations.c.address == sa.bindparam("old")
)
_EXISTS = sa.select(subnets.c.network_id).where(subnets.c.id == sa.bindparam("subnet"))


class Wanted(Struct, frozen=True):
    """One entry of `fixed_ips` as asked for."""

    subnet_id: str | None = None
    address: IpAddress | None = None


class Candidate(Struct, frozen=True):
    """A subnet that the port may have addresses of."""

    id: str
    cidr: str
    ip_version: int
    is_auto: bool


class Taken(Struct, frozen=True):
    """An address that a port has; `position` is its place in `fixed_ips`."""

    subnet_id: str
    address: IpAddress
    position: int


class Holder(Struct, frozen=True):
    """The port that gets addresses, as far as the rules ask for it."""

    port_id: str
    network_id: str
    device_owner: str
    mac_address: str


class Pick(Struct, frozen=True):
    """One address to take: this one, or (None) one out of the first of these subnets that has any left."""

    subnets: tuple[Candidate, ...]
    address: IpAddress | None = None


def candidates(rows: Iterable[Any], network_id: str, device_owner: str) -> list[Candidate]:
    """The network's subnets that serve such a port, those with service types first.

    Raises `IpAddressGenerationFailureNoMatchingSubnet` when there are subnets, but none for it.
    """
    rows = list(rows)
    fitting = [row for row in rows if serves(row, device_owner)]
    if rows and not fitting:
        raise errors.IpAddressGenerationFailureNoMatchingSubnet(
            f"network {network_id}: no subnet serves device owner {device_owner!r}; see the subnets' service_types"
        )
    fitting.sort(key=lambda row: not row.service_types)
    return [
        Candidate(row.subnet_id, row.cidr, row.ip_version, is_auto_address(row.ipv6_ra_mode, row.ipv6_address_mode))
        for row in fitting
    ]


def serves(row: Any, device_owner: str) -> bool:
    """Whether the subnet of this row gives addresses to such ports: all, its service types, DHCP where it is on."""
    types = row.service_types
    return not types or device_owner in types or (row.enable_dhcp and device_owner == DHCP_OWNER)


def check_number(wanted: Sequence[Wanted] | None, holder: Holder, limit: int | None) -> None:
    """Raises `InvalidInput` for more entries than the setting allows; the network's own ports may have more."""
    if limit is not None and wanted is not None and len(wanted) > limit and not is_trusted(holder.device_owner):
        raise errors.InvalidInput(f"fixed_ips: {len(wanted)} are too many, max_fixed_ips_per_port is {limit}")


def automatic(subnets: Sequence[Candidate]) -> list[Pick]:
    """What a port gets that asks for nothing: one address of each IP version where there are pools."""
    versions = (
        tuple(each for each in subnets if each.ip_version == version and not each.is_auto) for version in (4, 6)
    )
    return [Pick(choice) for choice in versions if choice]


def from_mac(holder: Holder, subnets: Sequence[Candidate], handled: Collection[str] = ()) -> list[Pick]:
    """What every port but a router's gets besides: its EUI-64 address in each subnet of that kind."""
    if holder.device_owner in ROUTER_INTERFACES_SNAT:
        return []
    autos = (each for each in subnets if each.is_auto and each.id not in handled)
    return [Pick((each,), addresses.eui64(each.cidr, holder.mac_address)) for each in autos]


def asked_for(tx: Transaction, holder: Holder, subnets: Sequence[Candidate], wanted: Iterable[Wanted]) -> list[Pick]:
    """The entries of `fixed_ips` with their subnets, checked in order.

    Raises `InvalidInput`, `InvalidIpForNetwork`, `InvalidIpForSubnet`, `AllocationOnAutoAddressSubnet`,
    `SubnetNotFound`.
    """
    picks = []
    for entry in wanted:
        subnet = _subnet_of(tx, entry, holder, subnets)
        if entry.address is None:
            # A subnet of addresses from MACs is served for all ports anyway, whether it is named or not.
            if not subnet.is_auto or holder.device_owner in ROUTER_INTERFACES_SNAT:
                picks.append(Pick((subnet,)))
        elif subnet.is_auto and holder.device_owner not in ROUTER_INTERFACES:
            raise errors.AllocationOnAutoAddressSubnet(
                f"fixed_ips: {entry.address} cannot be given on subnet {subnet.id}, whose addresses come from the MAC"
            )
        else:
            picks.append(Pick((subnet,), entry.address))
    return picks


def _subnet_of(tx: Transaction, entry: Wanted, holder: Holder, subnets: Sequence[Candidate]) -> Candidate:
    if not subnets:
        raise errors.InvalidInput(f"fixed_ips: network {holder.network_id} has no subnets")
    if entry.subnet_id is None and entry.address is None:
        raise errors.InvalidInput("fixed_ips: each needs a subnet_id or an ip_address")
    if entry.subnet_id is None:
        for subnet in subnets:
            if _is_valid(entry.address, subnet, holder):
                return subnet
        raise errors.InvalidIpForNetwork(
            f"fixed_ips: {entry.address} is no address of any subnet of network {holder.network_id}"
        )
    named = next((each for each in subnets if each.id == entry.subnet_id), None)
    if named is None:
        if tx.execute(_EXISTS, {"subnet": entry.subnet_id}).first() is None:
            raise errors.SubnetNotFound(f"subnet {entry.subnet_id}: not found")
        raise errors.InvalidInput(f"fixed_ips: subnet {entry.subnet_id} is none of network {holder.network_id}")
    if entry.address is not None and not _is_valid(entry.address, named, holder):
        raise errors.InvalidIpForSubnet(f"fixed_ips: {entry.address} is no address for a port in {named.cidr}")
    return named


def _is_valid(address: IpAddress | None, subnet: Candidate, holder: Holder) -> bool:
    """Neutron: `check_subnet_ip`; but all addresses of a /31 and a /32 are valid, since they are handed out, too."""
    cidr = ip_network(subnet.cidr)
    if address is None or address not in cidr:
        return False
    if cidr.version == 6:
        return address != cidr.network_address or holder.device_owner in ("", *ROUTER_PORTS)
    return cidr.prefixlen > 30 or not is_end(address, cidr)


def take(tx: Transaction, holder: Holder, picks: Sequence[Pick], position: int = 0) -> list[Taken]:
    """Take the addresses, those that are given before others could get them; positions count from `position`.

    Raises `IpAddressAlreadyAllocated` and `IpAddressGenerationFailure`.
    """
    order = sorted(range(len(picks)), key=lambda index: picks[index].address is None)
    taken = [_take(tx, holder, picks[index], position + index) for index in order]
    return sorted(taken, key=lambda each: each.position)


def _take(tx: Transaction, holder: Holder, pick: Pick, position: int) -> Taken:
    if pick.address is not None:
        taken = Taken(pick.subnets[0].id, pick.address, position)
        if not _insert(tx, holder, taken):
            raise errors.IpAddressAlreadyAllocated(
                f"fixed_ips: {pick.address} is already allocated in subnet {taken.subnet_id}"
            )
        addresses.take(tx, taken.subnet_id, pick.address)
        return taken
    for subnet in pick.subnets:
        while (address := addresses.take_next(tx, subnet.id)) is not None:
            taken = Taken(subnet.id, address, position)
            if _insert(tx, holder, taken):
                return taken
    raise errors.IpAddressGenerationFailure(f"network {holder.network_id}: no more addresses are available")


def _insert(tx: Transaction, holder: Holder, taken: Taken) -> bool:
    values = {
        "subnet_id": taken.subnet_id,
        "address": taken.address,
        "port_id": holder.port_id,
        "position": taken.position,
    }
    return tx.execute(_INSERT, values).rowcount == 1


def give_back(tx: Transaction, taken: Iterable[Taken]) -> None:
    """Make these addresses free again."""
    for each in taken:
        tx.execute(_DELETE, {"subnet": each.subnet_id, "old": each.address})
        addresses.give_back(tx, each.subnet_id, each.address)
