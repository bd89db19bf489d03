"""The database's file: whose it is, who may read it, and what is said when it cannot be used."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from slipway import Orchestrator, errors
from slipway.runfile import loads
from slipway.states.schema import SCHEMA_VERSION
from slipway.states.store import Store
from slipway.states.urls import sqlite_url
from tests import record

SECRET = "TOPSECRET"
FILE = loads(
    f"""
schema: 1
hosts: {{node-1: {{vcpus: 8, memory: 16GiB, disk: 100GiB, compute: sim}}}}
networks: {{net: {{subnets: {{sub: {{cidr: 10.0.0.0/24}}}}}}}}
flavors: {{s: {{vcpus: 1, memory: 512MiB, disk: 2GiB}}}}
images: {{i: {{kernel: ./k}}}}
instances: {{web: {{flavor: s, image: i, networks: [net], user_data: "password {SECRET}"}}}}
""",
    "places.yaml",
)
FOREIGN = 54321
of_files = pytest.mark.sqlite("is about the database's file: whose it is, and what is said when it cannot be used")
root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


def modes(directory: Path) -> dict[str, int]:
    """Of all files and directories in it."""
    return {
        str(path.relative_to(directory)): stat.S_IMODE(path.stat().st_mode) for path in sorted(directory.rglob("*"))
    }


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@of_files
@pytest.mark.parametrize("there", ["new", "0755", "files at 0644"])
@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.usefixtures("umask")
def test_nobody_else_reads_what_a_build_has(there: str, elsewhere: bool, tmp_path: Path) -> None:
    state, other = tmp_path / "state", tmp_path / "other"
    for directory in (other,) if there == "new" else (state, other):
        directory.mkdir()
        directory.chmod(0o755)
    db = other / "mine.db" if elsewhere else state / "slipway.db"
    if there == "files at 0644":
        Orchestrator(state, db=sqlite_url(db)).close()
        connection = sqlite3.connect(db)
        connection.execute("CREATE TABLE keeps (it INTEGER)")
        connection.commit()
        for suffix in ("", "-wal", "-shm"):
            Path(f"{db}{suffix}").touch()
            Path(f"{db}{suffix}").chmod(0o644)
    seen: dict[str, int] = {}
    with Orchestrator(state, db=sqlite_url(db) if elsewhere else None) as slipway:
        slipway.run(FILE, on_event=lambda _event: seen.update({**modes(state), **modes(other)}))
    assert {name.rpartition("-")[2] for name in seen} >= {"wal", "shm", db.name}
    assert {name: oct(mode) for name, mode in seen.items() if mode & 0o077} == {}
    assert there != "new" or stat.S_IMODE(state.stat().st_mode) == 0o700


def test_a_directory_in_which_others_may_write_is_refused(tmp_path: Path) -> None:
    for mode, refused in ((0o777, True), (0o770, True), (0o1777, False), (0o755, False)):
        state = tmp_path / oct(mode)
        state.mkdir()
        state.chmod(mode)
        if refused:
            for db in (None, sqlite_url(state / "x.db")):
                with pytest.raises(errors.DatabaseUnsafe, match=f"`chmod go-w {state}`"):
                    Orchestrator(state if db is None else tmp_path / "s", db=db)
            assert list(state.iterdir()) == []
        else:
            Orchestrator(state).close()


@root
@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal"])
def test_a_file_of_another_user_is_refused(suffix: str, tmp_path: Path) -> None:
    db = tmp_path / "slipway.db"
    Store(sqlite_url(db)).close()
    Path(f"{db}{suffix}").touch()
    os.chown(f"{db}{suffix}", FOREIGN, FOREIGN)
    content = Path(f"{db}{suffix}").read_bytes()
    for make in (True, False):
        with pytest.raises(errors.DatabaseUnsafe, match=f"{db}{suffix}: it belongs to user {FOREIGN}"):
            Store(sqlite_url(db), make=make)
    assert Path(f"{db}{suffix}").read_bytes() == content


@root
def test_a_directory_of_another_user_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    os.chown(state, FOREIGN, FOREIGN)
    with pytest.raises(errors.DatabaseUnsafe, match=f"{state}: the directory belongs to user {FOREIGN}"):
        Orchestrator(state)
    with pytest.raises(errors.DatabaseUnsafe, match=f"{state}: the directory belongs to user {FOREIGN}"):
        Store(sqlite_url(state / "x.db"))
    assert list(state.iterdir()) == []


@root
def test_a_link_that_another_user_has_put_there_is_refused(tmp_path: Path) -> None:
    target, link = tmp_path / "target.db", tmp_path / "slipway.db"
    Store(sqlite_url(target)).close()
    link.symlink_to(target)
    Store(sqlite_url(link)).close()
    os.chown(link, FOREIGN, FOREIGN, follow_symlinks=False)
    with pytest.raises(errors.DatabaseUnsafe, match=f"{link}: it belongs to user {FOREIGN}"):
        Store(sqlite_url(link))


@of_files
def test_an_open_database_keeps_its_locks_when_it_is_opened_again(tmp_path: Path) -> None:
    """A close of any descriptor of the file would end all locks that this process has on it."""
    url = sqlite_url(tmp_path / "slipway.db")
    first = Store(url)
    with first.write():
        Store(url).close()
        code = (
            f"import sqlite3; sqlite3.connect({str(tmp_path / 'slipway.db')!r}, timeout=0).execute('BEGIN IMMEDIATE')"
        )
        said = subprocess.run(["python3", "-c", code], capture_output=True, text=True, check=False)
        assert "database is locked" in said.stderr


@pytest.mark.parametrize("name", ["a b", "a?b", "a%20b", "50%", "a#b", "ä", "a@b:c"])
def test_a_state_directory_has_any_name(name: str, tmp_path: Path) -> None:
    with Orchestrator(tmp_path / name) as slipway:
        assert slipway.list() == []
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name / "slipway.db").is_file()


# --- file systems -------------------------------------------------------------------------------------------------

BIN = "/bin:/sbin:/usr/bin:/usr/sbin"
MOUNT, UMOUNT = shutil.which("mount", path=BIN), shutil.which("umount", path=BIN)


def mount(*words: str) -> None:
    subprocess.run([str(MOUNT), *words], check=True, capture_output=True)


@pytest.fixture
def built(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with a state directory in which an instance was built."""
    place = tmp_path / "place"
    place.mkdir()
    try:
        mount("-t", "tmpfs", "-o", "size=20m,mode=0700", "slipway-test", str(place))
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no right to mount a tmpfs: {error}")
    with Orchestrator(place / "state") as slipway:
        slipway.run(FILE)
    yield place
    subprocess.run([str(UMOUNT), "--lazy", str(place)], check=True)


