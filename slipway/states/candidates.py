"""Hosts that an instance may go to, chosen by the database: as many as are asked for, and no others are read."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa
from msgspec import Struct

from slipway.states.hosts import HostUsage, read_usages
from slipway.states.schema import HOST_WEIGHTS, host_labels, hosts, instances, pinned_cpus
from slipway.states.store import Transaction


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


def _shape(wanted: Wanted) -> tuple[bool, bool, int, bool]:
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


@cache
def _statement(shape: tuple[bool, bool, int, bool], *, with_members: bool) -> sa.Select[Any]:
    host, zone, labels, cpus = shape
    found = sa.select(hosts).where(
        hosts.c.enabled,
        hosts.c.vcpus >= sa.bindparam("vcpus"),
        hosts.c.vcpus_limit - hosts.c.vcpus_used >= sa.bindparam("vcpus"),
        hosts.c.memory_limit - hosts.c.memory_used >= sa.bindparam("memory"),
        hosts.c.disk_limit - hosts.c.disk_used >= sa.bindparam("disk"),
    )
    if host:
        found = found.where(hosts.c.name == sa.bindparam("host"))
    if zone:
        found = found.where(hosts.c.zone == sa.bindparam("zone"))
    for index in range(labels):
        having = sa.select(host_labels.c.host).where(
            host_labels.c.key == sa.bindparam(f"key_{index}"), host_labels.c.value == sa.bindparam(f"value_{index}")
        )
        found = found.where(hosts.c.name.in_(having))
    if cpus:
        taken = sa.select(pinned_cpus.c.cpu).where(
            pinned_cpus.c.host == hosts.c.name, pinned_cpus.c.cpu.in_(sa.bindparam("cpus", expanding=True))
        )
        found = found.where(~taken.exists())
    order: list[sa.ColumnElement[Any]] = [*HOST_WEIGHTS]
    if with_members:
        members = _members().subquery("members")
        found = found.join(members, members.c.host == hosts.c.name)
        order.insert(0, members.c.here * sa.bindparam("order", type_=sa.Integer))
    return found.order_by(*order).limit(sa.bindparam("limit")).offset(sa.bindparam("offset"))


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
