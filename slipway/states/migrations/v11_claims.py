"""An instance may claim something of two hosts: while it moves from one to the other."""

from __future__ import annotations

import sqlalchemy as sa

from slipway.states.migrations.operations import operations

_BYTEWISE = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade(tx: sa.Connection) -> None:
    """The table is made anew, with the host in its key: SQLite cannot change a key in place."""
    change = operations(tx)
    tx.exec_driver_sql("CREATE TABLE claims_before AS SELECT * FROM claims")
    change.drop_table("claims")
    change.create_table(
        "claims",
        sa.Column("instance_id", sa.String, sa.ForeignKey("instances.id"), primary_key=True),
        sa.Column("host", _BYTEWISE, sa.ForeignKey("hosts.name"), primary_key=True),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("vcpus", "memory", "disk")),
    )
    change.create_index("ix_claims_host", "claims", ["host"])
    columns = "instance_id, host, vcpus, memory, disk"
    tx.exec_driver_sql(f"INSERT INTO claims ({columns}) SELECT {columns} FROM claims_before")
    change.drop_table("claims_before")
