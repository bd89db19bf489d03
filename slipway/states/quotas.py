"""How much each project may have of instances, and has: one row of counters each, changed with what it counts.

An instance is charged with the commit that puts it on record, and released with the one that makes it DELETED, which a
compare-and-swap lets happen once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from slipway import errors
from slipway.model.quota import INSTANCE_RESOURCES, InstanceQuota, InstanceUse
from slipway.model.request import InstanceRequest
from slipway.states.machines import VmState
from slipway.states.schema import instance_quotas, instances
from slipway.states.statements import insert_if_absent
from slipway.states.store import Transaction

UNLIMITED = -1
MOST = 2**63 - 1
_columns = instance_quotas.c
_HAS = _columns.project == sa.bindparam("b_project")
_WANTED = {name: sa.bindparam(f"b_{name}", type_=sa.BigInteger) for name in INSTANCE_RESOURCES}
# The checks and the change are one statement, which locks the row: no two transactions get the last place.
_CHARGE = (
    instance_quotas.update()
    .where(
        _HAS,
        *(
            sa.or_(
                _WANTED[name] == 0,
                _columns[f"{name}_limit"].is_(None),
                _columns[f"{name}_used"] + _WANTED[name] <= _columns[f"{name}_limit"],
            )
            for name in INSTANCE_RESOURCES
        ),
    )
    .values({f"{name}_used": _columns[f"{name}_used"] + _WANTED[name] for name in INSTANCE_RESOURCES})
)
_ITS = instances.c.id == sa.bindparam("b_id")
_RELEASE = (
    instance_quotas.update()
    .where(_columns.project == sa.select(instances.c.project).where(_ITS).scalar_subquery())
    .values(
        {
            f"{name}_used": _columns[f"{name}_used"]
            - (1 if name == "instances" else sa.select(instances.c[name]).where(_ITS).scalar_subquery())
            for name in INSTANCE_RESOURCES
        }
    )
)
_START = insert_if_absent(instance_quotas)
_OF_PROJECT = sa.select(instance_quotas).where(_HAS)
_REALLY = sa.select(
    instances.c.project,
    sa.func.count().label("instances"),
    *(sa.func.sum(instances.c[name]).label(name) for name in INSTANCE_RESOURCES if name != "instances"),
).where(instances.c.vm_state != VmState.DELETED)


def size_of(request: InstanceRequest) -> InstanceUse:
    """What one instance counts; disks that were brought along do not."""
    flavor = request.flavor
    disk = flavor.disk + sum(disk for disk in request.disks if isinstance(disk, int))
    return InstanceUse(1, flavor.vcpus, flavor.memory, disk)


def charge(tx: Transaction, project: str, size: InstanceUse) -> None:
    """Count one more instance, whose row is written. Raises `QuotaExceeded` where that is more than it may have."""
    values = {"b_project": project, **{f"b_{name}": getattr(size, name) for name in INSTANCE_RESOURCES}}
    if tx.execute(_CHARGE, values).rowcount:
        return
    # Its first; or another transaction's, which has begun it meanwhile.
    tx.execute(_START, {"project": project})
    if not tx.execute(_CHARGE, values).rowcount:
        raise exceeded(show(tx, project), size)


def exceeded(quota: InstanceQuota, size: InstanceUse) -> errors.QuotaExceeded:
    """What is told where a project would have more than it may by that much more."""
    # Words for people, which are read where somebody is refused: who only looks at the record loads no checks.
    from slipway.checks.words import amount_text

    over = [
        f"{amount_text(name, getattr(size, name))} more of {name} wanted, "
        f"{amount_text(name, getattr(quota.used, name))} of {amount_text(name, limit)} used"
        for name in INSTANCE_RESOURCES
        if 0 <= (limit := getattr(quota, name)) < getattr(quota.used, name) + getattr(size, name)
    ]
    mend = "delete instances or raise it by `slipway quota set`"
    return errors.QuotaExceeded(f"project {quota.project}: quota exceeded: {'; '.join(over)}; {mend}")


def release(tx: Transaction, instance_id: str) -> None:
    """Count one instance less, whose row still says how large it is."""
    tx.execute(_RELEASE, {"b_id": instance_id})


def show(tx: Transaction, project: str) -> InstanceQuota:
    """What a project may have and has; one that nobody knows may have all and has nothing."""
    row = tx.execute(_OF_PROJECT, {"b_project": project}).one_or_none()
    return InstanceQuota(project) if row is None else _quota(row)


def limited(tx: Transaction) -> Sequence[InstanceQuota]:
    """Those of the projects that have limits, by project."""
    some = sa.or_(*(_columns[f"{name}_limit"].is_not(None) for name in INSTANCE_RESOURCES))
    return [_quota(row) for row in tx.execute(sa.select(instance_quotas).where(some).order_by(_columns.project))]


def used(tx: Transaction) -> Sequence[InstanceQuota]:
    """Those of all projects that ever had an instance or a limit, by project."""
    return [_quota(row) for row in tx.execute(sa.select(instance_quotas).order_by(_columns.project))]


def set_limits(tx: Transaction, project: str, limits: Mapping[str, int], *, force: bool) -> None:
    """Let a project have so much of each that is named (-1: as much as it likes).

    Raises `InvalidRequest` for a limit below what it has, but with `force`: then it gets no more.
    """
    tx.execute(_START, {"project": project})
    for name, limit in limits.items():
        statement = instance_quotas.update().where(_columns.project == project)
        if limit != UNLIMITED and not force:
            # The check and the change are one statement here as well.
            statement = statement.where(_columns[f"{name}_used"] <= limit)
        if not tx.execute(statement.values({f"{name}_limit": None if limit == UNLIMITED else limit})).rowcount:
            has = getattr(show(tx, project).used, name)
            raise errors.InvalidRequest((f"{name}: {limit} is less than the {has} that project {project} has",))


def differing(tx: Transaction) -> Sequence[tuple[InstanceQuota, InstanceUse]]:
    """The projects whose counters are not what their instances are together, with what they should be."""
    really = {row.project: _use(row, "") for row in tx.execute(_REALLY.group_by(instances.c.project))}
    counted = {quota.project: quota for quota in used(tx)}
    projects = sorted({*really, *counted})
    pairs = [(counted.get(one, InstanceQuota(one)), really.get(one, InstanceUse())) for one in projects]
    return [(quota, real) for quota, real in pairs if quota.used != real]


def count_anew(tx: Transaction, project: str) -> None:
    """Have a project's counters be what its instances are together."""
    tx.execute(_START, {"project": project})
    row = tx.execute(_REALLY.where(instances.c.project == project).group_by(instances.c.project)).one_or_none()
    real = InstanceUse() if row is None else _use(row, "")
    values = {f"{name}_used": getattr(real, name) for name in INSTANCE_RESOURCES}
    tx.execute(instance_quotas.update().where(_columns.project == project).values(values))


def _quota(row: Any) -> InstanceQuota:
    limits = {name: getattr(row, f"{name}_limit") for name in INSTANCE_RESOURCES}
    known = {name: UNLIMITED if limit is None else limit for name, limit in limits.items()}
    return InstanceQuota(row.project, **known, used=_use(row, "_used"))


def _use(row: Any, suffix: str) -> InstanceUse:
    return InstanceUse(**{name: int(getattr(row, name + suffix) or 0) for name in INSTANCE_RESOURCES})
