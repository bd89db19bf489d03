"""From the tables of an older record to those of today; new tables are made from the schema itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from slipway.states.schema import SCHEMA_VERSION, meta, metadata

_CHANGES: Mapping[int, Sequence[str]] = {
    2: ("ALTER TABLE instances ADD COLUMN stack VARCHAR",),
    3: ("ALTER TABLE hosts ADD COLUMN place {binary}",),
}
"""What each version changed at tables that there were."""


def upgrade(tx: sa.Connection) -> None:
    """Bring the record up to date, in the caller's transaction. One that is already: nothing happens."""
    found = tx.scalar(sa.select(meta.c.schema_version))
    if found is None or found >= SCHEMA_VERSION:
        return
    binary = sa.LargeBinary().compile(tx.dialect)
    for version in range(found + 1, SCHEMA_VERSION + 1):
        for statement in _CHANGES.get(version, ()):
            tx.exec_driver_sql(statement.format(binary=binary))
    metadata.create_all(tx)
    tx.execute(meta.update().values(schema_version=SCHEMA_VERSION))
