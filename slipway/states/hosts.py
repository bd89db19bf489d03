"""The hosts on record, and what instances have claimed of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from msgspec import Struct
from msgspec.structs import asdict, replace

from slipway import errors
from slipway.model.machine import Claim, Room
from slipway.model.request import Host, Place
from slipway.states import codec
from slipway.states.schema import claims, host_labels, hosts, instances, pinned_cpus
from slipway.states.statements import insert_if_absent
from slipway.states.store import Transaction


class HostUsage(Struct, frozen=True):
    """A host, what may be given out in all, and what has been; memory and disk in bytes.

    `disabled` says why an operator has it take no new instances; None: nobody has said so. `elsewhere` says why nothing
    may be done on it from here. `place`: to whom it belongs, where `host` does not say it. `instances` and
    `pinned_cpus`: if asked for.
    """

    host: Host
    vcpus_limit: int
    memory_limit: int
    disk_limit: int
    vcpus_used: int
    memory_used: int
    disk_used: int
    failed_builds: int
    disabled: str | None = None
    instances: int = 0
    pinned_cpus: frozenset[int] = frozenset()
    elsewhere: str = ""
    place: Place | None = None

    @property
    def enabled(self) -> bool:
        """Whether new instances may be placed on it, by its entry and by its operator."""
        return self.host.enabled and self.disabled is None

    @property
    def free(self) -> Room:
        """What can be given out yet. vCPUs of one instance are never more than the host has itself."""
        return Room(
            min(self.vcpus_limit - self.vcpus_used, self.host.vcpus),
            self.memory_limit - self.memory_used,
            self.disk_limit - self.disk_used,
        )


_LIST = sa.select(hosts).order_by(hosts.c.name)
_GET = sa.select(hosts.c.name, hosts.c.spec, hosts.c.place).where(hosts.c.name == sa.bindparam("name"))
_TAKE = (
    hosts.update()
    .where(
        hosts.c.name == sa.bindparam("b_name"),
        hosts.c.enabled,
        hosts.c.vcpus_used + sa.bindparam("b_vcpus") <= hosts.c.vcpus_limit,
        hosts.c.memory_used + sa.bindparam("b_memory") <= hosts.c.memory_limit,
        hosts.c.disk_used + sa.bindparam("b_disk") <= hosts.c.disk_limit,
    )
    .values(
        vcpus_used=hosts.c.vcpus_used + sa.bindparam("b_vcpus"),
        memory_used=hosts.c.memory_used + sa.bindparam("b_memory"),
        disk_used=hosts.c.disk_used + sa.bindparam("b_disk"),
    )
)
_CLAIM = claims.insert()
_CLAIMED = sa.and_(claims.c.instance_id == sa.bindparam("b_id"), claims.c.host == sa.bindparam("b_host"))
_CLAIM_ON = sa.select(claims).where(_CLAIMED).with_for_update()
_RELEASE = claims.delete().where(_CLAIMED)
_UNPIN = pinned_cpus.delete().where(
    pinned_cpus.c.instance_id == sa.bindparam("b_id"), pinned_cpus.c.host == sa.bindparam("b_host")
)
_GIVE_BACK = (
    hosts.update()
    .where(hosts.c.name == sa.bindparam("b_host"))
    .values(
        {f"{name}_used": hosts.c[f"{name}_used"] - sa.bindparam(f"b_{name}") for name in ("vcpus", "memory", "disk")}
    )
)
_NOWHERE = (
    instances.update()
    .where(instances.c.id == sa.bindparam("b_id"), instances.c.host == sa.bindparam("b_host"))
    .values(host=None)
)
_GROUP = sa.select(instances.c.host).where(
    instances.c.project == sa.bindparam("project"),
    instances.c.group_name == sa.bindparam("group"),
    instances.c.group_name.is_not(None),
    instances.c.host.is_not(None),
    instances.c.id != sa.bindparam("id"),
)
_PINNED = sa.select(pinned_cpus.c.cpu).where(
    pinned_cpus.c.host == sa.bindparam("host"), pinned_cpus.c.instance_id != sa.bindparam("id")
)
_BUILT = hosts.update().where(hosts.c.name == sa.bindparam("b_name"), hosts.c.failed_builds > 0).values(failed_builds=0)


def limits(host: Host) -> Room:
    """What may be given out of the host in all, by its ratios."""
    return Room(
        int(host.vcpus * host.cpu_ratio), int(host.memory * host.memory_ratio), int(host.disk * host.disk_ratio)
    )


def save(tx: Transaction, host: Host, here: Place | None = None) -> None:
    """Put the host on record, or change what is known of it; what is claimed from it stays claimed.

    One that belongs to nobody yet belongs `here` from now on. One that an operator has disabled stays that.
    """
    place = None if here is None else codec.encode(here)
    values: dict[str, Any] = {
        "spec": codec.encode(replace(host, place=None)),
        "place": sa.func.coalesce(hosts.c.place, place),
        "zone": host.zone,
        "vcpus": host.vcpus,
        "enabled": sa.case((hosts.c.disabled.is_(None), host.enabled), else_=False),
        "vcpus_limit": (room := limits(host)).vcpus,
        "memory_limit": room.memory,
        "disk_limit": room.disk,
    }
    change = hosts.update().where(hosts.c.name == host.name).values(**values)
    if not tx.execute(change).rowcount:
        new = insert_if_absent(hosts).values({**values, "name": host.name, "place": place, "enabled": host.enabled})
        if not tx.execute(new).rowcount:
            # Another transaction has put it on record meanwhile.
            tx.execute(change)
    tx.execute(host_labels.delete().where(host_labels.c.host == host.name))
    if host.labels:
        rows = [{"host": host.name, "key": key, "value": value} for key, value in host.labels]
        tx.execute(host_labels.insert(), rows)


def disable(tx: Transaction, name: str, reason: str) -> None:
    """Place no new instances on it, whatever its entry says, until it is enabled again."""
    tx.execute(hosts.update().where(hosts.c.name == name).values(disabled=reason, enabled=False))


def enable(tx: Transaction, name: str) -> None:
    """Place new instances on it again. Raises `RecordDamaged`."""
    tx.execute(hosts.update().where(hosts.c.name == name).values(disabled=None))
    save(tx, replace(get(tx, name), enabled=True))


def take(tx: Transaction, name: str, here: Place) -> None:
    """Have the host belong here from now on, whoever had it."""
    tx.execute(hosts.update().where(hosts.c.name == name).values(place=codec.encode(here)))


def lock(tx: Transaction, names: Iterable[str]) -> None:
    """Have nobody else change these hosts, or claim anything of them, until the transaction ends."""
    in_order = sa.select(hosts.c.name).where(hosts.c.name.in_(sorted(names))).order_by(hosts.c.name)
    tx.execute(in_order.with_for_update())


def there(tx: Transaction, name: str) -> bool:
    """Whether a host of this name is on record, be its row damaged."""
    return tx.execute(_GET, {"name": name}).first() is not None


def remove(tx: Transaction, name: str) -> None:
    """Take the host off the record; the caller has seen that nothing is claimed from it."""
    tx.execute(hosts.delete().where(hosts.c.name == name))


def get(tx: Transaction, name: str) -> Host:
    """One host by name. Raises `ComputeResourcesUnavailable` when it is not on record, `RecordDamaged`."""
    row = tx.execute(_GET, {"name": name}).one_or_none()
    if row is None:
        raise errors.ComputeResourcesUnavailable(f"host {name} is not on record")
    host = _host(row)
    if isinstance(host, errors.RecordDamaged):
        raise host
    return host


def _host(row: Any) -> Host | errors.RecordDamaged:
    mends = "`slipway run` of its file mends it"
    try:
        host = codec.decode(row.spec, Host)
        mends = f"`slipway host take {row.name}` says anew to whom it belongs"
        return replace(host, place=None if row.place is None else codec.decode(row.place, Place))
    except errors.RecordDamaged as error:
        return errors.RecordDamaged(f"host {row.name}: its row is damaged: {error}; {mends}")


def damaged(tx: Transaction) -> Mapping[str, str]:
    """The hosts whose rows cannot be read, each with what is wrong."""
    return usages_and_damaged(tx)[1]


def usages_and_damaged(tx: Transaction) -> tuple[Sequence[HostUsage], Mapping[str, str]]:
    """Both, of one look at the table."""
    rows = tx.execute(_LIST).all()
    read = {row.name: _host(row) for row in rows}
    wrong = {name: str(found) for name, found in read.items() if isinstance(found, errors.RecordDamaged)}
    return [_usage(row, host) for row in rows if isinstance(host := read[row.name], Host)], wrong


def usages(tx: Transaction, *, names: Collection[str] | None = None) -> Sequence[HostUsage]:
    """All hosts, or those of these names, with their counters, by name, but those that are `damaged`: nothing can be
    built on these."""
    return read_usages(tx.execute(_LIST if names is None else _LIST.where(hosts.c.name.in_(names))))


def usage(tx: Transaction, name: str) -> HostUsage:
    """One host with its counters. Raises `HostNotFound`, `RecordDamaged`."""
    row = tx.execute(_LIST.where(hosts.c.name == name)).one_or_none()
    if row is None:
        raise errors.HostNotFound(f"no host {name} is on record")
    if isinstance(host := _host(row), errors.RecordDamaged):
        raise host
    return _usage(row, host)


def apart(usage: HostUsage) -> HostUsage:
    """The same with its place beside the host, which is then as it was put on record."""
    return replace(usage, host=replace(usage.host, place=None), place=usage.host.place)


def read_usages(rows: Iterable[Any]) -> Sequence[HostUsage]:
    """The hosts of these rows of the table, but those that are `damaged`."""
    return [_usage(row, host) for row in rows if isinstance(host := _host(row), Host)]


def _usage(row: Any, host: Host) -> HostUsage:
    return HostUsage(
        host=host,
        vcpus_limit=row.vcpus_limit,
        memory_limit=row.memory_limit,
        disk_limit=row.disk_limit,
        vcpus_used=row.vcpus_used,
        memory_used=row.memory_used,
        disk_used=row.disk_used,
        failed_builds=row.failed_builds,
        disabled=row.disabled,
    )


def counted(tx: Transaction) -> Mapping[str, int]:
    """How many instances claim something of each host where any does."""
    query = sa.select(claims.c.host, sa.func.count().label("instances")).group_by(claims.c.host)
    return {row.host: row.instances for row in tx.execute(query)}


def group_hosts(tx: Transaction, project: str, group: str, *, besides: str) -> Sequence[str]:
    """The hosts on which the group's other members are, one entry a member."""
    return tx.scalars(_GROUP, {"project": project, "group": group, "id": besides}).all()


