"""Security groups and their rules; each project has a group `default`, made when it is first needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from slipway import errors
from slipway.drivers.network.embedded.common.listing import IS_ADMIN, IS_VIEWER, Listing, Page, one
from slipway.drivers.network.embedded.common.services import Services
from slipway.drivers.network.embedded.common.tables import port_security_groups, security_group_rules, security_groups
from slipway.drivers.network.embedded.security.group_attributes import SECURITY_GROUP
from slipway.drivers.network.embedded.security.group_rules import SecurityGroupRules
from slipway.model.network import Context, SecurityGroup
from slipway.states.statements import insert_if_absent
from slipway.states.store import Transaction

_DEFAULT = sa.select(security_groups.c.id).where(
    security_groups.c.project_id == sa.bindparam("project"), security_groups.c.name == "default"
)
_SELECT = sa.select(security_groups).where(sa.or_(IS_ADMIN, security_groups.c.project_id == IS_VIEWER))
_SHOW = _SELECT.where(security_groups.c.id == sa.bindparam("id"))
_LISTING = Listing(_SELECT, security_groups)
_INSERT = insert_if_absent(security_groups)
_USED = sa.select(port_security_groups.c.port_id).where(port_security_groups.c.security_group_id == sa.bindparam("id"))


class SecurityGroups:
    """The security groups in the database."""

    def __init__(self, services: Services, rules: SecurityGroupRules) -> None:
        self._services = services
        self._rules = rules

    def create(self, tx: Transaction, context: Context, given: Mapping[str, Any]) -> SecurityGroup:
        """Make a group, with Neutron's two rules that let everything out. Raises `OverQuota`.

        Raises `SecurityGroupDefaultAlreadyExists` for the name `default`.
        """
        values = SECURITY_GROUP.for_create(context, given)
        project = values["project_id"]
        self.default(tx, project)
        self._services.quotas.reserve(tx, project, "security_group")
        group_id = self._services.new_id()
        self._insert(tx, group_id, project, values["name"], values["description"])
        return self.show(tx, context, group_id)

    def default(self, tx: Transaction, project: str) -> str:
        """The id of the project's group `default`, which is made if need be: out to all, in from its own members."""
        while (found := tx.scalar(_DEFAULT, {"project": project})) is None:
            group_id = self._services.new_id()
            if self._insert(tx, group_id, project, "default", "Default security group"):
                self._services.quotas.count(tx, project, "security_group")
                self._rules.add_unasked(tx, group_id, project, "ingress", remote_group_id=group_id)
        group: str = found
        return group

    def _insert(self, tx: Transaction, group_id: str, project: str, name: str, description: str) -> bool:
        values = {"id": group_id, "project_id": project, "name": name, "description": description}
        if not tx.execute(_INSERT, values | {"created_at": self._services.clock()}).rowcount:
            return False
        self._rules.add_unasked(tx, group_id, project, "egress")
        return True

    def show(self, tx: Transaction, context: Context, group_id: str) -> SecurityGroup:
        """One group by id. Raises `SecurityGroupNotFound` when it is not there, or another project's."""
        row = tx.execute(_SHOW, one(context, group_id)).first()
        if row is None:
            raise errors.SecurityGroupNotFound(f"security group {group_id}: not found")
        return self._with_rules(tx, [row])[0]

    def list(
        self, tx: Transaction, context: Context, filters: Mapping[str, Any], page: Page
    ) -> Sequence[SecurityGroup]:
        """The groups that the project may see and that match all filters."""
        return self._with_rules(tx, _LISTING.rows(tx, context, filters, page))

    def update(self, tx: Transaction, context: Context, group_id: str, given: Mapping[str, Any]) -> SecurityGroup:
        """Change a group. Raises `SecurityGroupNotFound`, `SecurityGroupCannotUpdateDefault` and as `create`."""
        values = SECURITY_GROUP.for_update(given)
        group = self.show(tx, context, group_id)
        if group.name == "default" and "name" in values:
            raise errors.SecurityGroupCannotUpdateDefault("security group default: keeps its name")
        if values:
            tx.execute(security_groups.update().where(security_groups.c.id == group.id).values(values))
        return self.show(tx, context, group.id)

    def has_default(self, tx: Transaction, project: str) -> bool:
        """Whether the project's group `default` has been made."""
        return tx.scalar(_DEFAULT, {"project": project}) is not None

    def _with_rules(self, tx: Transaction, rows: Sequence[sa.Row[Any]]) -> tuple[SecurityGroup, ...]:
        rules = self._rules.of_groups(tx, [row.id for row in rows])
        return tuple(SecurityGroup(r.id, r.name, r.project_id, r.description, tuple(rules[r.id])) for r in rows)

    def delete(self, tx: Transaction, context: Context, group_id: str) -> None:
        """Delete a group with its rules. Raises `SecurityGroupInUse` while ports have it, and for `default`."""
        group = self.show(tx, context, group_id)
        if group.name == "default" and not context.is_admin:
            raise errors.SecurityGroupCannotRemoveDefault("security group default: cannot be deleted")
        if tx.execute(_USED, {"id": group_id}).first() is not None:
            raise errors.SecurityGroupInUse(f"security group {group.name}: ports have it; take it from them first")
        members = security_group_rules.c
        self._rules.remove(tx, sa.or_(members.security_group_id == group_id, members.remote_group_id == group_id))
        tx.execute(security_groups.delete().where(security_groups.c.id == group_id))
        self._services.quotas.release(tx, group.project_id, "security_group")
