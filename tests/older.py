"""Records made older again, for what earlier versions did not know."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from slipway.states.migrations.operations import operations


def forget_runs(path: Path) -> None:
    """Have the record as it was before runs (schema 3), events (5), what hosts are chosen by (8) and quotas (9)."""
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as tx:
        for statement in (*_NO_QUOTAS, *_NO_SCHEDULING, *_NO_EVENTS):
            tx.execute(sa.text(statement))
        with operations(tx).batch_alter_table("effects") as effects:
            effects.drop_column("run_id")
        tx.execute(sa.text("DROP TABLE runs"))
        tx.execute(sa.text("DROP TABLE workflow_texts"))
        tx.execute(sa.text("UPDATE meta SET schema_version = 3"))
    engine.dispose()


_NO_QUOTAS = (
    "DROP INDEX instances_listed",
    "DROP TABLE instance_quotas",
    *(f"ALTER TABLE instances DROP COLUMN {name}" for name in ("vcpus", "memory", "disk")),
)
_NO_SCHEDULING = (
    "DROP INDEX hosts_by_weight",
    "DROP TABLE host_labels",
    "DROP TABLE pinned_cpus",
    *(f"ALTER TABLE hosts DROP COLUMN {name}" for name in ("zone", "vcpus", "disabled")),
)
_NO_EVENTS = (
    "DROP TRIGGER effects_inserted",
    "DROP TRIGGER effects_updated",
    "DROP TRIGGER instances_moved",
    *(f"ALTER TABLE instances DROP COLUMN {name}" for name in ("move", "moved_at", "detail", "run_id")),
    """CREATE TABLE history (
        seq INTEGER PRIMARY KEY, instance_id VARCHAR NOT NULL, at BIGINT NOT NULL, event VARCHAR NOT NULL,
        vm_state VARCHAR NOT NULL, task_state VARCHAR, detail VARCHAR DEFAULT '' NOT NULL)""",
    """INSERT INTO history SELECT seq, instance_id, at, substr(type, 10), substr(state, 1, instr(state, '/') - 1),
        nullif(substr(state, instr(state, '/') + 1), '-'), detail FROM events WHERE type LIKE 'instance.%'""",
    "DROP TABLE events",
)