def look(state: Path) -> None:
    with Orchestrator(state, store=lambda url: Store(url, make=False)) as slipway:
        assert [one.vm_state for one in slipway.list()] == ["ACTIVE"]
        assert slipway.show("web").claim
        assert slipway.addresses("web").nics
        assert slipway.audit() == ()
        assert len(slipway.network.list_ports()) == 1


def refuse(state: Path, error: type[errors.StoreError], match: str) -> None:
    with Orchestrator(state, store=lambda url: Store(url, make=False)) as slipway:
        for act in (
            lambda: slipway.delete("web"),
            lambda: slipway.network.create_network(name="x"),
            lambda: slipway.run(FILE),
        ):
            with pytest.raises(error, match=match):
                act()


@of_files
def test_a_read_only_state_is_looked_at(built: Path) -> None:
    mount("-o", "remount,ro", str(built))
    look(built / "state")
    refuse(built / "state", errors.DatabaseReadOnly, "its file system is read-only; `list`, `show`")


def test_a_read_only_state_is_looked_at_while_a_build_goes_on_elsewhere(built: Path, tmp_path: Path) -> None:
    view = tmp_path / "view"
    view.mkdir()
    mount("--bind", str(built), str(view))
    mount("-o", "remount,ro,bind", str(view))
    try:
        with Orchestrator(built / "state") as slipway:
            slipway.stop("web")
            with Orchestrator(view / "state", store=lambda url: Store(url, make=False)) as looking:
                assert [one.vm_state for one in looking.list()] == ["STOPPED"]
                slipway.start("web")
                assert [one.vm_state for one in looking.list()] == ["ACTIVE"]
        look(view / "state")
    finally:
        subprocess.run([str(UMOUNT), "--lazy", str(view)], check=True)


