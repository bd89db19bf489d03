"""Networks have a DNS domain."""

from __future__ import annotations

import sqlalchemy as sa

from slipway.states.migrations.operations import operations


def upgrade(tx: sa.Connection) -> None:
    """None yet. The tables of an embedded network that was never used are not there, or are made as they are today."""
    found = sa.inspect(tx)
    if not found.has_table("networks") or any(each["name"] == "dns_domain" for each in found.get_columns("networks")):
        return
    operations(tx).add_column("networks", sa.Column("dns_domain", sa.String(255), nullable=False, server_default=""))
