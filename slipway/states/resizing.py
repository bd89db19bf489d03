"""What an instance that was built takes of its host and of its project's quota, changed together in one transaction."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from slipway import errors
from slipway.model.quota import INSTANCE_RESOURCES, InstanceUse
from slipway.states import quotas
from slipway.states.schema import claims, hosts, instance_quotas, instances
from slipway.states.store import Transaction

_SIZES = tuple(name for name in INSTANCE_RESOURCES if name != "instances")


def claim_more(tx: Transaction, instance_id: str, host: str, asked: InstanceUse, wanted: InstanceUse) -> None:
    """Have an instance, asked to be so large so far, claim what the wanted size has beyond that.

    Raises `ComputeResourcesUnavailable` and `QuotaExceeded` where that is more than there is left: nothing is to be
    committed then.
    """
    _change(tx, instance_id, host, {name: max(0, getattr(wanted, name) - getattr(asked, name)) for name in _SIZES})


def claim_just(tx: Transaction, instance_id: str, size: InstanceUse) -> None:
    """Have an instance claim just so much, whether or not there is so much left. It claims nothing: nothing happens."""
    on = sa.select(instances.c.host).where(instances.c.id == instance_id).scalar_subquery()
    own = sa.select(claims).where(claims.c.instance_id == instance_id, claims.c.host == on)
    claim = tx.execute(own.with_for_update()).one_or_none()
    if claim is not None:
        more = {name: getattr(size, name) - getattr(claim, name) for name in _SIZES}
        _change(tx, instance_id, claim.host, more, unasked=True)


def _change(tx: Transaction, instance_id: str, host: str, more: dict[str, int], *, unasked: bool = False) -> None:
    if not any(more.values()):
        return
    _of_host(tx, host, more, unasked=unasked)
    claim = claims.update().where(claims.c.instance_id == instance_id, claims.c.host == host)
    tx.execute(claim.values(_added(claims, more)))
    _of_project(tx, instance_id, more, unasked=unasked)


def _of_host(tx: Transaction, host: str, more: dict[str, int], *, unasked: bool) -> None:
    change = hosts.update().where(hosts.c.name == host)
    if not unasked:
        # The checks and the change are one statement: no two transactions get the last of it.
        grown = [name for name in _SIZES if more[name] > 0]
        change = change.where(*(hosts.c[f"{name}_used"] + more[name] <= hosts.c[f"{name}_limit"] for name in grown))
    if not tx.execute(change.values(_added(hosts, more, "_used"))).rowcount and not unasked:
        row = tx.execute(sa.select(hosts).where(hosts.c.name == host)).one_or_none()
        raise errors.ComputeResourcesUnavailable(f"host {host} has not enough left: {_lacking(row, more)}")


def _lacking(row: Any, more: dict[str, int]) -> str:
    from slipway.checks.words import amount_text

    if row is None:
        return "it is not on record"
    left = {name: getattr(row, f"{name}_limit") - getattr(row, f"{name}_used") for name in _SIZES}
    over = [name for name in _SIZES if 0 < more[name] > left[name]]
    return "; ".join(
        f"{amount_text(name, more[name])} more of {name} wanted, {amount_text(name, max(0, left[name]))} free"
        for name in over
    )


def _of_project(tx: Transaction, instance_id: str, more: dict[str, int], *, unasked: bool) -> None:
    project: str = tx.execute(sa.select(instances.c.project).where(instances.c.id == instance_id)).scalar_one()
    used = instance_quotas.c
    change = instance_quotas.update().where(used.project == project)
    if not unasked:
        limits = ((used[f"{name}_used"] + more[name], used[f"{name}_limit"]) for name in _SIZES if more[name] > 0)
        change = change.where(*(sa.or_(limit.is_(None), total <= limit) for total, limit in limits))
    if not tx.execute(change.values(_added(instance_quotas, more, "_used"))).rowcount and not unasked:
        raise quotas.exceeded(quotas.show(tx, project), InstanceUse(**more))
    tx.execute(instances.update().where(instances.c.id == instance_id).values(_added(instances, more)))


def _added(table: sa.Table, more: dict[str, int], suffix: str = "") -> dict[str, Any]:
    return {f"{name}{suffix}": table.c[f"{name}{suffix}"] + more[name] for name in _SIZES}
