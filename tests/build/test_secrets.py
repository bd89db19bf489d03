"""What of a request is secret is nowhere in the state directory once its build ended, whoever has the database open."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from slipway import Orchestrator
from slipway.runfile import RunFile, loads
from slipway.states.schema import metadata
from slipway.states.store import Store
from slipway.states.urls import sqlite_url
from slipway.testing import Fault, Faults, crashed
from tests import record
from tests.waiting import until

of_files = pytest.mark.sqlite("looks for secrets in the files of a state directory; rows are looked at on both")

SECRET = "TOPSECRET-" + "x" * 20_000
"""As long as several pages of the database."""
FILE = """
schema: 1
hosts:
  node-1: {vcpus: 99, memory: 99GiB, disk: 999GiB, compute: sim}
networks: {net: {subnets: {sub: {cidr: 10.0.0.0/24}}}}
flavors: {s: {vcpus: 1, memory: 512MiB, disk: 2GiB}}
images: {i: {kernel: ./k}}
instances:
  web:
    flavor: s
    image: i
    networks: [net]
    user_data: "password SECRET"
    files: {/etc/secret: {content: "and SECRET"}}
    count: %d
"""


def file(*, count: int = 1) -> RunFile:
    return loads((FILE % count).replace("SECRET", SECRET), "secrets.yaml")


def leaks(place: Path) -> list[str]:
    return [str(p.relative_to(place)) for p in place.rglob("*") if p.is_file() and b"TOPSECRET" in p.read_bytes()]


def telling(db: Path) -> set[str]:
    """The tables that have it in a row."""
    with closing(record.opened(db)) as connection:
        rows = {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in metadata.tables}
    return {name for name, every in rows.items() if "TOPSECRET" in str(every)}


@pytest.fixture(params=["in the state directory", "elsewhere"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / ("state/slipway.db" if request.param == "in the state directory" else "elsewhere.db")


@pytest.fixture(params=["a reader", "slipway watch"])
def held(request: pytest.FixtureRequest, db: Path, tmp_path: Path) -> Iterator[None]:
    """Another process has the database open, and has read in it."""
    with orchestrator(tmp_path, db) as slipway:
        slipway.run(loads((FILE % 1).partition("instances:")[0], "none.yaml"))
    if request.param == "a reader":
        code = (
            f"import sqlite3; c = sqlite3.connect({str(db)!r}); c.execute('SELECT * FROM instances').fetchall();"
            "print('open', flush=True); input()"
        )
        command = [sys.executable, "-c", code]
    else:
        main = "from slipway.cli.main import main; main(prog_name='slipway')"
        command = [sys.executable, "-c", main, "watch", "--state", str(tmp_path / "state"), "--db", sqlite_url(db)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        if request.param == "a reader":
            assert process.stdout is not None
            assert process.stdout.readline() == "open\n"
        else:
            until(lambda: f"{db}-shm" in Path(f"/proc/{process.pid}/maps").read_text(), "watch has opened it")
        yield
        assert process.poll() is None
    finally:
        process.kill()
        process.communicate()


def orchestrator(tmp_path: Path, db: Path, **more: Any) -> Orchestrator:
    (tmp_path / "state").mkdir(mode=0o700, exist_ok=True)
    return Orchestrator(tmp_path / "state", db=sqlite_url(db), **more)


@pytest.mark.parametrize("fault", [None, "spawn:error:0"])
def test_no_row_has_it_after_a_build(fault: str | None, tmp_path: Path) -> None:
    db = tmp_path / "state" / "slipway.db"
    during: set[str] = set()
    faults = Faults(*([Fault.parse(fault)] if fault else []))
    with orchestrator(tmp_path, db, store=faults.store, drivers=faults.drivers) as slipway:
        slipway.run(file(), on_event=lambda _event: during.update(telling(db)))
        assert (during, telling(db)) == ({"instances"}, set())


@of_files
@pytest.mark.usefixtures("held")
def test_after_a_build(tmp_path: Path, db: Path) -> None:
    during: set[str] = set()
    with orchestrator(tmp_path, db) as slipway:
        ended = slipway.run(file(), on_event=lambda _event: during.update(leaks(tmp_path))).ended
        assert [one.status for one in ended] == ["built"]
        assert leaks(tmp_path) == []
    # Seen by what looks for it; while it is built it must be on record.
    assert f"{db.relative_to(tmp_path)}-wal" in during


@of_files
@pytest.mark.usefixtures("held")
def test_after_a_build_that_failed(tmp_path: Path, db: Path) -> None:
    faults = Faults(Fault.parse("spawn:error:0"))
    with orchestrator(tmp_path, db, store=faults.store, drivers=faults.drivers) as slipway:
        assert [one.status for one in slipway.run(file()).ended] == ["failed"]
        assert leaks(tmp_path) == []


@of_files
@pytest.mark.usefixtures("held")
def test_after_a_delete_in_the_middle_of_a_build(tmp_path: Path, db: Path) -> None:
    with orchestrator(tmp_path, db) as slipway:

        def delete(event: Any) -> None:
            if event.type == "step.start" and event.step == "spawn":
                slipway.delete("web-1")

        slipway.run(file(), on_event=delete)
        assert slipway.list() == []
        assert leaks(tmp_path) == []


@of_files
@pytest.mark.usefixtures("held")
@pytest.mark.parametrize("after", ["resume", "delete"])
def test_after_a_crash(after: str, tmp_path: Path, db: Path) -> None:
    def build() -> None:
        faults = Faults(Fault.parse("spawn:crash_after:0"))
        with orchestrator(tmp_path, db, store=faults.store, drivers=faults.drivers) as slipway:
            slipway.run(file())

    assert crashed(build)
    assert leaks(tmp_path) != []
    with orchestrator(tmp_path, db) as slipway:
        if after == "resume":
            assert [one.status for one in slipway.resume()] == ["resumed"]
        else:
            slipway.delete("web-1")
        assert leaks(tmp_path) == []


@of_files
@pytest.mark.usefixtures("held")
def test_after_a_kill_at_the_very_end(tmp_path: Path, db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def build() -> None:
        monkeypatch.setattr(Store, "scrub", lambda _store: os.kill(os.getpid(), signal.SIGKILL))
        with orchestrator(tmp_path, db) as slipway:
            slipway.run(file())

    assert crashed(build)
    assert leaks(tmp_path) != []
    with orchestrator(tmp_path, db) as slipway:
        assert slipway.resume() == ()
        assert leaks(tmp_path) == []


@of_files
def test_beside_many_builds_and_readers(tmp_path: Path) -> None:
    db = tmp_path / "state" / "slipway.db"
    over = threading.Event()
    with orchestrator(tmp_path, db) as slipway, ThreadPoolExecutor(12) as pool:

        def read() -> None:
            while not over.is_set():
                assert slipway.list() is not None

        readers = [pool.submit(read) for _ in range(4)]
        ended = slipway.run(file(count=12), executor=pool).ended
        over.set()
        for reader in readers:
            reader.result()
        assert {one.status for one in ended} == {"built"}
        slipway.delete("web-1")
        assert leaks(tmp_path) == []


@of_files
def test_a_reader_that_takes_long_delays_it_and_no_more(tmp_path: Path) -> None:
    """What it reads must be there until it has read it. Then the next commit, or the end, has it gone."""
    db = tmp_path / "state" / "slipway.db"
    ends: dict[str, Callable[[Orchestrator], object]] = {
        "the next commit": lambda slipway: slipway.network.create_network(name="x"),
        "the end": lambda slipway: slipway.close(),
    }
    for number, end in enumerate(ends.values()):
        with orchestrator(tmp_path, db) as slipway:
            slipway.list()
            connection = record.opened(db, isolation_level=None)
            connection.execute("BEGIN")
            connection.execute("SELECT * FROM hosts").fetchall()
            began = time.monotonic()
            slipway.run(loads((FILE % 1).replace("SECRET", SECRET).replace("web", f"web{number}"), "x.yaml"))
            assert time.monotonic() - began < 20
            assert leaks(tmp_path) != []
            connection.execute("ROLLBACK")
            end(slipway)
            assert leaks(tmp_path) == []
            connection.close()