@of_files
def test_a_log_that_cannot_be_read_is_said(built: Path, tmp_path: Path) -> None:
    with Orchestrator(built / "state") as slipway:
        slipway.stop("web")
        shutil.copytree(built / "state", built / "copy", ignore=shutil.ignore_patterns("*-shm"))
    mount("-o", "remount,ro", str(built))
    with pytest.raises(errors.DatabaseReadOnly, match=r"its last changes are in .*-wal"):
        Orchestrator(built / "copy")
    shutil.copytree(built / "copy", tmp_path / "copy")
    with Orchestrator(tmp_path / "copy") as slipway:
        assert [one.vm_state for one in slipway.list()] == ["STOPPED"]


def fill(place: Path) -> None:
    """Write until nothing more can be written."""
    with (place / "filler").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4096)


@of_files
def test_a_full_disk_is_said_whatever_sqlite_calls_it(built: Path) -> None:
    fill(built)
    with (
        pytest.raises(errors.DatabaseFull, match="no space is left on its disk"),
        Orchestrator(built / "state") as slipway,
    ):
        slipway.delete("web")
    with pytest.raises(errors.DatabaseFull, match="no space is left on its disk"):
        Orchestrator(built / "new" / "state", db=sqlite_url(built / "new.db"))
    (built / "filler").unlink()
    look(built / "state")


# --- a record that was damaged ------------------------------------------------------------------------------------


@pytest.fixture
def state(tmp_path: Path) -> Path:
    with Orchestrator(tmp_path / "state") as slipway:
        slipway.run(FILE)
    return tmp_path / "state"


def sql(*statements: str) -> Callable[[Path], None]:
    def change(db: Path) -> None:
        connection = record.opened(db)
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        connection.close()

    return change


def cut(size: int) -> Callable[[Path], None]:
    return lambda db: os.truncate(db, size)


def write(content: bytes) -> Callable[[Path], object]:
    return lambda db: db.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        pytest.param(cut(100), "not a database|malformed", marks=of_files),
        pytest.param(cut(5000), "malformed", marks=of_files),
        pytest.param(write(b"no database\n" * 1000), "not a database", marks=of_files),
        pytest.param(write(b"\xff\xfe" * 4096), "not a database", marks=of_files),
        (sql("DROP TABLE meta"), "there is no record of Slipway's"),
        (sql("DELETE FROM meta"), "no schema's number is on record"),
        (sql("UPDATE meta SET schema_version = 0"), "schema 0 is on record"),
        (sql("UPDATE meta SET schema_version = -1"), "schema -1 is on record"),
        # PostgreSQL refuses it.
        pytest.param(sql("UPDATE meta SET schema_version = 'one'"), "schema 'one' is on record", marks=of_files),
        (sql("INSERT INTO meta SELECT * FROM meta"), f"schema {SCHEMA_VERSION}, schema {SCHEMA_VERSION} is on record"),
        (sql("DROP TABLE meta", "CREATE TABLE meta (x INTEGER)"), "no such column: |column .* does not exist"),
        (sql("ALTER TABLE instances RENAME TO x"), "no such table: instances|relation .instances. does not exist"),
        (
            sql("ALTER TABLE instances DROP COLUMN attempt"),
            r"no such column: instances\.attempt|column instances\.attempt does not exist",
        ),
    ],
)
def test_a_damaged_record_is_said_to_be_one(damage: Callable[[Path], object], why: str, state: Path) -> None:
    damage(state / "slipway.db")
    kind = errors.DatabaseUnavailable if "there is no record" in why else errors.DatabaseDamaged
    with (
        pytest.raises(kind, match=why) as caught,
        Orchestrator(state, store=lambda url: Store(url, make=False)) as slipway,
    ):
        slipway.list()
    assert "\n" not in str(caught.value)