def pins(tx: Transaction, host: str, *, besides: str) -> frozenset[int]:
    """The CPUs of the host that its other instances are pinned to."""
    return frozenset(tx.scalars(_PINNED, {"host": host, "id": besides}))


def all_pins(tx: Transaction, *, besides: str) -> Mapping[str, frozenset[int]]:
    """The CPUs that other instances are pinned to, for each host where any is."""
    found: dict[str, set[int]] = {}
    for row in tx.execute(sa.select(pinned_cpus).where(pinned_cpus.c.instance_id != besides)):
        found.setdefault(row.host, set()).add(row.cpu)
    return {host: frozenset(cpus) for host, cpus in found.items()}


def pin(tx: Transaction, host: str, instance_id: str, cpus: Iterable[int]) -> None:
    """Have these CPUs of the host be the instance's own; the caller has seen that they are nobody's."""
    rows = [{"host": host, "cpu": cpu, "instance_id": instance_id} for cpu in sorted({*cpus})]
    tx.execute(pinned_cpus.insert(), rows)


def claim(tx: Transaction, wanted: Claim) -> None:
    """Take vCPUs, memory and disk from the host; the instance's row is told of it by who moves the instance on.

    Raises `ComputeResourcesUnavailable` when the host is off or has not enough left; nothing is taken then.
    """
    taken = tx.execute(
        _TAKE, {"b_name": wanted.host, "b_vcpus": wanted.vcpus, "b_memory": wanted.memory, "b_disk": wanted.disk}
    )
    if taken.rowcount != 1:
        raise errors.ComputeResourcesUnavailable(f"host {wanted.host} is off or has not enough left for the claim")
    tx.execute(
        _CLAIM,
        {
            "instance_id": wanted.instance_id,
            "host": wanted.host,
            "vcpus": wanted.vcpus,
            "memory": wanted.memory,
            "disk": wanted.disk,
        },
    )


