"""Hosts say to which machine and state directory they belong."""

from __future__ import annotations

import sqlalchemy as sa

from slipway.states.migrations.operations import operations


def upgrade(tx: sa.Connection) -> None:
    """Those that there are belong to whoever acts on them first."""
    operations(tx).add_column("hosts", sa.Column("place", sa.LargeBinary))
