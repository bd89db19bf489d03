"""From the tables of an older record to those of today; new tables are made from the schema itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module

import sqlalchemy as sa

from slipway.states.schema import SCHEMA_VERSION, make_tables, meta
from slipway.states.triggers import make_triggers

CHANGES: Mapping[int, str] = {
    2: "slipway.states.migrations.v2_stacks",
    3: "slipway.states.migrations.v3_places",
    4: "slipway.states.migrations.v4_runs",
    5: "slipway.states.migrations.v5_events",
    7: "slipway.states.migrations.v7_instance_runs",
    8: "slipway.states.migrations.v8_scheduling",
    9: "slipway.states.migrations.v9_quotas",
    10: "slipway.states.migrations.v10_stacks",
    11: "slipway.states.migrations.v11_claims",
    13: "slipway.states.migrations.v13_domains",
    14: "slipway.states.migrations.v14_counters",
    15: "slipway.states.migrations.v15_host_addresses",
}
"""What each version changed at tables that there were: a module with `upgrade(tx)`, by Alembic's operations."""


def upgrade(tx: sa.Connection) -> None:
    """Bring the record up to date, in the caller's transaction. One that is already: nothing happens."""
    found = tx.scalar(sa.select(meta.c.schema_version))
    if found is None or found >= SCHEMA_VERSION:
        return
    make_tables(tx)
    for version in range(found + 1, SCHEMA_VERSION + 1):
        if version in CHANGES:
            change: Callable[[sa.Connection], None] = import_module(CHANGES[version]).upgrade
            change(tx)
    make_triggers(tx)
    tx.execute(meta.update().values(schema_version=SCHEMA_VERSION))
