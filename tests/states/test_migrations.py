"""Records of earlier versions, with instances in every state, brought up to date and gone on with.

`records/` has what those versions left when they were killed; `N` of `schemaN` is the schema's number.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from slipway.orchestrator import Orchestrator
from slipway.states.schema import SCHEMA_VERSION
from tests import older
from tests.told import wrong_runs

LATER = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture(params=["schema1", "schema3", "schema6"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A state directory as that version left it."""
    return older.put(request.param, tmp_path)


def tables(path: Path) -> Mapping[str, Sequence[Any]]:
    """What each table and index is, but for the order of the columns, which a migration adds at the end."""
    found: dict[str, Sequence[Any]] = {}
    with closing(sqlite3.connect(path)) as db:
        for kind, name in db.execute("SELECT type, name FROM sqlite_master WHERE name NOT LIKE 'sqlite_stat%'"):
            info = db.execute(f"PRAGMA {kind}_info('{name}')").fetchall()
            # An index's are in an order of its own, and each has its table's number.
            columns = [column[2] for column in info] if kind == "index" else sorted(column[1:] for column in info)
            keys = sorted(key[2:] for key in db.execute(f"PRAGMA foreign_key_list('{name}')"))
            unique = sorted(index[2:] for index in db.execute(f"PRAGMA index_list('{name}')"))
            found[name] = [columns, keys, unique]
    return found


@pytest.mark.sqlite("compares the file of an older record with that of a new one; test_revisions does so on both")
def test_an_older_record_becomes_as_a_new_one_is(state: Path, tmp_path: Path) -> None:
    with Orchestrator(state, clock=lambda: LATER) as slipway:
        assert len(slipway.list()) == 6
        assert slipway.network is not None
    with Orchestrator(tmp_path / "new") as slipway:
        assert slipway.network is not None
    assert tables(state / "slipway.db") == tables(tmp_path / "new/slipway.db")
    with closing(sqlite3.connect(state / "slipway.db")) as db:
        assert db.execute("SELECT schema_version FROM meta").fetchall() == [(SCHEMA_VERSION,)]
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize("state", ["schema1", "schema3"], indirect=True)
def test_the_history_of_an_older_record_goes_on_as_events(state: Path) -> None:
    with closing(sqlite3.connect(state / "slipway.db")) as db:
        query = (
            "SELECT seq, instance_id, 'instance.' || event, vm_state || '/' || coalesce(task_state, '-') FROM history"
        )
        before = db.execute(f"{query} ORDER BY seq").fetchall()
    with Orchestrator(state, clock=lambda: LATER) as slipway:
        assert [(e.seq, e.instance_id, e.type, e.state) for e in slipway.events()] == before
        assert [entry.event for entry in slipway.show("active").history] == [
            *("create", "claim", "network", "map_disks", "spawn", "finish")
        ]
        slipway.resume()
        new = list(slipway.events(after=before[-1][0]))
    assert {"step.undone", "step.done"} <= {event.type for event in new}


def test_what_an_older_version_left_unfinished_is_finished(state: Path) -> None:
    with Orchestrator(state, clock=lambda: LATER) as slipway:
        before = {instance.name: instance.vm_state for instance in slipway.list()}
        resting = {"active": "ACTIVE", "stopped": "STOPPED", "failed": "ERROR"}
        assert before == {**resting, "building": "BUILDING", "powering": "ACTIVE", "deleting": "ACTIVE"}
        ended = {one.name: one.status for one in slipway.resume()}
        assert ended == {"building": "resumed", "powering": "resumed", "deleting": "deleted"}
        after = {instance.name: instance.vm_state for instance in slipway.list()}
        assert after == {**resting, "building": "ACTIVE", "powering": "STOPPED"}
        assert slipway.audit() == ()
        for name in after:
            assert slipway.delete(name).vm_state == "DELETED"
        assert slipway.audit() == ()


def test_what_was_done_to_instances_before_is_a_run_of_each(state: Path) -> None:
    builds = {"active": "SUCCEEDED", "stopped": "SUCCEEDED", "failed": "FAILED"}
    with Orchestrator(state, clock=lambda: LATER) as slipway:
        before = {
            (run.instance, run.name): run.state for run in slipway.runs.list() if run.instance not in (None, "gone")
        }
        built = {**builds, "powering": "SUCCEEDED", "deleting": "SUCCEEDED", "building": "RUNNING"}
        under_way = {("powering", "stop"): "RUNNING", ("deleting", "delete"): "RUNNING"}
        assert before == {**{(name, "build"): ended for name, ended in built.items()}, **under_way}
        slipway.resume()
        after = [run for run in slipway.runs.list() if run.instance]
        assert all(run.ended_at is not None for run in after)
        assert {run.state for run in after if run.instance != "failed"} == {"SUCCEEDED"}
        for name in ("active", "failed"):
            slipway.delete(name)
        deletes = {run.instance for run in slipway.runs.list() if run.name == "delete"}
        assert deletes == {"deleting", "active", "failed"}
    with closing(sqlite3.connect(state / "slipway.db")) as db:
        assert list(wrong_runs(db)) == []
