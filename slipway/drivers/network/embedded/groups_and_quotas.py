"""The calls of the embedded network about security groups, their rules, and quotas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from slipway.drivers.network.embedded.common.listing import Page
from slipway.drivers.network.embedded.common.quotas import Quotas
from slipway.drivers.network.embedded.common.transactions import Transactions
from slipway.drivers.network.embedded.security.group_rules import SecurityGroupRules
from slipway.drivers.network.embedded.security.groups import SecurityGroups
from slipway.model.network import Context, Quota, SecurityGroup, SecurityGroupRule
from slipway.states.store import Transaction


class GroupsAndQuotas:
    """The part of `EmbeddedNetwork` that no mechanism driver takes part in."""

    _transactions: Transactions
    _quotas: Quotas
    _rules: SecurityGroupRules
    _groups: SecurityGroups

    def create_security_group(
        self, context: Context, *, tx: Transaction | None = None, **attributes: Any
    ) -> SecurityGroup:
        """Make a security group. Raises `OverQuota`, `SecurityGroupDefaultAlreadyExists`."""
        with self._transactions.writing(tx) as own:
            return self._groups.create(own, context, attributes)

    def create_security_group_rule(
        self, context: Context, *, tx: Transaction | None = None, **attributes: Any
    ) -> SecurityGroupRule:
        """Add a rule to a group. Raises `InvalidInput`, `SecurityGroupRuleExists`, `OverQuota`."""
        with self._transactions.writing(tx) as own:
            return self._rules.create(own, context, attributes)

    def show_security_group_rule(
        self, context: Context, rule_id: str, *, tx: Transaction | None = None
    ) -> SecurityGroupRule:
        """One rule by id. Raises `SecurityGroupRuleNotFound`."""
        with self._transactions.reading(tx) as own:
            return self._rules.show(own, context, rule_id)

    def list_security_group_rules(
        self, context: Context, *, tx: Transaction | None = None, **filters: Any
    ) -> Sequence[SecurityGroupRule]:
        """The rules of the project's groups, and those that it made itself, in each group's order."""
        page = Page.taken_from(filters, "position")
        with self._transactions.reading(tx) as own:
            return self._rules.list(own, context, filters, page)

    def delete_security_group_rule(self, context: Context, rule_id: str, *, tx: Transaction | None = None) -> None:
        """Take a rule away. Raises `SecurityGroupRuleNotFound`."""
        with self._transactions.writing(tx) as own:
            self._rules.delete(own, context, rule_id)

    def update_security_group(
        self, context: Context, group_id: str, *, tx: Transaction | None = None, **attributes: Any
    ) -> SecurityGroup:
        """Change what is named. Raises `SecurityGroupNotFound`, `SecurityGroupCannotUpdateDefault`."""
        with self._transactions.writing(tx) as own:
            return self._groups.update(own, context, group_id, attributes)

    def delete_security_group(self, context: Context, group_id: str, *, tx: Transaction | None = None) -> None:
        """Delete a group. Raises `SecurityGroupNotFound`, `SecurityGroupInUse`."""
        with self._transactions.writing(tx) as own:
            self._groups.delete(own, context, group_id)

    def show_security_group(self, context: Context, group_id: str, *, tx: Transaction | None = None) -> SecurityGroup:
        """One group by id, with its rules. Raises `SecurityGroupNotFound`."""
        with self._transactions.reading(tx) as own:
            return self._groups.show(own, context, group_id)

    def list_security_groups(
        self, context: Context, *, tx: Transaction | None = None, **filters: Any
    ) -> Sequence[SecurityGroup]:
        """The project's security groups, `default` among them, which is made when it is not there yet; not where the
        transaction that was passed in only reads."""
        page = Page.taken_from(filters, "name")
        with self._transactions.reading(tx) as own:
            if (tx is not None and tx.info["reading"]) or self._groups.has_default(own, context.project_id):
                return self._groups.list(own, context, filters, page)
        with self._transactions.writing(tx) as own:
            self._groups.default(own, context.project_id)
            return self._groups.list(own, context, filters, page)

    def show_quota(self, context: Context, project_id: str, *, tx: Transaction | None = None) -> Quota:
        """What a project may have and has. Raises `PolicyNotAuthorized` for another's, but for administrators."""
        with self._transactions.reading(tx) as own:
            return self._quotas.show(own, context, project_id)

    def list_quotas(self, context: Context, *, tx: Transaction | None = None) -> Sequence[Quota]:
        """The quotas of the projects that have limits of their own. Raises `PolicyNotAuthorized`."""
        with self._transactions.reading(tx) as own:
            return self._quotas.list(own, context)

    def set_quotas(
        self,
        context: Context,
        project_id: str,
        *,
        force: bool = False,
        check_limit: bool = True,
        tx: Transaction | None = None,
        **limits: Any,
    ) -> Quota:
        """Give a project limits of its own (-1: no limit), all that are named or none; `force`: also below its use.

        There are network, subnet, port, security_group, security_group_rule, router, floatingip and router_route.
        `check_limit` changes nothing (Neutron: since it is checked unless forced). Raises `PolicyNotAuthorized`,
        `HTTPBadRequest`, `InvalidInput`.
        """
        with self._transactions.writing(tx) as own:
            self._quotas.set_limits(own, context, project_id, limits, force=force)
            return self._quotas.show(own, context, project_id)

    def delete_quota(self, context: Context, project_id: str, *, tx: Transaction | None = None) -> None:
        """Take a project's own limits away: those of the settings hold again. Raises `PolicyNotAuthorized`."""
        with self._transactions.writing(tx) as own:
            self._quotas.clear(own, context, project_id)
