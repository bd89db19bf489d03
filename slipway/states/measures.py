"""Numbers that the database counts by itself, whatever is on record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from slipway.model.record import EffectState
from slipway.states.history import INSTANCE
from slipway.states.machines import Move, VmState
from slipway.states.schema import effects, events, hosts, instances, runs
from slipway.states.store import Transaction

_MICROSECONDS = 1_000_000


def instances_by_state(tx: Transaction) -> Mapping[tuple[str, str], int]:
    """How many are in which state and do what ("": nothing); of those that are not deleted."""
    state = instances.c.vm_state, sa.func.coalesce(instances.c.task_state, "")
    query = sa.select(*state, sa.func.count()).where(instances.c.vm_state != VmState.DELETED).group_by(*state)
    return {(vm_state, task_state): number for vm_state, task_state, number in tx.execute(query)}


def runs_by_state(tx: Transaction) -> Mapping[tuple[str, str], int]:
    """How many runs of which name are in which state."""
    query = sa.select(runs.c.name, runs.c.state, sa.func.count()).group_by(runs.c.name, runs.c.state)
    return {(name, state): number for name, state, number in tx.execute(query)}


def hosts_use(tx: Transaction) -> Sequence[Any]:
    """Each host's limits, counters and claims, be its own row damaged."""
    names = ("vcpus", "memory", "disk")
    columns = [hosts.c[f"{name}_{what}"] for name in names for what in ("limit", "used")]
    return tx.execute(
        sa.select(hosts.c.name, hosts.c.enabled, hosts.c.failed_builds, *columns).order_by(hosts.c.name)
    ).all()


def instances_on_hosts(tx: Transaction) -> Mapping[str, int]:
    """How many instances are on each host."""
    on_one = instances.c.host.is_not(None), instances.c.vm_state != VmState.DELETED
    query = sa.select(instances.c.host, sa.func.count()).where(*on_one).group_by(instances.c.host)
    return {row[0]: row[1] for row in tx.execute(query)}


def stuck_effects(tx: Transaction) -> Mapping[str, int]:
    """How many effects of each kind could not be undone."""
    query = sa.select(effects.c.kind, sa.func.count()).where(effects.c.state == EffectState.STUCK)
    return {row[0]: row[1] for row in tx.execute(query.group_by(effects.c.kind))}


def build_seconds(tx: Transaction, bounds: Sequence[float]) -> tuple[Sequence[int], int, float]:
    """How many builds on record took at most so many seconds, for each bound, how many there are, and their sum.

    From the event of an instance's creation to the one of its build's end.
    """
    begun, ended = events.alias(), events.alias()
    took = sa.type_coerce(ended.c.at, sa.BigInteger) - sa.type_coerce(begun.c.at, sa.BigInteger)
    within = [sa.func.sum(sa.case((took <= round(bound * _MICROSECONDS), 1), else_=0)) for bound in bounds]
    query = (
        sa.select(*within, sa.func.count(), sa.func.sum(took))
        .select_from(ended.join(begun, begun.c.instance_id == ended.c.instance_id))
        .where(begun.c.type == f"{INSTANCE}create", ended.c.type == f"{INSTANCE}{Move.FINISH}")
    )
    *counts, number, total = tx.execute(query).one()
    return [int(count or 0) for count in counts], int(number), float(total or 0) / _MICROSECONDS
