"""The rules of security groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from slipway import errors
from slipway.drivers.network.embedded.attributes import SECURITY_GROUP_RULE
from slipway.drivers.network.embedded.schema import security_group_rules, security_groups
from slipway.drivers.network.embedded.services import Services
from slipway.model import Context, SecurityGroupRule
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
    sa.or_(sa.bindparam("admin", type_=sa.Boolean), security_groups.c.project_id == sa.bindparam("viewer")),
)
_SAME = (
    "direction",
    "ethertype",
    "protocol",
    "port_range_min",
    "port_range_max",
    "remote_ip_prefix",
    "remote_group_id",
)


class SecurityGroupRules:
    """The rules in the database."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def create(self, tx: Transaction, context: Context, given: Mapping[str, Any]) -> SecurityGroupRule:
        """Add a rule. Raises `InvalidInput`, `SecurityGroupNotFound`, `SecurityGroupRuleExists`, `OverQuota`."""
        values = SECURITY_GROUP_RULE.for_create(given)
        values["project_id"] = project = values["project_id"] or context.project_id
        _check(values)
        self._services.quotas.reserve(tx, project, "security_group_rule")
        for group in filter(None, (values["security_group_id"], values["remote_group_id"])):
            seen = {"group": group, "admin": context.is_admin, "viewer": context.project_id}
            if tx.execute(_GROUP, seen).first() is None:
                raise errors.SecurityGroupNotFound(f"security group {group}: not found")
        rule = SecurityGroupRule(id=self._services.new_id(), **values)
        for other in self.of_groups(tx, [rule.security_group_id])[rule.security_group_id]:
            if all(getattr(other, name) == getattr(rule, name) for name in _SAME):
                raise errors.SecurityGroupRuleExists(
                    f"security group {rule.security_group_id}: has the rule {other.id}"
                )
        self._insert(tx, rule)
        return rule

    def add_unasked(self, tx: Transaction, group_id: str, project: str, direction: str, **values: Any) -> None:
        """Add a rule that every such group has, for both IP versions; counted, but never refused."""
        for ethertype in ("IPv4", "IPv6"):
            rule = SecurityGroupRule(self._services.new_id(), group_id, project, direction, ethertype, **values)
            self._services.quotas.count(tx, project, "security_group_rule")
            self._insert(tx, rule)

    def _insert(self, tx: Transaction, rule: SecurityGroupRule) -> None:
        values = {column.name: getattr(rule, column.name) for column in _rules if column.name != "position"}
        position = tx.scalar(_NEXT_POSITION, {"group": rule.security_group_id})
        tx.execute(security_group_rules.insert(), values | {"position": position})

    def of_groups(self, tx: Transaction, group_ids: Sequence[str]) -> dict[str, list[SecurityGroupRule]]:
        """The rules of each of these groups, in the order in which they were made."""
        rules: dict[str, list[SecurityGroupRule]] = {group_id: [] for group_id in group_ids}
        for row in tx.execute(_OF_GROUPS, {"groups": list(rules)}):
            values = dict(row._mapping)
            del values["position"]
            rules[row.security_group_id].append(SecurityGroupRule(**values))
        return rules

    def delete(self, tx: Transaction, context: Context, rule_id: str) -> None:
        """Take one rule away. Raises `SecurityGroupRuleNotFound`."""
        where = _rules.id == rule_id
        if not context.is_admin:
            where = sa.and_(where, _rules.project_id == context.project_id)
        if not self.remove(tx, where):
            raise errors.SecurityGroupRuleNotFound(f"security group rule {rule_id}: not found")

    def remove(self, tx: Transaction, where: sa.ColumnElement[bool]) -> int:
        """Take all such rules away; gives their number."""
        rows = tx.execute(sa.select(_rules.id, _rules.project_id).where(where)).all()
        for row in rows:
            tx.execute(security_group_rules.delete().where(_rules.id == row.id))
            self._services.quotas.release(tx, row.project_id, "security_group_rule")
        return len(rows)


def _check(values: Mapping[str, Any]) -> None:
    """What makes sense in a rule (Neutron: `_validate_port_range` and its neighbours). Raises `InvalidInput`."""
    protocol, low, high = values["protocol"], values["port_range_min"], values["port_range_max"]
    prefix = values["remote_ip_prefix"]
    if protocol is None and (low is not None or high is not None):
        raise errors.InvalidInput("port_range_min: a port range needs a protocol")
    if protocol in ("icmp", "ipv6-icmp", "icmpv6", "1", "58"):
        if low is None and high is not None:
            raise errors.InvalidInput("port_range_max: an ICMP code needs its type in port_range_min")
        if any(number is not None and not 0 <= number <= 255 for number in (low, high)):
            raise errors.InvalidInput("port_range_min: ICMP type and code are 0 to 255")
    elif (low is None) != (high is None) or (low is not None and not 1 <= low <= high <= 65535):
        raise errors.InvalidInput(f"port_range_min: {low} to {high} is not a range of ports")
    if prefix is not None and values["remote_group_id"] is not None:
        raise errors.InvalidInput("remote_ip_prefix: cannot be given together with remote_group_id")
    if prefix is not None and (":" in prefix) != (values["ethertype"] == "IPv6"):
        raise errors.InvalidInput(f"remote_ip_prefix: {prefix} does not match the ethertype {values['ethertype']}")
