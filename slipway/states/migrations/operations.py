"""Alembic's operations on a transaction that is open already."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations


def operations(tx: sa.Connection) -> Operations:
    """What changes tables, the same on every database."""
    return Operations(MigrationContext.configure(tx))
