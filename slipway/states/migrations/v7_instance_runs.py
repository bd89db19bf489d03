"""What is done to an instance is a run: each instance has the run that is under way, or that built it."""

from __future__ import annotations

import uuid
from typing import Any

import sqlalchemy as sa

from slipway.states.migrations.operations import operations

_NAMES = {"DELETING": "delete", "POWERING_OFF": "stop", "POWERING_ON": "start", "REBOOTING": "reboot"}
"""What is under way, by the instance's task state; all else is its build."""
_ENDS = {"BUILDING": "CANCELLED", "ERROR": "FAILED", "DELETED": "CANCELLED"}
"""How an instance's build ended, by its state; else it succeeded."""
_RUN = sa.text(
    "INSERT INTO runs (id, instance_id, workflow, name, digest, project, state, generation, attempt, inputs, asked_by, "
    "fault, created_at, ended_at) VALUES (:id, :instance_id, :workflow, :name, '-', :project, :state, 0, :attempt, "
    ":inputs, '', :fault, :created_at, :ended_at)"
)


def upgrade(tx: sa.Connection) -> None:
    """Who made what before is not known: effects of before stay of no run."""
    change = operations(tx)
    change.add_column("instances", sa.Column("move", sa.String))
    change.add_column("instances", sa.Column("moved_at", sa.BigInteger))
    change.add_column("instances", sa.Column("detail", sa.String, nullable=False, server_default=""))
    change.add_column("instances", sa.Column("run_id", sa.String))
    if "instance_id" not in {column["name"] for column in sa.inspect(tx).get_columns("runs")}:
        # With the key in the column itself, which Alembic would have the whole table made anew for.
        tx.exec_driver_sql("ALTER TABLE runs ADD COLUMN instance_id VARCHAR REFERENCES instances (id)")
        under_way = sa.text("instance_id IS NOT NULL AND ended_at IS NULL")
        of_one = sa.text("instance_id IS NOT NULL")
        for name, unique, where in (("runs_under_way", True, under_way), ("runs_instance", False, of_one)):
            change.create_index(
                name, "runs", ["instance_id"], unique=unique, sqlite_where=where, postgresql_where=where
            )
        tx.exec_driver_sql("INSERT INTO workflow_texts (digest, texts) VALUES ('-', '{}')")
    for row in tx.exec_driver_sql("SELECT * FROM instances").mappings().all():
        _begin(tx, row)


def _begin(tx: sa.Connection, row: Any) -> None:
    """The instance's build, and what is under way if that is another one."""
    name = _NAMES.get(row["task_state"] or "", "build")
    building = row["task_state"] is not None and name == "build"
    ended = None if building else row["launched_at"] or row["deleted_at"] or row["created_at"]
    state = "REVERTING" if row["task_state"] == "REVERTING" else "RUNNING"
    if not building:
        state = "SUCCEEDED" if row["launched_at"] is not None else _ENDS.get(row["vm_state"], "SUCCEEDED")
    run_id = _run(tx, row, "build", row["workflow"], state, ended)
    if name != "build":
        run_id = _run(tx, row, name, name, "RUNNING", None)
    tx.execute(sa.text("UPDATE instances SET run_id = :run WHERE id = :id"), {"run": run_id, "id": row["id"]})


def _run(tx: sa.Connection, row: Any, name: str, workflow: str, state: str, ended_at: int | None) -> str:
    run_id = str(uuid.uuid4())
    failed = state == "FAILED"
    values = {"id": run_id, "instance_id": row["id"], "workflow": workflow, "name": name, "state": state}
    values |= {"project": row["project"], "attempt": row["attempt"] if name == "build" else 1, "inputs": b"{}"}
    values |= {"fault": row["fault"] if failed else None, "created_at": row["created_at"], "ended_at": ended_at}
    tx.execute(_RUN, values)
    return run_id
