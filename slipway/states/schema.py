"""The tables of the record."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from slipway.model.request import DEFAULT_ZONE
from slipway.states.postgresql import lock_schema

SCHEMA_VERSION = 15
"""Raised by one with each change of the tables, together with a migration."""

metadata = sa.MetaData()


class UtcTime(sa.TypeDecorator[datetime]):
    """An aware UTC datetime, stored as microseconds since 1970: exact, sortable, and cheap to read back."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Any) -> int | None:
        """Microseconds for the database."""
        return None if value is None else round(value.timestamp() * 1_000_000)

    def process_result_value(self, value: int | None, _dialect: Any) -> datetime | None:
        """The datetime again; what is none, in a row that was damaged, is the year 1970, and hides no other row."""
        if value is None:
            return None
        try:
            return datetime.fromtimestamp(value / 1_000_000, UTC)
        except (TypeError, ValueError, OverflowError, OSError):
            return datetime.fromtimestamp(0, UTC)


class Encoded(sa.LargeBinary):
    """What the codec has made. A text that was put there by hand, which SQLite keeps as one, is read as its bytes."""

    def result_processor(self, dialect: Any, coltype: object) -> Any:
        """The bytes of what the database gives."""
        return _as_bytes


def _as_bytes(value: Any) -> bytes | None:
    if value is None or isinstance(value, bytes):
        return value
    return bytes(value) if isinstance(value, memoryview) else str(value).encode()


def partial_index(name: str, *columns: Any, where: sa.ColumnElement[bool], unique: bool = False) -> None:
    """Index only the rows `where` it is true. PostgreSQL is told when tables are made on it: to name its option here
    would load its dialect into every process."""
    index = sa.Index(name, *columns, unique=unique, sqlite_where=where)

    @sa.event.listens_for(metadata, "before_create")
    def _on_create(_metadata: sa.MetaData, connection: sa.Connection, **_more: Any) -> None:
        if connection.dialect.name == "postgresql":
            index.dialect_kwargs["postgresql_where"] = where


_BYTEWISE = sa.String().with_variant(sa.String(collation="C"), "postgresql")
# What is only ever counted up. SQLite's integers have 64 bits by that name, and its row numbers no other name.
Counter = sa.BigInteger().with_variant(sa.Integer, "sqlite")

meta = sa.Table(
    "meta",
    metadata,
    sa.Column("schema_version", sa.Integer, nullable=False),
    sa.Column("installation", sa.String, nullable=False),
    sa.Column("settings", Encoded),
)

