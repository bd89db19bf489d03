"""Hosts that an instance may go to, chosen by the database: as many as are asked for, and no others are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, TypeAlias

import sqlalchemy as sa
from msgspec import Struct

from slipway.states.hosts import HostUsage, read_usages
from slipway.states.schema import HOST_WEIGHTS, host_labels, hosts, instances, pinned_cpus
from slipway.states.store import Transaction

_Shape: TypeAlias = tuple[bool, bool, int, bool]
"""Whether a host and a zone are asked for, how many labels, and whether there are pins: each has its own statements."""


class Wanted(Struct, frozen=True):
    """What a host must have; memory and disk in bytes. `cpus`: those that nobody may be pinned to."""

    vcpus: int
    memory: int
    disk: int
    host: str | None = None
    zone: str | None = None
    labels: tuple[tuple[str, str], ...] = ()
    cpus: tuple[int, ...] = ()


class Members(Struct, frozen=True):
    """A server group's members but one. `order`: -1 where a host with more of them is better, 1 where it is worse."""

    project: str
    group: str
    besides: str
    order: int


def candidates(tx: Transaction, wanted: Wanted, *, offset: int, limit: int) -> tuple[Sequence[HostUsage], bool]:
    """Enabled hosts with what is wanted, best first, from the one at `offset` on, and whether there may be more."""
    return _read(tx, _statement(_shape(wanted), with_members=False), _values(wanted), offset, limit)


def with_members(
    tx: Transaction, wanted: Wanted, members: Members, *, offset: int, limit: int
) -> tuple[Sequence[HostUsage], bool]:
    """The same of the hosts alone on which the group has members, by their number first."""
    values = {
        **_values(wanted),
        "project": members.project,
        "group": members.group,
        "besides": members.besides,
        "order": members.order,
    }
    return _read(tx, _statement(_shape(wanted), with_members=True), values, offset, limit)


def _read(
    tx: Transaction, statement: sa.Select[Any], values: dict[str, Any], offset: int, limit: int
) -> tuple[Sequence[HostUsage], bool]:
    rows = tx.execute(statement, {**values, "offset": offset, "limit": limit}).all()
    return read_usages(rows), len(rows) == limit


def _shape(wanted: Wanted) -> _Shape:
    return wanted.host is not None, wanted.zone is not None, len(wanted.labels), bool(wanted.cpus)


def _values(wanted: Wanted) -> dict[str, Any]:
    values: dict[str, Any] = {
        "vcpus": wanted.vcpus,
        "memory": wanted.memory,
        "disk": wanted.disk,
    }
    if wanted.host is not None:
        values["host"] = wanted.host
    if wanted.zone is not None:
        values["zone"] = wanted.zone
    if wanted.cpus:
        values["cpus"] = wanted.cpus
    for index, (key, value) in enumerate(wanted.labels):
        values |= {f"key_{index}": key, f"value_{index}": value}
    return values


def refused(tx: Transaction, wanted: Wanted) -> Mapping[str, int]:
    """For how many hosts each filter is the first that they do not pass; "" for those that pass all known here.

    All are looked at, and none is read.
    """
    rows = tx.execute(_refused(_shape(wanted)), _values(wanted))
    return {row.filter: row.hosts for row in rows}


def nearest(tx: Transaction, wanted: Wanted, *, limit: int) -> Sequence[HostUsage]:
    """The hosts that pass most filters, by name."""
    return read_usages(tx.execute(_nearest(_shape(wanted)), {**_values(wanted), "limit": limit}))


def roomiest(tx: Transaction, wanted: Wanted, *, limit: int) -> Sequence[HostUsage]:
    """Hosts that would do if the request was small enough, those with most memory free first, then vCPUs and disk."""
    return read_usages(tx.execute(_roomiest(_shape(wanted)), {**_values(wanted), "limit": limit}))


