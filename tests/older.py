"""Records made older again, for what earlier versions did not know."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from slipway.states.migrations.operations import operations


def forget_runs(path: Path) -> None:
    """Have the record as it was before there were runs (schema 3)."""
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as tx:
        with operations(tx).batch_alter_table("effects") as effects:
            effects.drop_column("run_id")
        tx.execute(sa.text("DROP TABLE runs"))
        tx.execute(sa.text("DROP TABLE workflow_texts"))
        tx.execute(sa.text("UPDATE meta SET schema_version = 3"))
    engine.dispose()
