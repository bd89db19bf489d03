"""How much a project may have of each resource: one counter row each, changed with what it counts."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from slipway import errors
from slipway.drivers.network.embedded.schema import quotas
from slipway.drivers.network.embedded.statements import insert_if_absent
from slipway.settings import Settings
from slipway.states.store import Transaction

RESOURCES = ("network", "subnet", "port", "security_group", "security_group_rule")

_row = sa.and_(quotas.c.project_id == sa.bindparam("project"), quotas.c.resource == sa.bindparam("kind"))
_limit = sa.func.coalesce(quotas.c.hard_limit, sa.bindparam("default_limit", type_=sa.Integer))
_COUNT = quotas.update().where(_row).values(used=quotas.c.used + sa.bindparam("n", type_=sa.Integer))
# The check and the change are one statement, which locks the row: no two transactions get the last place.
_RESERVE = _COUNT.where(sa.or_(_limit < 0, quotas.c.used + sa.bindparam("n", type_=sa.Integer) <= _limit))
_START = insert_if_absent(quotas).values(used=0)
_SET = quotas.update().where(_row).values(hard_limit=sa.bindparam("new"))


@dataclass(frozen=True, slots=True)
class Quotas:
    """The quotas of all projects; the settings hold where a project has no limit of its own."""

    settings: Settings

    def reserve(self, tx: Transaction, project: str, resource: str, n: int = 1) -> None:
        """Count `n` more of the resource. Raises `OverQuota` when the project may not have so many.

        Neutron's own driver counts without a lock, so parallel requests exceed the quota; here they cannot.
        """
        default: int = getattr(self.settings, f"quota_{resource}")
        values = {"project": project, "kind": resource, "n": n, "default_limit": default}
        if tx.execute(_RESERVE, values).rowcount:
            return
        started = tx.execute(_START, {"project_id": project, "resource": resource}).rowcount
        if not started or not tx.execute(_RESERVE, values).rowcount:
            raise errors.OverQuota(
                f"project {project}: quota exceeded for {resource}; delete what is not needed or raise quota_{resource}"
            )

    def release(self, tx: Transaction, project: str, resource: str, n: int = 1) -> None:
        """Count `n` less of the resource."""
        tx.execute(_COUNT, {"project": project, "kind": resource, "n": -n})

    def count(self, tx: Transaction, project: str, resource: str) -> None:
        """Count one more without asking for the limit, for what is made unasked."""
        tx.execute(_START, {"project_id": project, "resource": resource})
        tx.execute(_COUNT, {"project": project, "kind": resource, "n": 1})

    def set_limit(self, tx: Transaction, project: str, resource: str, limit: int | None) -> None:
        """Give the project a limit of its own (-1: none at all), or None: the setting holds again."""
        if resource not in RESOURCES:
            raise errors.HTTPBadRequest(f"quota: {resource!r} is none of {', '.join(RESOURCES)}")
        tx.execute(_START, {"project_id": project, "resource": resource})
        tx.execute(_SET, {"project": project, "kind": resource, "new": limit})
