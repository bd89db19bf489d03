"""The free addresses of a subnet, kept as ranges: each call costs the same whatever the pool's size and fill.

An address is taken from the lowest range that was never given out, or out of the one that holds it; what is given back
rests behind all others (docs/decisions/0007). The rows are changed only as they were read, so two transactions never
get the same address.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv6Address

import sqlalchemy as sa
from msgspec import Struct

from slipway.drivers.network.embedded.common.tables import IpAddress, allocation_pools, free_ranges
from slipway.model.neutron import eui64 as eui64
from slipway.states.store import Transaction


class Range(Struct, frozen=True):
    """Addresses from `first` to `last`, both included."""

    first: IpAddress
    last: IpAddress

    def __contains__(self, address: IpAddress) -> bool:
        """Whether the address lies in the range; of another IP version: no."""
        return address.version == self.first.version and int(self.first) <= int(address) <= int(self.last)

    def overlaps(self, other: Range) -> bool:
        """Whether the two have an address in common."""
        return other.first in self or self.first in other


RESTING = 86_400
"""How many addresses of a subnet rest at most: at one given back a second each rests for a DHCP lease of a day."""

_first = free_ranges.c.first.type
_subnet = free_ranges.c.subnet_id == sa.bindparam("subnet")
_row = sa.and_(
    _subnet, free_ranges.c.first == sa.bindparam("old_first"), free_ranges.c.last == sa.bindparam("old_last")
)
_RANGE = sa.select(free_ranges.c.first, free_ranges.c.last)
_NEXT = _RANGE.where(_subnet).order_by(free_ranges.c.given_back, free_ranges.c.first).limit(1)
_HOLDER = (
    _RANGE.where(_subnet, free_ranges.c.first <= sa.bindparam("address", type_=_first))
    .order_by(free_ranges.c.first.desc())
    .limit(1)
)
_INSERT = free_ranges.insert()
_DELETE = free_ranges.delete().where(_row)
_SET_FIRST = free_ranges.update().where(_row).values(first=sa.bindparam("new"))
_SET_LAST = free_ranges.update().where(_row).values(last=sa.bindparam("new"))
_latest = sa.select(sa.func.coalesce(sa.func.max(free_ranges.c.given_back), 0)).where(_subnet).scalar_subquery()
_GIVE_BACK = (
    free_ranges.insert()
    .from_select(
        ["subnet_id", "first", "last", "given_back"],
        sa.select(
            allocation_pools.c.subnet_id,
            sa.bindparam("address", type_=_first),
            sa.bindparam("address", type_=_first),
            _latest + 1,
        ).where(
            allocation_pools.c.subnet_id == sa.bindparam("subnet"),
            allocation_pools.c.first <= sa.bindparam("address", type_=_first),
            allocation_pools.c.last >= sa.bindparam("address", type_=_first),
        ),
    )
    .returning(free_ranges.c.given_back)
)
_RESTED = (
    free_ranges.update()
    .where(_subnet, free_ranges.c.given_back.between(1, sa.bindparam("until", type_=sa.BigInteger)))
    .values(given_back=0)
)


def take_next(tx: Transaction, subnet_id: str) -> IpAddress | None:
    """Take the lowest free address that does not rest, else the one that rests longest; None when none is left."""
    while (row := tx.execute(_NEXT, {"subnet": subnet_id}).first()) is not None:
        if _shrink(tx, subnet_id, Range(*row), row.first):
            address: IpAddress = row.first
            return address
    return None


def take(tx: Transaction, subnet_id: str, address: IpAddress) -> None:
    """Take this address out of the free ranges, if it is in one. Whether it is taken already is not asked here."""
    while (row := tx.execute(_HOLDER, {"subnet": subnet_id, "address": address}).first()) is not None:
        held = Range(*row)
        if address not in held or _shrink(tx, subnet_id, held, address):
            return


def _shrink(tx: Transaction, subnet_id: str, held: Range, address: IpAddress) -> bool:
    """Take the address out of the range; False when another transaction changed the range in the meantime."""
    key = {"subnet": subnet_id, "old_first": held.first, "old_last": held.last}
    if held.first == held.last:
        return tx.execute(_DELETE, key).rowcount == 1
    if address == held.first:
        return tx.execute(_SET_FIRST, key | {"new": address + 1}).rowcount == 1
    if tx.execute(_SET_LAST, key | {"new": address - 1}).rowcount != 1:
        return False
    if address != held.last:
        tx.execute(_INSERT, {"subnet_id": subnet_id, "first": address + 1, "last": held.last, "given_back": 0})
    return True


def give_back(tx: Transaction, subnet_id: str, address: IpAddress) -> None:
    """Make the address free again, after all others that are free; outside the pools nothing happens."""
    number = tx.scalar(_GIVE_BACK, {"subnet": subnet_id, "address": address})
    if number is not None and number > RESTING:
        tx.execute(_RESTED, {"subnet": subnet_id, "until": number - RESTING})


def gaps(pools: Sequence[Range], taken: Sequence[IpAddress]) -> list[Range]:
    """What of the pools is free when these addresses are taken, which are sorted."""
    found = []
    for pool in pools:
        first: IpAddress | None = pool.first
        for address in taken:
            if first is not None and address in pool:
                if int(first) < int(address):
                    found.append(Range(first, address - 1))
                first = _beside(address, 1)
        if first is not None and int(first) <= int(pool.last):
            found.append(Range(first, pool.last))
    return found


def _beside(address: IpAddress, step: int) -> IpAddress | None:
    number = int(address) + step
    return type(address)(number) if 0 <= number < 1 << address.max_prefixlen else None


def is_eui64(address: IpAddress) -> bool:
    """Whether the address looks like one that was made from a MAC."""
    return isinstance(address, IPv6Address) and address.packed[11:13] == b"\xff\xfe"
