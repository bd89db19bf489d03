"""The record copied while it is worked with, and put back."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import Result

Slipway = Callable[..., Result]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def built(slipway: Slipway, run_file: Callable[..., str], state: Path) -> str:
    file = run_file()
    assert slipway("run", file, "--state", str(state)).exit_code == 0
    return file


def names(slipway: Slipway, state: Path) -> list[str]:
    return [one["name"] for one in json.loads(slipway("list", "--state", str(state), "--output", "json").stdout)]


def test_a_copy_is_whole_private_and_taken_beside_a_writer(
    slipway: Slipway, built: str, state: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    with closing(sqlite3.connect(state / "slipway.db", isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE instances SET host = 'nowhere'")
        os.umask(0o022)
        assert slipway("backup", str(copy), "--state", str(state)).exit_code == 0
        writer.execute("ROLLBACK")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir() if "copy" in path.name) == ["copy"]
    with closing(sqlite3.connect(copy)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert "nowhere" not in {host for (host,) in db.execute("SELECT host FROM instances")}


def test_a_copy_does_not_replace_a_file_unless_told(slipway: Slipway, built: str, state: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.write_text("mine")
    refused = slipway("backup", str(copy), "--state", str(state))
    assert refused.exit_code == 2
    assert "--overwrite" in refused.stderr
    assert copy.read_text() == "mine"
    assert slipway("backup", str(copy), "--state", str(state), "--overwrite").exit_code == 0


def test_what_was_there_is_there_again(slipway: Slipway, built: str, state: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    before = names(slipway, state)
    assert slipway("backup", str(copy), "--state", str(state)).exit_code == 0
    for suffix in ("", "-wal", "-shm"):
        (state / f"slipway.db{suffix}").unlink(missing_ok=True)
    done = slipway("restore", str(copy), "--state", str(state), "--output", "json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {"file": str(copy), "kept": None, "differences": 0}
    assert names(slipway, state) == before
    assert stat.S_IMODE((state / "slipway.db").stat().st_mode) == 0o600
    assert slipway("run", built, "--state", str(state)).exit_code == 0


def test_reality_is_looked_at_before_anything_is_built_on_an_older_copy(
    slipway: Slipway, built: str, run_file: Callable[..., str], state: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    assert slipway("backup", str(copy), "--state", str(state)).exit_code == 0
    name = names(slipway, state)[0]
    assert slipway("delete", name, "--state", str(state)).exit_code == 0
    done = slipway("restore", str(copy), "--state", str(state))
    assert done.exit_code == 5
    assert "audit" in done.stdout
    (kept,) = state.glob("slipway.db.before-*")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    with closing(sqlite3.connect(kept)) as db:
        assert ("DELETED",) in db.execute("SELECT vm_state FROM instances").fetchall()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "there is no such file"),
        (b"not a database at all, but long enough to be looked at" * 20, "is not a database"),
        (b"", "no record of Slipway's"),
    ],
    ids=["absent", "no database", "empty"],
)
def test_what_is_no_copy_changes_nothing(
    content: bytes | None, text: str, slipway: Slipway, built: str, state: Path, tmp_path: Path
) -> None:
    copy, before = tmp_path / "copy", names(slipway, state)
    if content is not None:
        copy.write_bytes(content)
    refused = slipway("restore", str(copy), "--state", str(state))
    assert refused.exit_code != 0
    assert text in refused.stderr
    assert names(slipway, state) == before
    assert not list(state.glob("slipway.db.before-*"))


def test_a_copy_of_a_newer_slipways_record_is_refused(
    slipway: Slipway, built: str, state: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    assert slipway("backup", str(copy), "--state", str(state)).exit_code == 0
    with closing(sqlite3.connect(copy)) as db, db:
        db.execute("UPDATE meta SET schema_version = 9999")
    assert "9999" in slipway("restore", str(copy), "--state", str(state)).stderr


def test_what_is_going_on_is_not_given_up_unless_told(
    slipway: Slipway, built: str, state: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    assert slipway("backup", str(copy), "--state", str(state)).exit_code == 0
    with closing(sqlite3.connect(state / "slipway.db")) as db, db:
        db.execute("UPDATE instances SET task_state = 'REBOOTING'")
    refused = slipway("restore", str(copy), "--state", str(state))
    assert refused.exit_code != 0
    assert "slipway resume" in refused.stderr
    assert slipway("restore", str(copy), "--state", str(state), "--force").exit_code == 0


def test_a_damaged_record_gives_way_and_is_kept(slipway: Slipway, built: str, state: Path, tmp_path: Path) -> None:
    copy, before = tmp_path / "copy", names(slipway, state)
    assert slipway("backup", str(copy), "--state", str(state)).exit_code == 0
    (state / "slipway.db").write_bytes(b"rubbish" * 1000)
    for suffix in ("-wal", "-shm"):
        (state / f"slipway.db{suffix}").unlink(missing_ok=True)
    assert slipway("restore", str(copy), "--state", str(state)).exit_code == 0
    assert names(slipway, state) == before
    (kept,) = state.glob("slipway.db.before-*")
    assert kept.read_bytes() == b"rubbish" * 1000


def test_another_database_has_tools_of_its_own(slipway: Slipway, built: str, state: Path, tmp_path: Path) -> None:
    refused = slipway("restore", str(tmp_path / "copy"), "--state", str(state), "--db", "postgresql://localhost/x")
    assert refused.exit_code != 0
    assert "postgresql has tools of its own" in refused.stderr