@cache
def _refused(shape: _Shape) -> sa.Select[Any]:
    first = sa.case(*((~passes, name) for name, passes in _filters(shape).items()), else_="").label("filter")
    each = sa.select(first).select_from(hosts).subquery("each")
    return sa.select(each.c.filter, sa.func.count().label("hosts")).group_by(each.c.filter)


@cache
def _nearest(shape: _Shape) -> sa.Select[Any]:
    ranks = enumerate(_filters(shape).values())
    rank = sa.case(
        *((~passes, sa.literal_column(str(number))) for number, passes in ranks), else_=sa.literal_column("99")
    )
    return sa.select(hosts).order_by(rank.desc(), hosts.c.name).limit(sa.bindparam("limit"))


@cache
def _roomiest(shape: _Shape) -> sa.Select[Any]:
    others = [passes for name, passes in _filters(shape).items() if name not in ("vcpus", "memory", "disk")]
    free = hosts.c.vcpus_limit - hosts.c.vcpus_used
    vcpus = sa.case((free < hosts.c.vcpus, free), else_=hosts.c.vcpus)
    memory, disk = hosts.c.memory_limit - hosts.c.memory_used, hosts.c.disk_limit - hosts.c.disk_used
    zero = sa.literal_column("0", sa.Integer)
    query = sa.select(hosts).where(*others, vcpus > zero, memory > zero, disk >= zero)
    return query.order_by(memory.desc(), vcpus.desc(), disk.desc(), hosts.c.name).limit(sa.bindparam("limit"))


@cache
def _statement(shape: _Shape, *, with_members: bool) -> sa.Select[Any]:
    found = sa.select(hosts).where(*_filters(shape).values())
    order: list[sa.ColumnElement[Any]] = [*HOST_WEIGHTS]
    if with_members:
        members = _members().subquery("members")
        found = found.join(members, members.c.host == hosts.c.name)
        order.insert(0, members.c.here * sa.bindparam("order", type_=sa.Integer))
    return found.order_by(*order).limit(sa.bindparam("limit")).offset(sa.bindparam("offset"))


def _filters(shape: _Shape) -> Mapping[str, sa.ColumnElement[bool]]:
    """What a host has to pass, by the scheduler's names and in its order; place and server group are not known here."""
    host, zone, labels, cpus = shape
    found: dict[str, sa.ColumnElement[bool]] = {"enabled": hosts.c.enabled == sa.true()}
    if host:
        found["host"] = hosts.c.name == sa.bindparam("host")
    if zone:
        found["zone"] = hosts.c.zone == sa.bindparam("zone")
    if labels:
        found["labels"] = sa.and_(*map(_has_label, range(labels)))
    vcpus = sa.bindparam("vcpus", type_=sa.BigInteger)
    found["vcpus"] = sa.and_(hosts.c.vcpus >= vcpus, hosts.c.vcpus_limit - hosts.c.vcpus_used >= vcpus)
    found["memory"] = hosts.c.memory_limit - hosts.c.memory_used >= sa.bindparam("memory")
    found["disk"] = hosts.c.disk_limit - hosts.c.disk_used >= sa.bindparam("disk")
    if cpus:
        taken = sa.select(pinned_cpus.c.cpu).where(
            pinned_cpus.c.host == hosts.c.name, pinned_cpus.c.cpu.in_(sa.bindparam("cpus", expanding=True))
        )
        found["pins"] = ~taken.exists()
    return found


def _has_label(index: int) -> sa.ColumnElement[bool]:
    having = sa.select(host_labels.c.host).where(
        host_labels.c.key == sa.bindparam(f"key_{index}"), host_labels.c.value == sa.bindparam(f"value_{index}")
    )
    return hosts.c.name.in_(having)


def _members() -> sa.Select[Any]:
    return (
        sa.select(instances.c.host, sa.func.count().label("here"))
        .where(
            instances.c.project == sa.bindparam("project"),
            instances.c.group_name == sa.bindparam("group"),
            instances.c.group_name.is_not(None),
            instances.c.host.is_not(None),
            instances.c.id != sa.bindparam("besides"),
        )
        .group_by(instances.c.host)
    )