hosts = sa.Table(
    "hosts",
    metadata,
    # Sorted by bytes everywhere: of hosts that weigh the same the first by name is taken.
    sa.Column("name", _BYTEWISE, primary_key=True),
    sa.Column("spec", Encoded, nullable=False),
    sa.Column("place", Encoded),
    sa.Column("zone", sa.String, nullable=False, server_default=DEFAULT_ZONE),
    sa.Column("vcpus", sa.BigInteger, nullable=False, server_default="1"),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("disabled", sa.Text),
    sa.Column("vcpus_limit", sa.BigInteger, nullable=False),
    sa.Column("memory_limit", sa.BigInteger, nullable=False),
    sa.Column("disk_limit", sa.BigInteger, nullable=False),
    sa.Column("vcpus_used", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("memory_used", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("disk_used", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("failed_builds", sa.Integer, nullable=False, server_default="0"),
)


def _used_share(used: sa.Column[int], limit: sa.Column[int]) -> sa.ColumnElement[Any]:
    """How much of it is given out, less one: -1 where all is free. In doubles, as Python has it."""
    zero, one = sa.literal_column("0", sa.Integer), sa.literal_column("1", sa.Integer)
    return sa.cast(used - limit, sa.Double) / sa.cast(sa.case((limit > zero, limit), else_=one), sa.Double)


HOST_WEIGHTS = (
    hosts.c.failed_builds,
    _used_share(hosts.c.memory_used, hosts.c.memory_limit),
    _used_share(hosts.c.vcpus_used, hosts.c.vcpus_limit),
    hosts.c.name,
)
"""What hosts are chosen by, the smallest first, where no server group says more."""

_ROOM = ("zone", "vcpus", "vcpus_limit", "vcpus_used", "memory_limit", "memory_used", "disk_limit", "disk_used")
# What a host is passed over for stands in it as well, so that no row is read for that.
hosts_by_weight = sa.Index("hosts_by_weight", hosts.c.enabled, *HOST_WEIGHTS, *(hosts.c[name] for name in _ROOM))

host_labels = sa.Table(
    "host_labels",
    metadata,
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("value", sa.String, primary_key=True),
    sa.Column("host", sa.ForeignKey("hosts.name", ondelete="CASCADE"), primary_key=True, index=True),
)

instances = sa.Table(
    "instances",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("name", sa.String, nullable=False),
    sa.Column("project", sa.String, nullable=False),
    sa.Column("idempotency_key", sa.String),
    sa.Column("vm_state", sa.String, nullable=False),
    sa.Column("task_state", sa.String),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("worker", sa.String),
    sa.Column("workflow", sa.String, nullable=False),
    sa.Column("request", Encoded, nullable=False),
    sa.Column("user_data", sa.Text),
    sa.Column("group_name", sa.String),
    sa.Column("stack", sa.String),
    sa.Column("host", sa.String),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("outcome", sa.String),
    sa.Column("fault", Encoded),
    sa.Column("addresses", Encoded),
    sa.Column("access_ipv4", sa.String),
    sa.Column("access_ipv6", sa.String),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("launched_at", UtcTime),
    sa.Column("deleted_at", UtcTime),
    # Of the last move and the run that is under way, or was the last: from them a trigger writes the move's event.
    sa.Column("move", sa.String),
    sa.Column("moved_at", UtcTime),
    sa.Column("detail", sa.String, nullable=False, server_default=""),
    sa.Column("run_id", sa.String),
    # What its project is charged for.
    sa.Column("vcpus", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("memory", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("disk", sa.BigInteger, nullable=False, server_default="0"),
)
# The order of lists; whole, so that no change of a state touches it.
sa.Index("instances_listed", instances.c.project, instances.c.name, instances.c.id)
# A name is free again once its instance is gone; what is not at rest is found without reading the finished ones.
partial_index(
    "instances_name", instances.c.name, instances.c.project, unique=True, where=instances.c.vm_state != "DELETED"
)
sa.Index("instances_idempotency", instances.c.project, instances.c.idempotency_key, unique=True)
# By id, which a change from phase to phase leaves alone.
partial_index("instances_busy", instances.c.id, where=instances.c.task_state.is_not(None))
partial_index("instances_stack", instances.c.project, instances.c.stack, where=instances.c.stack.is_not(None))
partial_index(
    "instances_group",
    *(instances.c.project, instances.c.group_name),
    where=sa.and_(instances.c.group_name.is_not(None), instances.c.host.is_not(None)),
)

instance_quotas = sa.Table(
    "instance_quotas",
    metadata,
    sa.Column("project", sa.String, primary_key=True),
    *(sa.Column(f"{name}_limit", sa.BigInteger) for name in ("instances", "vcpus", "memory", "disk")),
    *(
        sa.Column(f"{name}_used", sa.BigInteger, nullable=False, server_default="0")
        for name in ("instances", "vcpus", "memory", "disk")
    ),
)

stack_members = sa.Table(
    "stack_members",
    metadata,
    sa.Column("kind", sa.String, primary_key=True),
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("project", sa.String, nullable=False),
    sa.Column("stack", sa.String, nullable=False),
    sa.Index("stack_members_stack", "project", "stack"),
)

claims = sa.Table(
    "claims",
    metadata,
    sa.Column("instance_id", sa.ForeignKey("instances.id"), primary_key=True),
    # While an instance moves it claims something of two.
    sa.Column("host", sa.ForeignKey("hosts.name"), primary_key=True, index=True),
    sa.Column("vcpus", sa.BigInteger, nullable=False),
    sa.Column("memory", sa.BigInteger, nullable=False),
    sa.Column("disk", sa.BigInteger, nullable=False),
)

pinned_cpus = sa.Table(
    "pinned_cpus",
    metadata,
    sa.Column("host", sa.ForeignKey("hosts.name"), primary_key=True),
    sa.Column("cpu", sa.Integer, primary_key=True),
    sa.Column("instance_id", sa.ForeignKey("instances.id"), nullable=False, index=True),
)

OWN_TEXT = "-"
"""The digest of what stands for the texts of Slipway's own workflows, which are not kept."""

workflow_texts = sa.Table(
    "workflow_texts",
    metadata,
    sa.Column("digest", sa.String, primary_key=True),
    sa.Column("texts", Encoded, nullable=False),
)


@sa.event.listens_for(workflow_texts, "after_create")
def _on_create(_table: object, connection: sa.Connection, **_more: Any) -> None:
    connection.execute(workflow_texts.insert(), {"digest": OWN_TEXT, "texts": b"{}"})


runs = sa.Table(
    "runs",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("workflow", sa.String, nullable=False),
    sa.Column("name", sa.String, nullable=False),
    sa.Column("digest", sa.ForeignKey("workflow_texts.digest"), nullable=False),
    sa.Column("project", sa.String, nullable=False),
    sa.Column("parent_id", sa.ForeignKey("runs.id"), index=True),
    sa.Column("parent_step", sa.String),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("outcome", sa.String),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("worker", sa.String),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("inputs", Encoded, nullable=False),
    sa.Column("secrets", sa.Text),
    sa.Column("outputs", Encoded),
    sa.Column("fault", Encoded),
    sa.Column("wake_at", UtcTime),
    sa.Column("waits_for", sa.String),
    sa.Column("waits_at", sa.String),
    sa.Column("answer", sa.String),
    sa.Column("idempotency_key", sa.String),
    sa.Column("request_digest", sa.String),
    sa.Column("asked_by", sa.String, nullable=False, server_default=""),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("ended_at", UtcTime),
    sa.Column("instance_id", sa.ForeignKey("instances.id")),
)
sa.Index("runs_idempotency", runs.c.project, runs.c.idempotency_key, unique=True)
partial_index("runs_unfinished", runs.c.id, where=runs.c.ended_at.is_(None))
# An instance has at most one run under way.
partial_index(
    "runs_under_way",
    runs.c.instance_id,
    unique=True,
    where=sa.and_(runs.c.instance_id.is_not(None), runs.c.ended_at.is_(None)),
)
partial_index("runs_instance", runs.c.instance_id, where=runs.c.instance_id.is_not(None))

effects = sa.Table(
    "effects",
    metadata,
    sa.Column("seq", Counter, primary_key=True, autoincrement=True),
    # Begins with its owner's id, an instance's or a run's: so its index, sorted by bytes, finds an owner's effects too.
    sa.Column("key", _BYTEWISE, nullable=False, unique=True),
    sa.Column("instance_id", sa.ForeignKey("instances.id")),
    sa.Column("run_id", sa.ForeignKey("runs.id")),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("step", sa.String, nullable=False),
    sa.Column("slot", sa.Integer, nullable=False),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("scope", sa.String, nullable=False),
    sa.Column("host", sa.String),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("args", Encoded, nullable=False),
    sa.Column("result", Encoded),
    sa.Column("error", sa.String),
    sa.Column("held_by", sa.String),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("deadline", UtcTime),
    sa.Column("started_at", UtcTime, nullable=False),
    sa.Column("finished_at", UtcTime),
    sa.Column("undone_at", UtcTime),
)

events = sa.Table(
    "events",
    metadata,
    # Never given again, whatever is taken off the record: readers go on from the last one that they know.
    sa.Column("seq", Counter, primary_key=True, autoincrement=True),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("began_at", UtcTime),
    sa.Column("type", sa.String, nullable=False),
    sa.Column("run_id", sa.String),
    sa.Column("instance_id", sa.String),
    sa.Column("step", sa.String),
    sa.Column("slot", sa.Integer),
    sa.Column("attempt", sa.Integer),
    sa.Column("host", sa.String),
    sa.Column("state", sa.String),
    sa.Column("detail", sa.String, nullable=False, server_default=""),
    sqlite_autoincrement=True,
)
partial_index("events_instance", events.c.instance_id, where=events.c.instance_id.is_not(None))
partial_index("events_run", events.c.run_id, where=events.c.run_id.is_not(None))

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("receiver", sa.String, primary_key=True),
    sa.Column("seq", Counter, nullable=False),
    sa.Column("at", UtcTime, nullable=False),
)

host_measures = sa.Table(
    "host_measures",
    metadata,
    sa.Column("host", sa.ForeignKey("hosts.name", ondelete="CASCADE"), primary_key=True),
    sa.Column("measured", Encoded, nullable=False),
)

workers = sa.Table(
    "workers",
    metadata,
    # The process, as leases name it: a worker that was started anew is another one of the same name.
    sa.Column("process", sa.String, primary_key=True),
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("hosts", Encoded, nullable=False),
    sa.Column("anything", sa.Boolean, nullable=False),
    sa.Column("concurrency", sa.Integer, nullable=False),
    sa.Column("draining", sa.Boolean, nullable=False),
    sa.Column("at_work", Encoded, nullable=False),
    sa.Column("since", UtcTime, nullable=False),
    # By the database's clock.
    sa.Column("until", UtcTime, nullable=False),
)


TABLES_TEXT = Path(__file__).with_name("tables.sql")
"""All tables of a new record in SQLite, the embedded network's too, made ready: SQLAlchemy takes five times as long.

A text of another version is not used.
"""


def make_tables(tx: sa.Connection, tables: Sequence[sa.Table] | None = None) -> None:
    """Make those of the tables, default all that are known, that are not there.

    What is there is asked for once; SQLAlchemy asks for each table by itself, on SQLite twice.
    """
    if tx.dialect.name == "postgresql":
        lock_schema(tx)
    there = {*tx.dialect.get_table_names(tx)}
    text = TABLES_TEXT.read_text() if tx.dialect.name == "sqlite" and not there else ""
    if text.startswith(f"-- schema {SCHEMA_VERSION}\n"):
        _make_all(tx, text)
        return
    missing = [table for table in tables or metadata.tables.values() if table.name not in there]
    metadata.create_all(tx, tables=missing, checkfirst=False)


def _make_all(tx: sa.Connection, text: str) -> None:
    for statement in text.split(";\n"):
        try:
            # Past SQLAlchemy's execution context, which costs more than a table.
            tx.connection.driver_connection.execute(statement)  # type: ignore[union-attr]
        except sqlite3.OperationalError as error:
            raise sa.exc.OperationalError(statement, None, error) from error
