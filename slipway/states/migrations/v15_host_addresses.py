"""Networks say whether their hosts have addresses on them."""

from __future__ import annotations

import sqlalchemy as sa

from slipway.states.migrations.operations import operations


def upgrade(tx: sa.Connection) -> None:
    """No network yet. The tables of an embedded network that was never used are not there, or are as they are today."""
    found = sa.inspect(tx)
    if not found.has_table("networks") or any(each["name"] == "host_address" for each in found.get_columns("networks")):
        return
    column = sa.Column("host_address", sa.Boolean, nullable=False, server_default="0")
    operations(tx).add_column("networks", column)
