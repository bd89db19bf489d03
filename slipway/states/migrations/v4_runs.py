"""Effects are an instance's or a run's."""

from __future__ import annotations

import sqlalchemy as sa

from slipway.states.migrations.operations import operations


def upgrade(tx: sa.Connection) -> None:
    """Those that there are stay their instances'.

    SQLite changes no column: Alembic makes the table anew, and keeps of it what is reflected.
    """
    with operations(tx).batch_alter_table("effects") as effects:
        effects.alter_column("instance_id", existing_type=sa.String, nullable=True)
        effects.add_column(sa.Column("run_id", sa.String))
        effects.create_foreign_key("effects_run", "runs", ["run_id"], ["id"])
