"""The instances of a stack are found by an index."""

from __future__ import annotations

import sqlalchemy as sa

from slipway.states.migrations.operations import operations


def upgrade(tx: sa.Connection) -> None:
    """However many others there are."""
    where = sa.text("stack IS NOT NULL")
    operations(tx).create_index(
        "instances_stack", "instances", ["project", "stack"], sqlite_where=where, postgresql_where=where
    )