def release(tx: Transaction, instance_id: str, host: str) -> None:
    """Give back what the instance claimed from this host. No such claim: nothing happens, so that a late release
    never frees what another claim holds."""
    claimed = {"b_id": instance_id, "b_host": host}
    found = tx.execute(_CLAIM_ON, claimed).one_or_none()
    if found is None:
        return
    tx.execute(_RELEASE, claimed)
    tx.execute(_UNPIN, claimed)
    freed = {"b_vcpus": found.vcpus, "b_memory": found.memory, "b_disk": found.disk}
    tx.execute(_GIVE_BACK, {"b_host": host, **freed})
    tx.execute(_NOWHERE, claimed)


def count_anew(tx: Transaction, host: str, *claimed: Claim) -> None:
    """Have these claims on record, whether or not the host has so much left, and its counters be the sum of all."""
    for one in claimed:
        own = sa.select(claims.c.host).where(claims.c.instance_id == one.instance_id, claims.c.host == one.host)
        there = tx.scalar(own)
        if there is None:
            tx.execute(claims.insert(), asdict(one))
    total = sa.select(*(sa.func.coalesce(sa.func.sum(claims.c[name]), 0) for name in ("vcpus", "memory", "disk")))
    # Locked first: a claim changes the counters and is not seen before its commit.
    lock(tx, [host])
    vcpus, memory, disk = tx.execute(total.where(claims.c.host == host)).one()
    counted = {"vcpus_used": int(vcpus), "memory_used": int(memory), "disk_used": int(disk)}
    tx.execute(hosts.update().where(hosts.c.name == host).values(**counted))


