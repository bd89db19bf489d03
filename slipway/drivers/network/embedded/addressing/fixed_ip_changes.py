"""What becomes of a port's addresses when `fixed_ips` or the MAC change (Neutron: `_get_changed_ips_for_port`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from msgspec import Struct

from slipway import errors
from slipway.drivers.network.embedded.addressing import fixed_ips
from slipway.drivers.network.embedded.addressing.addresses import is_eui64
from slipway.drivers.network.embedded.addressing.fixed_ips import Candidate, Holder, Pick, Taken, Wanted
from slipway.drivers.network.embedded.common.owners import ROUTER_INTERFACES_SNAT
from slipway.states.store import Transaction


@dataclass(slots=True)
class _Changes:
    keep: list[Taken] = field(default_factory=list)
    add: list[Wanted] = field(default_factory=list)
    remove: list[Taken] = field(default_factory=list)


class Plan(Struct, frozen=True):
    """What is to become of a port's addresses: those that stay, those to give back, and those to take."""

    keep: Sequence[Taken]
    give_back: Sequence[Taken] = ()
    picks: Sequence[Pick] = ()


def plan(
    tx: Transaction,
    holder: Holder,
    subnets: Sequence[Candidate],
    current: Sequence[Taken],
    wanted: Sequence[Wanted] | None,
    *,
    mac_changed: bool,
    frozen: bool = False,
) -> Plan:
    """How the port's addresses come in line with `wanted` (None: as they are); nothing is changed yet.

    An address that is asked for again stays, and one asked for by subnet alone is one that the port has there; SLAAC
    addresses stay whatever is asked, and are made anew for a new MAC. Raises as `fixed_ips.asked_for`, and `BadRequest`
    for another IPv4 address of a `frozen` port.
    """
    autos = {each.id for each in subnets if each.is_auto}
    stale = [each for each in current if mac_changed and each.subnet_id in autos and is_eui64(each.address)]
    left = [each for each in current if each not in stale]
    if wanted is None:
        wanted = [Wanted(each.subnet_id, each.address) for each in left]
    gone = {each.address for each in stale}
    # Neutron makes the whole subnet's addresses anew, whatever is asked for there.
    anew = {each.subnet_id for each in stale}
    asked = [each for each in wanted if each.address not in gone and each.subnet_id not in anew]
    changes = _compare(left, asked, holder, subnets)
    if frozen:
        _check_ipv4_stays(holder, changes, subnets)
    picks = fixed_ips.asked_for(tx, holder, subnets, changes.add)
    handled = {each.subnet_id for each in (*changes.keep, *changes.remove)}
    handled.update(pick.subnets[0].id for pick in picks)
    picks += fixed_ips.from_mac(holder, subnets, handled)
    return Plan(sorted(changes.keep, key=lambda each: each.position), [*stale, *changes.remove], picks)


def _check_ipv4_stays(holder: Holder, changes: _Changes, subnets: Sequence[Candidate]) -> None:
    versions = {each.id: each.ip_version for each in subnets}
    touched: set[int] = {each.address.version for each in changes.remove}
    for wanted in changes.add:
        touched.add(wanted.address.version if wanted.address else versions.get(wanted.subnet_id or "", 0))
    if 4 in touched:
        raise errors.BadRequest(f"port {holder.port_id}: a router's interface keeps its IPv4 addresses")


def carry_out(tx: Transaction, holder: Holder, plan: Plan) -> list[Taken]:
    """Give back and take what is planned; gives all addresses of the port. Raises as `fixed_ips.take`."""
    fixed_ips.give_back(tx, plan.give_back)
    start = max((each.position for each in plan.keep), default=-1) + 1
    return [*plan.keep, *fixed_ips.take(tx, holder, plan.picks, start)]


def _compare(
    current: Sequence[Taken], wanted: Sequence[Wanted], holder: Holder, subnets: Sequence[Candidate]
) -> _Changes:
    changes = _Changes()
    by_address = {each.address: each for each in current}
    for entry in wanted:
        if entry.address is not None and (same := by_address.pop(entry.address, None)):
            changes.keep.append(same)
        elif entry.address is not None:
            changes.add.append(entry)
    leftover = list(by_address.values())
    for entry in wanted:
        if entry.address is None:
            there = next((each for each in reversed(leftover) if each.subnet_id == entry.subnet_id), None)
            if there is None or is_eui64(there.address):
                changes.add.append(entry)
            else:
                leftover.remove(there)
                changes.keep.append(there)
    autos = {each.id for each in subnets if each.is_auto}
    for each in leftover:
        stays = each.subnet_id in autos and holder.device_owner not in ROUTER_INTERFACES_SNAT
        (changes.keep if stays else changes.remove).append(each)
    return changes
