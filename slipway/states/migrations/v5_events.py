"""The history of instances becomes the events, in which every step is as well from now on."""

from __future__ import annotations

import sqlalchemy as sa

from slipway.states.migrations.operations import operations


def upgrade(tx: sa.Connection) -> None:
    """The moves that there are keep their order; no step of before is among the events."""
    tx.exec_driver_sql(
        "INSERT INTO events (seq, at, type, instance_id, state, detail) "
        "SELECT seq, at, 'instance.' || event, instance_id, vm_state || '/' || COALESCE(task_state, '-'), detail "
        "FROM history ORDER BY seq"
    )
    if tx.dialect.name == "postgresql":
        tx.exec_driver_sql("SELECT setval(pg_get_serial_sequence('events', 'seq'), COALESCE(MAX(seq), 1)) FROM events")
    operations(tx).drop_table("history")
