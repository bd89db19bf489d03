"""Nothing is built beside machines that the record has lost: an older database, or none, where the world is full."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from slipway import Orchestrator, errors
from slipway.operations.audit import Difference
from slipway.runfile import RunFile, loads
from slipway.testing import Call, Faults
from tests import record

FILE = """
schema: 1
hosts:
  a: {{vcpus: 8, memory: 16GiB, disk: 100GiB, {a}}}
  b: {{vcpus: 8, memory: 16GiB, disk: 100GiB{b}}}
networks: {{net: {{subnets: {{v4: {{cidr: 10.0.0.0/24}}}}}}}}
flavors: {{s: {{vcpus: 1, memory: 512MiB, disk: 2GiB}}}}
images: {{i: {{kernel: ./k}}}}
instances: {{{instances}}}
"""


def text(*names: str, a: str = "enabled: true", b: str = "") -> str:
    instances = ", ".join(f"{name}: {{flavor: s, image: i, networks: [net]}}" for name in names)
    return FILE.format(instances=instances, a=a, b=b)


def file(*names: str, a: str = "enabled: true", b: str = "") -> RunFile:
    return loads(text(*names, a=a, b=b), "f.yaml")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Two instances, and a copy of the database from before the second one."""
    state = tmp_path / "state"
    with Orchestrator(state) as slipway:
        slipway.run(file("one"))
    copy(state, tmp_path / "older.db")
    with Orchestrator(state) as slipway:
        slipway.run(file("one", "two"))
    return state


def copy(state: Path, to: Path) -> None:
    assert not (state / "slipway.db-wal").exists() or not (state / "slipway.db-wal").stat().st_size
    record.copy_file(state / "slipway.db", to)


def put_back(state: Path) -> None:
    record.copy_file(state.parent / "older.db", state / "slipway.db")


def lose(state: Path) -> None:
    (state / "slipway.db").unlink()


def id_of(state: Path, name: str) -> str:
    with Orchestrator(state) as slipway:
        return slipway.show(name).instance.id


def test_an_older_database_that_was_put_back_builds_nothing(state: Path) -> None:
    second = id_of(state, "two")
    put_back(state)
    with Orchestrator(state) as slipway:
        before = slipway.list(), slipway.network.list_ports(), slipway.hosts()
        with pytest.raises(errors.WorldUnrecorded) as why:
            slipway.run(file("one", "three"))
        assert f"definition {second} on " in str(why.value)
        assert f"domain {second} on " in str(why.value)
        assert f"disk 0 of {second} on " in str(why.value)
        for advice in ("slipway audit", "slipway restore FILE", "docs/backup.md"):
            assert advice in str(why.value)
        assert (slipway.list(), slipway.network.list_ports(), slipway.hosts()) == before
        assert {each.instance_id for each in slipway.audit() if each.difference is Difference.ORPHANED} == {second}


def test_what_is_as_the_file_says_is_no_reason_to_look(state: Path) -> None:
    put_back(state)
    seen: list[str] = []

    def listen(call: Call) -> None:
        seen.append(call.name)

    with Faults(on_call=listen).orchestrator(state) as slipway:
        assert [str(one.status) for one in slipway.run(file("one"), repair=False).ended] == ["unchanged"]
    assert "list_domains" not in seen


def test_a_build_goes_on_once_it_is_removed(state: Path) -> None:
    second = id_of(state, "two")
    put_back(state)
    for path in [*state.rglob(f"{second}*")]:
        path.unlink()
    with Orchestrator(state) as slipway:
        assert [str(one.status) for one in slipway.run(file("one", "three")).ended] == ["unchanged", "built"]
        assert slipway.audit() == ()


@pytest.mark.parametrize(
    "left", [lambda at: at.glob("world/*/domains/*.json"), lambda at: at.glob("world/*/disks/*.json")]
)
def test_a_part_of_a_machine_is_enough(left: Callable[[Path], object], state: Path) -> None:
    second = id_of(state, "two")
    put_back(state)
    kept = {str(path) for path in left(state)}  # type: ignore[attr-defined]
    for path in [*state.rglob(f"{second}*")]:
        if str(path) not in kept:
            path.unlink()
    with Orchestrator(state) as slipway, pytest.raises(errors.WorldUnrecorded, match=second):
        slipway.run(file("one", "three"))


