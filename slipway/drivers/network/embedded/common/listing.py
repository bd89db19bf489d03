"""Filters, order and pages of lists, and who may see what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa
from msgspec import Struct
from msgspec.structs import replace

from slipway import errors
from slipway.drivers.network.embedded.common import checks
from slipway.drivers.network.embedded.common.checks import Check
from slipway.drivers.network.embedded.common.tables import Address, networks
from slipway.model.network import Context
from slipway.states.store import Transaction


class Page(Struct, frozen=True):
    """The part of a list that is wanted: at most `limit` items after the one with the id `marker`, by `sort_key`."""

    sort_key: str
    limit: int | None = None
    marker: str | None = None
    sort_dir: str = "asc"

    @classmethod
    def taken_from(cls, filters: dict[str, Any], sort_key: str) -> Page:
        """Take `limit`, `marker`, `sort_key` and `sort_dir` out of the filters. Raises `BadRequest`."""
        limit = _limit(filters.pop("limit", None))
        sort_dir = _text(filters.pop("sort_dir", None) or "asc", "sort_dir")
        key = _text(filters.pop("sort_key", None) or sort_key, "sort_key")
        marker = checks.optional(_text)(filters.pop("marker", None), "marker")
        return cls(key, limit, marker, sort_dir)


_text = checks.text()


def _limit(value: Any) -> int | None:
    """At most so many; as in Neutron, a limit of 0 is none. Raises `BadRequest`."""
    try:
        number = 0 if value is None else int(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise errors.BadRequest(f"limit: {value!r} is not an integer") from error
    if number < 0:
        raise errors.BadRequest(f"limit: {number} is negative")
    return min(number, MAX_INTEGER) or None


def viewer(context: Context) -> dict[str, Any]:
    """The parameters `admin` and `viewer` of all statements that ask who may see a row."""
    return {"admin": context.is_admin, "viewer": context.project_id}


def one(context: Context, id_: str) -> dict[str, Any]:
    """The parameters of a statement for the one with this id, if it may be seen. Raises `HTTPBadRequest`."""
    return {"id": _text(id_, "id")} | viewer(context)


IS_ADMIN = sa.bindparam("admin", type_=sa.Boolean)
IS_VIEWER = sa.bindparam("viewer", type_=sa.String)

MAX_INTEGER = 2**63 - 1


def usable(project: sa.Column[Any]) -> sa.ColumnElement[bool]:
    """For whom a network, or what has this `project` on it, is to see: administrators, owners, and everybody where
    the network is shared or external.
    """
    return sa.or_(IS_ADMIN, project == IS_VIEWER, networks.c.shared, networks.c.router_external)


def _integer(value: Any, name: str) -> int:
    number = checks.integer(value, name)
    if abs(number) > MAX_INTEGER:
        raise checks.bad(name, f"{number} is too large")
    return number


_CHECKS: Mapping[type, Check] = {
    sa.String: _text,
    sa.Integer: _integer,
    sa.Boolean: checks.boolean,
    Address: checks.address,
}
_NOT_FOUND = {
    "networks": errors.NetworkNotFound,
    "subnets": errors.SubnetNotFound,
    "ports": errors.PortNotFound,
    "security_groups": errors.SecurityGroupNotFound,
    "security_group_rules": errors.SecurityGroupRuleNotFound,
    "routers": errors.RouterNotFound,
    "floating_ips": errors.FloatingIPNotFound,
    "port_forwardings": errors.PortForwardingNotFound,
}


class Relation(Struct, frozen=True):
    """A filter by another table's `column`, whose rows name the listed ones in `key`; `check` reads each value."""

    key: sa.Column[Any]
    column: sa.Column[Any]
    check: Check = checks.text()


