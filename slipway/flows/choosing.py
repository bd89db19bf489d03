"""The hosts that an instance may go to: the database names candidates, the scheduler judges them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain

from msgspec.structs import replace

from slipway.drivers.registry import Drivers
from slipway.errors import HostElsewhere, NoValidHost
from slipway.flows import scheduler
from slipway.model.machine import Candidate
from slipway.model.request import Host, InstanceRequest
from slipway.states import candidates, hosts
from slipway.states.hosts import HostUsage
from slipway.states.store import Store, Transaction

_MANY = 100
"""Hosts of which it is cheap to look at all."""

_FIRST_PAGE = 16
"""Hosts that are read at once; each further page has four times as many."""


def choose(
    request: InstanceRequest, store: Store, drivers: Drivers, *, besides: str, most: int
) -> Sequence[tuple[Host, Candidate]]:
    """At most so many hosts, best first: those that `scheduler.select` would choose of all. `besides`: the instance.

    Raises `NoValidHost` with why each was refused.
    """
    first = max(_FIRST_PAGE, 2 * most)
    if request.group is None:
        # One statement, which needs no transaction, is enough for all but a few.
        with store.read(once=True) as tx:
            page, more = candidates.candidates(tx, scheduler.wanted(request), offset=0, limit=first)
        fitting = _fitting(request, page, {}, _seen_from_here(drivers))
        if len(fitting) >= most or (fitting and not more):
            return fitting[:most]
    with store.read() as tx:
        fitting = _of_all(tx, request, drivers, besides, most, first)
        if not fitting:
            _check_many(tx, request, drivers)
            scheduler.select(request, usages(tx, request, drivers, besides), members_of(tx, request, besides))
        return fitting


def _check_many(tx: Transaction, request: InstanceRequest, drivers: Drivers) -> None:
    """Raise `NoValidHost` as a look at all hosts would, without one, where they are many and the database knows why
    none will do; it does not know of groups, and does not read pins."""
    if request.group is not None or request.flavor.pin_cpus:
        return
    wanted = scheduler.wanted(request)
    counted = candidates.refused(tx, wanted)
    if "" in counted or sum(counted.values()) <= _MANY:
        return
    seen = _seen_from_here(drivers)
    near = [seen(usage) for usage in candidates.nearest(tx, wanted, limit=scheduler.MOST_NAMED)]
    told = [(usage, next(scheduler.refusals(request, usage, {}), None)) for usage in near]
    roomy = [seen(usage) for usage in candidates.roomiest(tx, wanted, limit=_FIRST_PAGE)]
    if any(usage.elsewhere for usage in (*near, *roomy)):
        return
    fits = scheduler.largest(request, roomy, {}) if any(counted.get(name) for name in scheduler.CAPACITY) else ()
    raise NoValidHost(
        scheduler.none_fits(request, [(usage, refusal) for usage, refusal in told if refusal], counted, fits)
    )


def usages(tx: Transaction, request: InstanceRequest, drivers: Drivers, besides: str) -> Sequence[HostUsage]:
    """All hosts as the scheduler judges them: whether they may be acted on from here, and which CPUs are pinned."""
    seen = [*map(_seen_from_here(drivers), hosts.usages(tx))]
    if not request.flavor.pin_cpus:
        return seen
    pins = hosts.all_pins(tx, besides=besides)
    return [replace(usage, pinned_cpus=pins.get(usage.host.name, frozenset())) for usage in seen]


def here(known: Mapping[str, HostUsage], drivers: Drivers) -> Mapping[str, HostUsage]:
    """The hosts by name, each with why nothing may be done on it from here."""
    seen = _seen_from_here(drivers)
    return {name: seen(usage) for name, usage in known.items()}


def members_of(tx: Transaction, request: InstanceRequest, besides: str) -> scheduler.Members:
    """How many of its server group's other members are on each host."""
    if request.group is None:
        return {}
    return Counter(hosts.group_hosts(tx, request.project, request.group.name, besides=besides))


def _of_all(
    tx: Transaction, request: InstanceRequest, drivers: Drivers, besides: str, most: int, first: int
) -> list[tuple[Host, Candidate]]:
    """Page by page until there are enough: of the hosts with members of the group those come first that its policy
    would have, and of all others these are not read again."""
    members, wanted = members_of(tx, request, besides), scheduler.wanted(request)
    policy = request.group.policy if request.group else ""
    group = candidates.Members(
        request.project, request.group.name if request.group else "", besides, scheduler.group_order(request)
    )
    with_members = partial(candidates.with_members, tx, wanted, group)
    without = partial(candidates.candidates, tx, wanted)

    def pages(read: _Read, *, of_members: bool) -> Iterator[HostUsage]:
        found = chain.from_iterable(_pages(read, first))
        return (usage for usage in found if (usage.host.name in members) is of_members)

    sources: list[Iterator[HostUsage]] = []
    if members and policy != "anti-affinity":
        sources.append(pages(with_members, of_members=True))
    if not members or policy != "affinity":
        sources.append(pages(without, of_members=False))
    if policy == "soft-anti-affinity":
        sources.reverse()
    seen = _seen_from_here(drivers)
    fitting: list[tuple[Host, Candidate]] = []
    for source in sources:
        for usage in source:
            if len(fitting) == most:
                return fitting
            fitting.extend(_fitting(request, [usage], members, seen))
    return fitting


_NOT_SERVED = "no worker serves it that is heard of"

_Read = Callable[..., tuple[Sequence[HostUsage], bool]]


def _pages(read: _Read, size: int) -> Iterator[Sequence[HostUsage]]:
    offset, more = 0, True
    while more:
        page, more = read(offset=offset, limit=size)
        yield page
        offset, size = offset + size, size * 4


def _fitting(
    request: InstanceRequest,
    page: Sequence[HostUsage],
    members: scheduler.Members,
    seen: Callable[[HostUsage], HostUsage],
) -> list[tuple[Host, Candidate]]:
    """Those that pass every filter, in the order that they came in."""
    return [
        (usage.host, Candidate(scheduler.weigh(request, usage, members), usage.free))
        for usage in map(seen, page)
        if next(scheduler.refusals(request, usage, members), None) is None
    ]


def _seen_from_here(drivers: Drivers) -> Callable[[HostUsage], HostUsage]:
    """Says of hosts why nothing may be done on them from here. Each place is looked at once."""
    here: set[tuple[object, ...]] = set()
    if drivers.served is not None:
        served = drivers.served()
        return lambda usage: usage if usage.host.name in served else replace(usage, elsewhere=_NOT_SERVED)

    def seen(usage: HostUsage) -> HostUsage:
        host = usage.host
        kind = (host.place, host.compute, host.wiring, host.disks)
        if kind in here:
            return usage
        try:
            drivers.check_here(host)
        except HostElsewhere as error:
            return replace(usage, elsewhere=str(error))
        here.add(kind)
        return usage

    return seen
