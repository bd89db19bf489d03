"""How much a project may have of each resource: one counter row each, changed with what it counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from msgspec import Struct

from slipway import errors
from slipway.drivers.network.embedded.common import checks
from slipway.drivers.network.embedded.common.tables import quotas
from slipway.model.network import Context, Quota, QuotaUse
from slipway.settings import Settings
from slipway.states.statements import insert_if_absent
from slipway.states.store import Transaction

RESOURCES = QuotaUse.__struct_fields__
UNLIMITED, MAX_LIMIT = -1, 2**31 - 1

_row = sa.and_(quotas.c.project_id == sa.bindparam("project"), quotas.c.resource == sa.bindparam("kind"))
_limit = sa.func.coalesce(quotas.c.hard_limit, sa.bindparam("default_limit", type_=sa.Integer))
_COUNT = quotas.update().where(_row).values(used=quotas.c.used + sa.bindparam("n", type_=sa.Integer))
# The check and the change are one statement, which locks the row: no two transactions get the last place.
_RESERVE = _COUNT.where(sa.or_(_limit < 0, quotas.c.used + sa.bindparam("n", type_=sa.Integer) <= _limit))
_START = insert_if_absent(quotas).values(used=0)
_SET = quotas.update().where(_row).values(hard_limit=sa.bindparam("new", type_=sa.Integer))
# The check and the change are one statement here as well: nobody reserves what is just about to be forbidden.
_SET_ABOVE_USE = _SET.where(sa.bindparam("new", type_=sa.Integer) >= quotas.c.used)
_OWN_LIMIT = sa.select(quotas.c.hard_limit).where(_row)
_SHOW = sa.select(quotas).where(quotas.c.project_id == sa.bindparam("project"))
_WITH_LIMITS = (
    sa.select(quotas.c.project_id).where(quotas.c.hard_limit.is_not(None)).distinct().order_by(quotas.c.project_id)
)


class Quotas(Struct, frozen=True):
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
        # Its first; or another transaction's, which has begun to count meanwhile.
        tx.execute(_START, {"project_id": project, "resource": resource})
        if not tx.execute(_RESERVE, values).rowcount:
            raise errors.OverQuota(
                f"project {project}: quota exceeded for {resource}; delete what is not needed or raise quota_{resource}"
            )

    def release(self, tx: Transaction, project: str, resource: str, n: int = 1) -> None:
        """Count `n` less of the resource."""
        tx.execute(_COUNT, {"project": project, "kind": resource, "n": -n})

    def limit(self, tx: Transaction, project: str, resource: str) -> int:
        """How much of the resource the project may have, -1: as much as it likes."""
        default: int = getattr(self.settings, f"quota_{resource}")
        own = tx.scalar(_OWN_LIMIT, {"project": project, "kind": resource})
        return default if own is None else int(own)

    def count(self, tx: Transaction, project: str, resource: str) -> None:
        """Count one more without asking for the limit, for what is made unasked."""
        tx.execute(_START, {"project_id": project, "resource": resource})
        tx.execute(_COUNT, {"project": project, "kind": resource, "n": 1})

    def show(self, tx: Transaction, context: Context, project: str) -> Quota:
        """What the project may have and has. Raises `PolicyNotAuthorized` for another's, but for administrators."""
        if project != context.project_id:
            self._check_admin(context)
        limits = {name: getattr(self.settings, f"quota_{name}") for name in RESOURCES}
        used = {}
        for row in tx.execute(_SHOW, {"project": checks.text()(project, "project_id")}):
            used[row.resource] = row.used
            if row.hard_limit is not None:
                limits[row.resource] = row.hard_limit
        return Quota(project, **limits, used=QuotaUse(**used))

    def list(self, tx: Transaction, context: Context) -> Sequence[Quota]:
        """The quotas of the projects that have limits of their own. Raises `PolicyNotAuthorized`."""
        self._check_admin(context)
        return tuple(self.show(tx, context, project) for project in tx.scalars(_WITH_LIMITS).all())

    def set_limits(
        self, tx: Transaction, context: Context, project: str, limits: Mapping[str, Any], *, force: bool
    ) -> None:
        """Give the project limits of its own (-1: none at all), below what it has only with `force`.

        Raises `PolicyNotAuthorized`, `InvalidInput`, and `HTTPBadRequest` for a limit that is none or below use.
        """
        self._check_admin(context)
        checks.text()(project, "project_id")
        if not isinstance(force, bool):
            raise checks.bad("force", f"{force!r} is neither True nor False")
        for resource, limit in [(resource, _whole_number(resource, limit)) for resource, limit in limits.items()]:
            tx.execute(_START, {"project_id": project, "resource": resource})
            statement = _SET if force or limit == UNLIMITED else _SET_ABOVE_USE
            if not tx.execute(statement, {"project": project, "kind": resource, "new": limit}).rowcount:
                used = getattr(self.show(tx, context, project).used, resource)
                raise checks.bad(resource, f"{limit} is less than the {used} that project {project} has; see `force`")

    def clear(self, tx: Transaction, context: Context, project: str) -> None:
        """Take the project's own limits away: the settings hold again.

        Raises `PolicyNotAuthorized`, and `TenantQuotaNotFound` where it has none.
        """
        self._check_admin(context)
        checks.text()(project, "project_id")
        if all(row.hard_limit is None for row in tx.execute(_SHOW, {"project": project})):
            raise errors.TenantQuotaNotFound(f"project {project}: has no limits of its own")
        for resource in RESOURCES:
            tx.execute(_SET, {"project": project, "kind": resource, "new": None})

    def _check_admin(self, context: Context) -> None:
        if not context.is_admin:
            raise errors.PolicyNotAuthorized(f"quota: project {context.project_id} may not do this; administrators may")


def _whole_number(resource: str, limit: object) -> int:
    """A limit as Neutron checks it. Raises `HTTPBadRequest`, `InvalidInput`."""
    if resource not in RESOURCES:
        raise errors.HTTPBadRequest(f"quota: unrecognized attribute {resource!r}; there are {', '.join(RESOURCES)}")
    try:
        number = int(str(limit))
    except ValueError as error:
        raise errors.InvalidInput(f"{resource}: {limit!r} is not an integer") from error
    if not UNLIMITED <= number <= MAX_LIMIT:
        raise errors.HTTPBadRequest(f"{resource}: {number} is not a quota of -1 (no limit) to {MAX_LIMIT}")
    return number