class Listing:
    """The lists of one table. The statement for a shape of filters and page is built once and kept."""

    def __init__(
        self,
        query: sa.Select[Any],
        table: sa.Table,
        relations: Mapping[str, Relation] = MappingProxyType({}),
        nulls: Mapping[str, str] = MappingProxyType({}),
        reads: Mapping[str, Check] = MappingProxyType({}),
    ) -> None:
        """`nulls`: the words by which a null in a column is found; `reads`: how the values of some columns are read."""
        self._nulls = nulls
        self._reads = reads
        self._query = query
        self._table = table
        self._relations = relations
        self._statement = lru_cache(256)(self._build)

    def rows(self, tx: Transaction, context: Context, filters: Mapping[str, Any], page: Page) -> Sequence[sa.Row[Any]]:
        """The rows of that page. A filter is a value or several in a list; None filters nothing.

        Raises `HTTPBadRequest` for an unknown filter, sort key or direction, `InvalidInput` for a value of the wrong
        type, and `PortNotFound` or the like for an unknown marker.
        """
        values = {name: self._read(name, value) for name, value in filters.items() if value is not None}
        shape = tuple((name, isinstance(value, list)) for name, value in values.items())
        # Of limit and marker only whether they are there makes another statement.
        statement = self._statement(shape, replace(page, limit=page.limit and 1, marker=page.marker and ""))
        parameters = {f"filter_{name}": value for name, value in values.items()}
        parameters |= viewer(context) | {"page_limit": page.limit}
        if page.marker is not None:
            parameters |= self._marker(tx, page)
        return tx.execute(statement, parameters).all()

    def _read(self, name: str, value: Any) -> Any:
        if name not in self._relations and name not in self._table.c:
            raise errors.HTTPBadRequest(f"{self._table.name}: cannot be filtered by {name!r}")
        if isinstance(value, (list, tuple)):
            return [self._read(name, each) for each in value]
        return self._check(name)(value, name)

    def _check(self, name: str) -> Check:
        if name in self._relations:
            return self._relations[name].check
        if name in self._reads:
            return self._reads[name]
        kind = type(self._table.c[name].type)
        if kind not in _CHECKS:
            raise errors.HTTPBadRequest(f"{self._table.name}: cannot be filtered by {name!r}")
        return _CHECKS[kind]

    def _marker(self, tx: Transaction, page: Page) -> dict[str, Any]:
        columns = self._table.c
        if page.sort_key == "id":  # It says itself where it would be, so it may be gone by now.
            return {"marker_id": page.marker}
        row = tx.execute(sa.select(columns[page.sort_key], columns.id).where(columns.id == page.marker)).first()
        if row is None:
            raise _NOT_FOUND[self._table.name](f"{self._table.name}: the marker {page.marker} is not there")
        return {"marker_key": row[0], "marker_id": row[1]}

    def _build(self, shape: Sequence[tuple[str, bool]], page: Page) -> sa.Select[Any]:
        columns, sort_key, descending = self._table.c, page.sort_key, page.sort_dir == "desc"
        if page.sort_dir not in ("asc", "desc"):
            raise errors.HTTPBadRequest(f"sort_dir: {page.sort_dir!r} is neither asc nor desc")
        if sort_key not in columns or columns[sort_key].nullable:
            raise errors.HTTPBadRequest(f"{self._table.name}: cannot be sorted by {sort_key!r}")
        query = self._query.where(*(self._condition(name, several) for name, several in shape))
        keys = [columns.id] if sort_key == "id" else [columns[sort_key], columns.id]
        if page.marker is not None:
            names = ("marker_id",) if sort_key == "id" else ("marker_key", "marker_id")
            here = sa.tuple_(*keys)
            there = sa.tuple_(*(sa.bindparam(n, type_=key.type) for n, key in zip(names, keys, strict=True)))
            query = query.where(here < there if descending else here > there)
        query = query.order_by(*(key.desc() if descending else key for key in keys))
        return query if page.limit is None else query.limit(sa.bindparam("page_limit", type_=sa.Integer))

    def _condition(self, name: str, several: bool) -> sa.ColumnElement[bool]:
        relation = self._relations.get(name)
        column: sa.ColumnElement[Any] = self._table.c[name] if relation is None else relation.column
        if name in self._nulls:
            column = sa.func.coalesce(column, self._nulls[name])
        value = sa.bindparam(f"filter_{name}", type_=column.type, expanding=several)
        matches = column.in_(value) if several else column == value
        return matches if relation is None else self._table.c.id.in_(sa.select(relation.key).where(matches))
