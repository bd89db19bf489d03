"""The drill's own auditor on worlds with known differences: it finds each of them, and nothing in a sound world."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from slipway.drill.auditor import audit
from slipway.drill.bench import Bench, Plan
from slipway.drill.explore import BUILT, READY, explore
from slipway.drill.things import look
from slipway.runfile import RunFile

SECRET = "drill-secret-00000000"


@dataclass(frozen=True)
class Worlds:
    """Where the world before the build is, and the one after it."""

    ready: Path
    built: Path


@pytest.fixture(scope="module")
def worlds(one_host: RunFile, tmp_path_factory: pytest.TempPathFactory) -> Worlds:
    directory = tmp_path_factory.mktemp("worlds")
    bench = Bench(Plan(one_host), directory / "bench")
    try:
        explore(bench, directory / "templates")
    finally:
        bench.close()
    return Worlds(directory / "templates" / READY, directory / "templates" / BUILT)


@pytest.fixture
def built(worlds: Worlds, tmp_path: Path) -> Path:
    return Path(shutil.copytree(worlds.built, tmp_path / "state"))


def sql(state: Path, statement: str) -> None:
    with closing(sqlite3.connect(state / "slipway.db")) as db:
        db.execute("PRAGMA foreign_keys = OFF")
        assert db.execute(statement).rowcount > 0
        db.commit()


def ours(state: Path, kind: str) -> Path:
    """A file of this kind that the drilled instance has."""
    with closing(sqlite3.connect(state / "slipway.db")) as db:
        (instance_id,) = db.execute("SELECT id FROM instances WHERE name = 'web-1'").fetchone()
    found = [p for p in state.glob(f"{kind}/**/*") if p.is_file() and instance_id in p.name + p.read_text()]
    return found[0]


def domain_with(**changes: object) -> Callable[[Path], None]:
    def change(state: Path) -> None:
        file = ours(state, "world/node-1/domains")
        file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))

    return change


def remove(kind: str) -> Callable[[Path], None]:
    return lambda state: ours(state, kind).unlink()


def execute(statement: str) -> Callable[[Path], None]:
    return lambda state: sql(state, statement)


def write(path: str, text: str) -> Callable[[Path], object]:
    def change(state: Path) -> None:
        (state / path).parent.mkdir(parents=True, exist_ok=True)
        (state / path).write_text(text)

    return change


WEB = "(SELECT id FROM instances WHERE name = 'web-1')"
NEIGHBOUR = "(SELECT id FROM instances WHERE name = 'drill-neighbour')"

DIFFERENCES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "left in a phase": ("A1", execute("UPDATE instances SET task_state = 'SPAWNING' WHERE name = 'web-1'")),
    "no domain": ("A3", remove("world/node-1/domains")),
    "domain is stopped": ("A3", domain_with(state="shutdown")),
    "domain has another MAC": ("A2", domain_with(macs=["fa:16:3e:00:00:01", "fa:16:3e:00:00:02"])),
    "one disk less": ("A3", remove("world/node-1/disks")),
    "one tap less": ("A3", remove("world/node-1/taps")),
    "no definition": ("A3", remove("instances/node-1")),
    "a file of nobody's": ("A2", write("world/node-1/disks/nobody-0.json", "{}")),
    "a temporary file": ("A2", write("instances/node-1/half.xml.tmp", "<dom")),
    "an orphan port": ("A2", execute(f"UPDATE ports SET device_id = 'gone' WHERE device_id = {WEB} AND name = ''")),
    "a port unbound": ("A3", execute(f"UPDATE ports SET binding_host_id = '' WHERE device_id = {WEB}")),
    "no claim": ("A3", execute(f"DELETE FROM claims WHERE instance_id = {WEB}")),
    "claim and counter differ": ("A5", execute("UPDATE hosts SET vcpus_used = vcpus_used + 1 WHERE name = 'node-1'")),
    "memory counted twice": ("A5", execute("UPDATE hosts SET memory_used = memory_used * 2 WHERE name = 'node-1'")),
    "a quota too high": ("A5", execute("UPDATE quotas SET used = used + 1 WHERE resource = 'port'")),
    "an address lost": ("A11", execute("DELETE FROM free_ranges")),
    "effect intended for ever": ("A2", execute("UPDATE effects SET state = 'intended' WHERE kind = 'disk'")),
    "effect stuck": ("A3", execute("UPDATE effects SET state = 'stuck' WHERE kind = 'domain'")),
    "error with all of it left": ("A3", execute("UPDATE instances SET vm_state = 'ERROR' WHERE name = 'web-1'")),
    "deleted with all of it left": ("A3", execute("UPDATE instances SET vm_state = 'DELETED' WHERE name = 'web-1'")),
    "neighbour's port touched": ("A8", execute(f"UPDATE ports SET status = 'DOWN!' WHERE device_id = {NEIGHBOUR}")),
    "neighbour's claim gone": ("A8", execute(f"DELETE FROM claims WHERE instance_id = {NEIGHBOUR}")),
    "address of the port brought along": ("A8", execute("DELETE FROM allocations WHERE address = '0a00004d'")),
    "port brought along is renamed": ("A8", execute("UPDATE ports SET mac_address = '0' WHERE name = 'mine'")),
    "secret in a file": ("A10", write("world/node-1/log", SECRET)),
    "secret in the ledger": ("A10", execute(f"UPDATE effects SET error = 'x {SECRET} y' WHERE kind = 'disk'")),
    "secret in the history": ("A10", execute(f"UPDATE events SET detail = '{SECRET}' WHERE type = 'instance.claim'")),
}


def test_a_sound_world_has_no_problems(worlds: Worlds) -> None:
    before = look(worlds.ready)
    assert audit(look(worlds.built), before, secret=SECRET) == []
    assert audit(before, before, secret=SECRET) == []


@pytest.mark.parametrize("name", DIFFERENCES)
def test_a_known_difference_is_found(name: str, built: Path, worlds: Worlds) -> None:
    invariant, change = DIFFERENCES[name]
    change(built)
    found = audit(look(built), look(worlds.ready), secret=SECRET)
    assert invariant in {problem.invariant for problem in found}, [str(problem) for problem in found]


def test_the_first_error_is_compared_with_the_history(built: Path, worlds: Worlds) -> None:
    fault = json.dumps({"step": "spawn", "type": "CleanUpError", "message": "could not clean up"})
    sql(built, f"UPDATE instances SET vm_state = 'ERROR', fault = '{fault}' WHERE name = 'web-1'")
    sql(
        built,
        "UPDATE events SET type = 'instance.fail', detail = 'spawn: ComputeError: no' WHERE type = 'instance.finish'",
    )
    found = [problem for problem in audit(look(built), look(worlds.ready)) if problem.invariant == "A6"]
    # The neighbour's row was changed as well, and is not ours to judge.
    assert len(found) == 1
    assert "CleanUpError" in found[0].text


def test_what_is_stuck_may_be_there(built: Path, worlds: Worlds) -> None:
    sql(built, "UPDATE instances SET vm_state = 'ERROR' WHERE name = 'web-1'")
    sql(built, "UPDATE effects SET state = 'stuck' WHERE kind NOT IN ('placement', 'allocation', 'launch')")
    assert audit(look(built), look(worlds.ready)) == []


def test_a_taken_address_is_not_free(built: Path, worlds: Worlds) -> None:
    sql(built, "UPDATE free_ranges SET first = '0a010001' WHERE first LIKE '0a01%'")
    found = {problem.invariant for problem in audit(look(built), look(worlds.ready))}
    assert "A4" in found


def test_the_log_is_searched_for_the_secret(worlds: Worlds) -> None:
    found = audit(look(worlds.built), look(worlds.ready), secret=SECRET, log=f"creating {SECRET}")
    assert [str(problem) for problem in found] == ["A10: the secret is in the log"]


def test_the_secret_is_the_plans(one_host: RunFile) -> None:
    assert Plan(one_host).secret == SECRET
