"""Events, effects and addresses that were given back are counted beyond 32 bits in PostgreSQL too."""

from __future__ import annotations

import sqlalchemy as sa

from slipway.states.migrations.operations import operations

_COUNTERS = (("effects", "seq"), ("events", "seq"), ("deliveries", "seq"), ("free_ranges", "given_back"))


def upgrade(tx: sa.Connection) -> None:
    """SQLite's integers have 64 bits already. The tables of an embedded network that was never used are not there."""
    if tx.dialect.name != "postgresql":
        return
    for table, column in _COUNTERS:
        if not sa.inspect(tx).has_table(table):
            continue
        operations(tx).alter_column(table, column, type_=sa.BigInteger)
        # Its numbers end where those of the column ended.
        sequence = tx.scalar(sa.select(sa.func.pg_get_serial_sequence(table, column)))
        if sequence is not None:
            tx.exec_driver_sql(f"ALTER SEQUENCE {sequence} AS BIGINT")
