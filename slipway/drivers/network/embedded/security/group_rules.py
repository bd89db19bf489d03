"""The rules of security groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from slipway import errors
from slipway.drivers.network.embedded.common.listing import IS_ADMIN, IS_VIEWER, Listing, Page, one, viewer
from slipway.drivers.network.embedded.common.services import Services
from slipway.drivers.network.embedded.common.tables import security_group_rules, security_groups
from slipway.drivers.network.embedded.security.group_attributes import SECURITY_GROUP_RULE, check_rule
from slipway.model.network import Context, SecurityGroupRule
from slipway.model.neutron import meaning
from slipway.states.store import Transaction

_rules = security_group_rules.c
_OF_GROUPS = (
    sa.select(security_group_rules)
    .where(_rules.security_group_id.in_(sa.bindparam("groups", expanding=True)))
    .order_by(_rules.position)
)
_NEXT_POSITION = sa.select(sa.func.coalesce(sa.func.max(_rules.position), 0) + 1).where(
    _rules.security_group_id == sa.bindparam("group")
)
_GROUP = sa.select(security_groups.c.project_id).where(
    security_groups.c.id == sa.bindparam("group"),
    sa.or_(IS_ADMIN, security_groups.c.project_id == IS_VIEWER),
)
# A project sees its own rules, and all those of its own groups.
_own_groups = sa.select(security_groups.c.id).where(security_groups.c.project_id == IS_VIEWER)
_SELECT = sa.select(security_group_rules).where(
    sa.or_(IS_ADMIN, _rules.project_id == IS_VIEWER, _rules.security_group_id.in_(_own_groups))
)
_SHOW = _SELECT.where(_rules.id == sa.bindparam("id"))
_LISTING = Listing(_SELECT, security_group_rules, nulls={"protocol": "any"})


def _rule(row: sa.Row[Any]) -> SecurityGroupRule:
    values = dict(row._mapping)
    del values["position"]
    return SecurityGroupRule(**values)


class SecurityGroupRules:
    """The rules in the database."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def create(self, tx: Transaction, context: Context, given: Mapping[str, Any]) -> SecurityGroupRule:
        """Add a rule. Raises `InvalidInput`, `SecurityGroupNotFound`, `SecurityGroupRuleExists`, `OverQuota`."""
        values = SECURITY_GROUP_RULE.for_create(context, given)
        project = values["project_id"]
        if not context.is_admin:  # Neutron: its policy asks whose group it is before anything looks at the rule.
            self._check_group(tx, context, values["security_group_id"])
        self._services.quotas.reserve(tx, project, "security_group_rule")
        check_rule(values)
        for group in filter(None, (values["security_group_id"], values["remote_group_id"])):
            self._check_group(tx, context, group)
        rule = SecurityGroupRule(id=self._services.new_id(), **values)
        for other in self.of_groups(tx, [rule.security_group_id])[rule.security_group_id]:
            if (meaning(other), other.remote_group_id) == (meaning(rule), rule.remote_group_id):
                raise errors.SecurityGroupRuleExists(
                    f"security group {rule.security_group_id}: has the rule {other.id}"
                )
        self._insert(tx, rule.security_group_id, [rule])
        return rule

    def _check_group(self, tx: Transaction, context: Context, group_id: str) -> None:
        if tx.execute(_GROUP, {"group": group_id} | viewer(context)).first() is None:
            raise errors.SecurityGroupNotFound(f"security group {group_id}: not found")

    def add_unasked(self, tx: Transaction, group_id: str, project: str, direction: str, **values: Any) -> None:
        """Add a rule that every such group has, for both IP versions. Raises `OverQuota`."""
        rules = [
            SecurityGroupRule(self._services.new_id(), group_id, project, direction, ethertype, **values)
            for ethertype in ("IPv4", "IPv6")
        ]
        self._services.quotas.reserve(tx, project, "security_group_rule", len(rules))
        self._insert(tx, group_id, rules)

    def _insert(self, tx: Transaction, group_id: str, rules: Sequence[SecurityGroupRule]) -> None:
        names = [column.name for column in _rules if column.name != "position"]
        first = tx.execute(_NEXT_POSITION, {"group": group_id}).scalar_one()
        rows = [
            {"position": position, **{name: getattr(rule, name) for name in names}}
            for position, rule in enumerate(rules, first)
        ]
        tx.execute(security_group_rules.insert(), rows)

    def of_groups(self, tx: Transaction, group_ids: Sequence[str]) -> dict[str, list[SecurityGroupRule]]:
        """The rules of each of these groups, in the order in which they were made."""
        rules: dict[str, list[SecurityGroupRule]] = {group_id: [] for group_id in group_ids}
        for row in tx.execute(_OF_GROUPS, {"groups": list(rules)}):
            rules[row.security_group_id].append(_rule(row))
        return rules

    def show(self, tx: Transaction, context: Context, rule_id: str) -> SecurityGroupRule:
        """One rule by id. Raises `SecurityGroupRuleNotFound` when it is not there, or another project's."""
        row = tx.execute(_SHOW, one(context, rule_id)).first()
        if row is None:
            raise errors.SecurityGroupRuleNotFound(f"security group rule {rule_id}: not found")
        return _rule(row)

    def list(
        self, tx: Transaction, context: Context, filters: Mapping[str, Any], page: Page
    ) -> Sequence[SecurityGroupRule]:
        """The rules that the project may see and that match all filters."""
        return tuple(map(_rule, _LISTING.rows(tx, context, filters, page)))

    def delete(self, tx: Transaction, context: Context, rule_id: str) -> None:
        """Take one rule away. Raises `SecurityGroupRuleNotFound`."""
        self.remove(tx, _rules.id == self.show(tx, context, rule_id).id)

    def remove(self, tx: Transaction, where: sa.ColumnElement[bool]) -> None:
        """Take all such rules away."""
        rows = tx.execute(sa.select(_rules.id, _rules.project_id).where(where)).all()
        for row in rows:
            tx.execute(security_group_rules.delete().where(_rules.id == row.id))
            self._services.quotas.release(tx, row.project_id, "security_group_rule")
