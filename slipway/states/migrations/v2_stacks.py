"""Instances bear the stack that made them."""

from __future__ import annotations

import sqlalchemy as sa

from slipway.states.migrations.operations import operations


def upgrade(tx: sa.Connection) -> None:
    """Those that there are bear none."""
    operations(tx).add_column("instances", sa.Column("stack", sa.String))
