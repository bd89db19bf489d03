"""The record as one file, made while it is worked on, and put back: all of it or nothing, and only what is a record."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from slipway import Orchestrator, errors
from slipway.operations.backup import put_back
from slipway.runfile import RunFile, loads
from slipway.states.schema import SCHEMA_VERSION
from slipway.states.store import Store
from slipway.testing import Fault, Faults, Mode
from tests import older

pytestmark = pytest.mark.sqlite("copies and puts back the file; a record in PostgreSQL is refused: test_cli_postgresql")
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
FILE = """
schema: 1
hosts: {{a: {{vcpus: 64, memory: 64GiB, disk: 500GiB}}}}
networks: {{net: {{subnets: {{v4: {{cidr: 10.0.0.0/24}}}}}}}}
flavors: {{s: {{vcpus: 1, memory: 512MiB, disk: 2GiB}}}}
images: {{i: {{kernel: ./k}}}}
instances: {{{instances}}}
"""


def text(*names: str) -> str:
    instances = ", ".join(f"{name}: {{flavor: s, image: i, networks: [net]}}" for name in names)
    return FILE.format(instances=instances)


def file(*names: str) -> RunFile:
    return loads(text(*names), "f.yaml")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    with Orchestrator(tmp_path / "state") as slipway:
        slipway.run(file("one"))
        slipway.backup(tmp_path / "one.db")
        slipway.run(file("one", "two"))
    return tmp_path / "state"


def url_of(state: Path) -> str:
    return f"sqlite:///{state / 'slipway.db'}"


def names(db: Path) -> list[str]:
    with closing(sqlite3.connect(f"file:{db}?mode=ro", uri=True)) as database:
        return [name for (name,) in database.execute("SELECT name FROM instances ORDER BY name")]


def sql(db: Path, statement: str) -> None:
    with closing(sqlite3.connect(db)) as database:
        database.execute(statement)
        database.commit()


def everything(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}


# --- a backup -----------------------------------------------------------------------------------------------------


def test_a_backup_is_one_private_file_with_all_there_is(state: Path, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with Orchestrator(state) as slipway:
            slipway.backup(tmp_path / "copy.db")
    finally:
        os.umask(before)
    copy = tmp_path / "copy.db"
    assert copy.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.glob("*copy.db*")] == ["copy.db"]
    assert names(copy) == ["one", "two"]
    with closing(sqlite3.connect(copy)) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        with closing(sqlite3.connect(state / "slipway.db")) as original:
            assert list(database.iterdump()) == list(original.iterdump())


def test_what_is_only_in_the_write_ahead_log_is_in_it(state: Path, tmp_path: Path) -> None:
    with Orchestrator(state) as slipway, Orchestrator(state) as other:
        other.list()
        slipway.network.create_network(name="late")
        assert (state / "slipway.db-wal").stat().st_size
        slipway.backup(tmp_path / "copy.db")
    assert b"late" in (tmp_path / "copy.db").read_bytes()


def test_a_backup_is_of_one_moment_whoever_works_on_it_meanwhile(state: Path, tmp_path: Path) -> None:
    done = threading.Event()

    def build() -> None:
        with Orchestrator(state) as other:
            for number in range(30):
                other.create(file(f"more-{number}").instances[0].request)
        done.set()

    worker = threading.Thread(target=build)
    worker.start()
    taken = 0
    with Orchestrator(state) as slipway:
        while not done.is_set():
            slipway.backup(tmp_path / "copy.db", force=True)
            taken += 1
            with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
                assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
                assert copy.execute("PRAGMA foreign_key_check").fetchall() == []
                (claimed,) = copy.execute("SELECT sum(vcpus) FROM claims").fetchone()
                assert copy.execute("SELECT vcpus_used FROM hosts").fetchone() == (claimed,)
        worker.join()
        assert slipway.audit() == ()
    assert taken > 1


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("there.db", r"there.db: it is there already; --force replaces it"),
        ("state", r"state: it is a directory"),
        ("nowhere/copy.db", r"copy.db: it cannot be written: No such file or directory"),
        ("state/slipway.db", r"slipway.db: this is the database itself"),
        ("link.db", r"link.db: this is the database itself"),
    ],
)
def test_a_backup_replaces_nothing_unasked(target: str, why: str, state: Path, tmp_path: Path) -> None:
    (tmp_path / "there.db").write_text("mine")
    (tmp_path / "link.db").symlink_to(state / "slipway.db")
    with Orchestrator(state) as slipway:
        with pytest.raises(errors.BackupRefused, match=why):
            slipway.backup(tmp_path / target)
        assert (tmp_path / "there.db").read_text() == "mine"
        if "--force" not in why:
            with pytest.raises(errors.BackupRefused, match=why):
                slipway.backup(tmp_path / target, force=True)
        slipway.backup(tmp_path / "there.db", force=True)
        assert slipway.audit() == ()
    assert names(tmp_path / "there.db") == ["one", "two"]
    assert not list(tmp_path.glob("**/*.tmp"))


def test_another_database_than_a_file_of_sqlites_is_refused(tmp_path: Path) -> None:
    why = "only a record in a file of SQLite's is backed up"
    with Orchestrator(tmp_path, db="sqlite://") as slipway, pytest.raises(errors.BackupRefused, match=why):
        slipway.backup(tmp_path / "copy.db")
    with pytest.raises(errors.SlipwayError, match=rf"postgresql\+psycopg://me:\*\*\*@nowhere/db: ({why}|its driver)"):
        put_back(tmp_path / "copy.db", "postgresql+psycopg://me:secret@nowhere/db", now=NOW)


# --- put back -----------------------------------------------------------------------------------------------------


def test_a_backup_is_put_back_and_what_was_there_is_kept(state: Path, tmp_path: Path) -> None:
    restored = put_back(tmp_path / "one.db", url_of(state), now=NOW)
    kept = state / "slipway.db.20260102-030405"
    assert (restored.database, restored.kept) == (str(state / "slipway.db"), str(kept))
    assert (restored.instances, restored.unfinished) == (1, ())
    assert (names(state / "slipway.db"), names(kept)) == (["one"], ["one", "two"])
    assert {path.stat().st_mode & 0o777 for path in (kept, state / "slipway.db")} == {0o600}
    with Orchestrator(state) as slipway:
        with pytest.raises(errors.WorldUnrecorded):
            slipway.run(file("one", "three"))
        assert slipway.audit() != ()
    again = put_back(kept, url_of(state), now=NOW)
    assert (again.kept, names(Path(f"{kept}-2"))) == (f"{kept}-2", ["one"])
    with Orchestrator(state) as slipway:
        assert slipway.audit() == ()
        assert [str(one.status) for one in slipway.run(file("one", "two", "three")).ended][-1] == "built"


def test_a_backup_is_put_where_nothing_is(state: Path, tmp_path: Path) -> None:
    (state / "slipway.db").unlink()
    restored = put_back(tmp_path / "one.db", url_of(state), now=NOW)
    assert (restored.kept, names(state / "slipway.db")) == (None, ["one"])
    assert (state / "slipway.db").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("damage", [b"no database\n" * 1000, b"", None], ids=["no database", "empty", "a damaged page"])
def test_a_database_that_is_damaged_is_put_aside(damage: bytes | None, state: Path, tmp_path: Path) -> None:
    db = state / "slipway.db"
    if damage is None:
        content = bytearray(db.read_bytes())
        content[8192:40960] = b"\xff" * (40960 - 8192)
        damage = bytes(content)
    db.write_bytes(damage)
    restored = put_back(tmp_path / "one.db", url_of(state), now=NOW)
    assert names(db) == ["one"]
    if damage:
        assert restored.kept is not None
        # SQLite itself says in the header whether there is a write-ahead log.
        assert Path(restored.kept).read_bytes()[100:] == damage[100:]
    with Orchestrator(state) as slipway:
        assert [one.name for one in slipway.list()] == ["one"]


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def no_database(path: Path) -> None:
    path.write_text("no database\n" * 100)


def of_others(path: Path) -> None:
    path.unlink()
    sql(path, "CREATE TABLE mine (x)")


def newer(path: Path) -> None:
    sql(path, f"UPDATE meta SET schema_version = {SCHEMA_VERSION + 1}")


def two_numbers(path: Path) -> None:
    sql(path, "INSERT INTO meta SELECT * FROM meta")


def damaged(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[8192:40960] = b"\xff" * (40960 - 8192)
    path.write_bytes(content)


BAD: dict[str, tuple[Callable[[Path], object], type[errors.SlipwayError], str]] = {
    "not there": (Path.unlink, errors.BackupRefused, "there is no such file"),
    "a directory": (directory, errors.BackupRefused, "it is no file"),
    "no database": (no_database, errors.BackupRefused, "it is no backup of Slipway's: file is not a database"),
    "empty": (lambda path: path.write_bytes(b""), errors.BackupRefused, "there is no record in it"),
    "others'": (of_others, errors.BackupRefused, "there is no record in it"),
    "cut off": (lambda path: os.truncate(path, 20000), errors.BackupRefused, "damaged|no backup"),
    "damaged": (damaged, errors.BackupRefused, "damaged|no backup"),
    "of no version": (two_numbers, errors.BackupRefused, "there is no record in it"),
    "newer": (newer, errors.DatabaseTooNew, "written by a newer Slipway"),
}


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("name", BAD)
def test_what_is_no_record_is_not_put_back(name: str, force: bool, state: Path, tmp_path: Path) -> None:
    change, kind, why = BAD[name]
    change(tmp_path / "one.db")
    before = everything(state)
    with pytest.raises(kind, match=rf"one.db: .*({why})"):
        put_back(tmp_path / "one.db", url_of(state), now=NOW, force=force)
    assert everything(state) == before


def test_a_database_of_others_is_never_replaced(state: Path, tmp_path: Path) -> None:
    of_others(state / "slipway.db")
    with pytest.raises(errors.BackupRefused, match="what is there is no record of Slipway's"):
        put_back(tmp_path / "one.db", url_of(state), now=NOW, force=True)
    with pytest.raises(errors.BackupRefused, match="this is the database itself"):
        put_back(state / "slipway.db", url_of(state), now=NOW, force=True)
    with closing(sqlite3.connect(state / "slipway.db")) as database:
        assert database.execute("SELECT name FROM sqlite_master").fetchall() == [("mine",)]


@pytest.mark.parametrize("force", [False, True])
def test_nothing_is_put_back_while_somebody_has_the_database_open(force: bool, state: Path, tmp_path: Path) -> None:
    with Orchestrator(state) as slipway:
        slipway.list()
        with pytest.raises(errors.BackupRefused, match="another process has it open"):
            put_back(tmp_path / "one.db", url_of(state), now=NOW, force=force)
        assert [one.name for one in slipway.list()] == ["one", "two"]
    put_back(tmp_path / "one.db", url_of(state), now=NOW, force=force)


def test_what_is_not_at_rest_is_finished_first(state: Path, tmp_path: Path) -> None:
    with (
        Faults(Fault("spawn", Mode.ERROR, raises=KeyboardInterrupt)).orchestrator(state) as slipway,
        pytest.raises(KeyboardInterrupt),
    ):
        slipway.run(file("one", "two", "three"))
    before = names(state / "slipway.db")
    with pytest.raises(errors.BackupRefused, match=r"three is not at rest, .* `slipway resume` finishes it"):
        put_back(tmp_path / "one.db", url_of(state), now=NOW)
    assert names(state / "slipway.db") == before
    with Orchestrator(state) as slipway:
        slipway.backup(tmp_path / "three.db")
    put_back(tmp_path / "one.db", url_of(state), now=NOW, force=True)
    restored = put_back(tmp_path / "three.db", url_of(state), now=NOW.replace(year=2027))
    assert restored.unfinished == ("three",)
    with Orchestrator(state) as slipway:
        assert [str(one.status) for one in slipway.resume()] == ["resumed"]
        assert slipway.audit() == ()


def test_another_installations_record_is_put_back_on_purpose_only(state: Path, tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'theirs.db'}")
    store.close()
    with pytest.raises(errors.BackupRefused, match=f"another installation's .* than the backup .{store.installation}"):
        put_back(tmp_path / "theirs.db", url_of(state), now=NOW)
    put_back(tmp_path / "theirs.db", url_of(state), now=NOW, force=True)
    with Orchestrator(state) as slipway:
        assert slipway.list() == []


def test_an_older_schema_is_put_back_and_brought_up_to_date(tmp_path: Path) -> None:
    state = older.put("schema3", tmp_path)
    copy = (state / "slipway.db").rename(tmp_path / "old.db")
    put_back(copy, url_of(state), now=NOW)
    with Orchestrator(state) as slipway:
        assert slipway.stop("active").vm_state == "STOPPED"


# --- the commands -------------------------------------------------------------------------------------------------


def test_the_commands(tmp_path: Path) -> None:
    state, run_file = tmp_path / "state", tmp_path / "f.yaml"

    def slipway(*words: str, code: int = 0) -> Any:
        command = [str(Path(sys.executable).with_name("slipway")), *words, "--state", str(state)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout) if "json" in words else done.stdout + done.stderr

    copy = str(tmp_path / "monday.db")
    assert "there is no state directory" in slipway("backup", copy, code=1)
    run_file.write_text(text("one"))
    slipway("run", str(run_file))
    assert slipway("backup", copy) == f"the record is in {copy}\n"
    assert "--force replaces it" in slipway("backup", copy, code=1)
    made = slipway("backup", copy, "--force", "--output", "json")
    assert made == {"file": copy, "size": Path(copy).stat().st_size}
    assert slipway("restore", copy).splitlines()[0] == f"restored {copy}: 1 instance on record"
    run_file.write_text(text("one", "two"))
    slipway("run", str(run_file))
    said = slipway("restore", copy, "--output", "json", code=5)
    assert (said["instances"], said["unfinished"]) == (1, [])
    assert {(each["difference"], each["kind"]) for each in said["findings"]} == {
        ("orphaned", kind) for kind in ("definition", "disk", "domain")
    }
    run_file.write_text(text("one", "three"))
    assert "machines are there that are ours and not on record" in slipway("run", str(run_file), code=1)
    slipway("restore", said["kept"])
    slipway("run", str(run_file))
    assert [each["name"] for each in slipway("list", "--output", "json")] == ["one", "three", "two"]
    moved = tmp_path / "moved"
    state.rename(moved)
    slipway("restore", copy, code=5)
    assert "host a belongs to state directory" in slipway("delete", "one", code=1)
    slipway("host", "take", "a")
    assert "missing" in slipway("audit", code=5)