def claim_of(tx: Transaction, instance_id: str) -> Claim | None:
    """What the instance claims of the host that it is on, if anything."""
    where = claims.c.instance_id == instance_id
    on = sa.select(claims).join(instances, instances.c.id == claims.c.instance_id)
    row = tx.execute(on.where(where, instances.c.host == claims.c.host)).one_or_none()
    return _claim(row) if row else None


def all_claims(tx: Transaction, *, of: Collection[str] | None = None) -> Sequence[Claim]:
    """Every claim on record, or those of the instances with these ids."""
    query = sa.select(claims) if of is None else sa.select(claims).where(claims.c.instance_id.in_(of))
    return [_claim(row) for row in tx.execute(query)]


def _claim(row: Any) -> Claim:
    return Claim(row.instance_id, row.host, row.vcpus, row.memory, row.disk)


def build_failed(tx: Transaction, name: str) -> None:
    """Count a failed build against the host, for the weigher (Nova: BuildFailureWeigher)."""
    tx.execute(hosts.update().where(hosts.c.name == name).values(failed_builds=hosts.c.failed_builds + 1))


def claims_on(tx: Transaction, name: str) -> Sequence[Claim]:
    """What is claimed from one host."""
    return [_claim(row) for row in tx.execute(sa.select(claims).where(claims.c.host == name))]


def build_succeeded(tx: Transaction, name: str) -> None:
    """Forget the host's failed builds."""
    tx.execute(_BUILT, {"b_name": name})