def test_a_lost_database_is_said_to_be(state: Path) -> None:
    lose(state)
    with Orchestrator(state) as slipway:
        assert slipway.began_beside == ("world", "instances")
        with pytest.raises(
            errors.WorldUnrecorded, match=r"^the record has no instance yet, but machines of an earlier"
        ):
            slipway.run(file("one"))
        assert (slipway.list(), slipway.hosts()) == ([], [])
    with Orchestrator(state) as slipway:
        assert slipway.began_beside == ()
        with pytest.raises(errors.WorldUnrecorded, match="no instance yet"):
            slipway.run(file("one"))


def test_a_first_run_begins_in_silence(tmp_path: Path) -> None:
    with Orchestrator(tmp_path) as slipway:
        assert slipway.began_beside == ()
        slipway.run(file("one"))


def test_hosts_that_the_file_does_not_name_are_looked_at_as_well(state: Path) -> None:
    second = id_of(state, "two")
    put_back(state)
    only_b = loads(text("three").replace("  a: ", "  c: "), "other.yaml")
    with Orchestrator(state) as slipway, pytest.raises(errors.WorldUnrecorded, match=second):
        slipway.run(only_b)


def test_who_cannot_be_asked_keeps_nobody_from_building(state: Path) -> None:
    put_back(state)
    silent = "enabled: false, simulate: {fail: [list_domains, list_definitions, list_disks]}"
    with Orchestrator(state) as slipway:
        slipway.run(file("one", a=silent, b=f", {silent}"))
        (three,) = slipway.run(loads(text("three").replace("  a: ", "  c: "), "other.yaml")).ended
        assert three.instance is not None
        assert three.instance.host == "c"


def test_what_others_build_meanwhile_is_no_obstacle(tmp_path: Path) -> None:
    """Begun after the record was looked at, and there when the host is asked."""
    built: list[str] = []

    def between(call: Call) -> None:
        if call.name == "list_domains" and not built:
            built.append("now")
            with Orchestrator(tmp_path) as other:
                built[0] = other.create(file("two").instances[0].request).id

    with Orchestrator(tmp_path) as slipway:
        slipway.run(file())
    with Faults(on_call=between).orchestrator(tmp_path) as slipway:
        assert [str(one.status) for one in slipway.run(file("one")).ended] == ["built"]
    assert len(built[0]) == 36


def test_the_look_costs_one_question_a_kind_and_host_however_much_is_built(tmp_path: Path) -> None:
    seen: list[str] = []
    with Faults(on_call=lambda call: seen.append(call.name)).orchestrator(tmp_path) as slipway:
        slipway.run(file("one", "two", "three", "four"))
    asked = ("list_domains", "list_definitions", "list_disks", "list_taps", "list_filters", "list_dhcp")
    assert [seen.count(name) for name in asked] == [2, 2, 2, 0, 0, 0]


def test_the_commands_say_it(state: Path) -> None:
    (state.parent / "f.yaml").write_text(text("one", "three"))

    def slipway(*words: str) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("slipway")), *words, "--state", str(state)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    lose(state)
    done = slipway("run", str(state.parent / "f.yaml"))
    assert done.returncode == 1
    line, error = done.stderr.splitlines()
    assert line == (
        f"slipway: a new record was begun, but {state} has machines of an earlier one (world, instances); "
        f"if that was lost: slipway restore FILE --state {state}"
    )
    assert error.startswith("slipway: the record has no instance yet, but machines of an earlier one are there")
    done = slipway("run", str(state.parent / "f.yaml"), "--output", "json")
    assert (done.returncode, json.loads(done.stdout)["error"]["type"], done.stderr) == (1, "WorldUnrecorded", "")
    lose(state)
    done = slipway("network", "create", "net")
    assert (done.returncode, done.stderr.splitlines()) == (0, [line])
