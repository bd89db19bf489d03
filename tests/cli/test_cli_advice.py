"""Each command that Slipway says to type next is typed in, from the very state in which it was said."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from slipway import Orchestrator
from slipway.cli.main import main
from slipway.runfile import loads
from slipway.testing import Fault, Faults, crashed
from tests import record
from tests.waiting import PATIENCE

Call = Callable[..., Result]
FileWriter = Callable[..., str]
ACCEPTED = (0, 3, 4)
"""Done, or tried and failed in what it was to do: not refused, not misunderstood."""


@pytest.fixture
def state(environment: dict[str, str]) -> Path:
    return Path(environment["SLIPWAY_STATE"])


def advice(said: str) -> list[str]:
    """The commands below `Next:`."""
    return re.findall(r"^  (slipway .*)$", said.partition("\nNext:\n")[2], re.MULTILINE)


def try_all(said: str, state: Path, tmp_path: Path) -> list[str]:
    """Type each command in on a copy of what there is now, as one user alone may do only one of them."""
    commands = advice(said)
    for number, command in enumerate(commands):
        copy = tmp_path / f"copy-{number}-{len(list(tmp_path.iterdir()))}"
        record.copy(state, copy)
        words = [str(copy) if word == str(state) else word for word in shlex.split(command)[1:]]
        done = CliRunner().invoke(main, words, env={"SLIPWAY_STATE": str(copy)}, prog_name="slipway")
        assert done.exit_code in ACCEPTED, (command, done.output)
        assert "Nothing to do" not in done.output, (command, done.output)
    return [command.removeprefix("slipway ") for command in commands]


def sql(state: Path, statement: str) -> None:
    connection = record.opened(state / "slipway.db")
    connection.execute(statement)
    connection.commit()
    connection.close()


def world(place: Path, kind: str, name: str, **changes: Any) -> None:
    """Change a thing of the simulator's world, or take it away."""
    (path,) = [p for p in (place / "world" / "node-1" / kind).glob("*.json") if name in p.read_text()]
    if changes:
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    else:
        path.unlink()


def id_of(slipway: Call, name: str) -> str:
    return str(json.loads(slipway("show", name, "--output", "json").stdout)["id"])


# --- after a command ----------------------------------------------------------------------------------------------


def test_after_builds_that_failed(slipway: Call, run_file: FileWriter, state: Path, tmp_path: Path) -> None:
    file = run_file("fail: [spawn]")
    said = slipway("run", file)
    assert said.exit_code == 3
    expected = ["delete web --project demo", f"run {file} --replace-failed", "show web --project demo"]
    assert try_all(said.stdout, state, tmp_path) == expected
    assert try_all(slipway("run", file).stdout, state, tmp_path) == expected


def test_after_undos_that_failed(slipway: Call, run_file: FileWriter, state: Path, tmp_path: Path) -> None:
    file = run_file("fail: [spawn, delete_disk]")
    said = slipway("run", file)
    assert said.exit_code == 4
    assert try_all(said.stdout, state, tmp_path)[0] == "delete web --project demo"
    deleted = slipway("delete", "web")
    assert deleted.exit_code == 4
    assert try_all(deleted.stdout, state, tmp_path) == ["delete web --project demo", "show web --project demo"]
    destroyed = slipway("destroy", file)
    assert destroyed.exit_code == 4
    assert try_all(destroyed.stdout, state, tmp_path)[0] == "delete web --project demo"


def failing(state: Path, *calls: str) -> None:
    """Have the host fail in these calls from now on, of which the run file said nothing."""
    connection = record.opened(state / "slipway.db")
    host = json.loads(connection.execute("SELECT spec FROM hosts").fetchone()[0])
    host["simulate"] = {**host.get("simulate", {}), "fail": calls}
    connection.execute("UPDATE hosts SET spec = ?", (json.dumps(host).encode(),))
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    ("calls", "command", "before", "left", "expected"),
    [
        (["start"], ("reboot", "web", "--force"), None, "STOPPED", ["start web --project demo"]),
        (["start"], ("reboot", "web", "gate"), None, "STOPPED", ["start web gate --project demo"]),
        (["stop"], ("reboot", "web", "--force"), None, "ACTIVE", ["reboot --force web --project demo"]),
        (["stop"], ("stop", "web"), None, "ACTIVE", ["stop web --project demo"]),
        (
            ["stop"],
            ("stop", "web", "--force", "--project", "demo"),
            None,
            "ACTIVE",
            ["stop --force web --project demo"],
        ),
        (["start"], ("start", "web"), "stop", "STOPPED", ["start web --project demo"]),
    ],
)
def test_after_a_stop_start_or_reboot_that_failed(
    calls: list[str],
    command: tuple[str, ...],
    before: str | None,
    left: str,
    expected: list[str],
    slipway: Call,
    run_file: FileWriter,
    state: Path,
    tmp_path: Path,
) -> None:
    assert slipway("run", run_file()).exit_code == 0
    assert before is None or slipway(before, "web").exit_code == 0
    failing(state, *calls)
    said = slipway(*command)
    assert said.exit_code == 3, said.output
    assert json.loads(slipway("show", "web", "--output", "json").stdout)["vm_state"] == left
    assert try_all(said.stdout, state, tmp_path) == expected
    failing(state)
    assert slipway(*shlex.split(expected[0])).exit_code == 0


def test_after_several_that_were_left_in_several_states(
    slipway: Call, run_file: FileWriter, state: Path, tmp_path: Path
) -> None:
    assert slipway("run", run_file()).exit_code == 0
    world(state, "disks", id_of(slipway, "gate"))
    failing(state, "start")
    said = slipway("reboot", "web", "gate", "--force")
    assert said.exit_code == 3, said.output
    assert set(try_all(said.stdout, state, tmp_path)) == {
        "start web --project demo",
        "reboot --force gate --project demo",
    }


def test_after_it_was_interrupted(
    slipway: Call, run_file: FileWriter, state: Path, tmp_path: Path, environment: dict[str, str], command: list[str]
) -> None:
    file = run_file("delay: 300ms")
    env = {**os.environ, **environment}
    process = subprocess.Popen([*command, "run", file], env=env, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    heard = ""
    while "NETWORKING" not in heard:
        heard += process.stdout.readline()
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=PATIENCE)[0]
    assert process.returncode == 130
    assert try_all(said, state, tmp_path) == [f"run {file}", "resume"]


def test_while_another_worker_is_at_it(slipway: Call, run_file: FileWriter, state: Path) -> None:
    file = run_file()
    seen: list[Result] = []

    def interfere(event: Any) -> None:
        if event.type == "step.start" and event.step == "spawn" and not seen:
            seen.append(slipway("stop", "web"))

    with Orchestrator(state) as orchestrator:
        orchestrator.run(loads(Path(file).read_text(), file), on_event=interfere)
    (said,) = seen
    assert said.exit_code == 1, said.output
    assert advice(said.stdout) == ["slipway stop web", "slipway resume"]
    assert [slipway("stop", "web").exit_code, slipway("resume").exit_code] == [0, 0]


def test_nothing_is_recommended_for_what_nobody_can_go_on_with(
    slipway: Call, run_file: FileWriter, state: Path
) -> None:
    assert slipway("run", run_file()).exit_code == 0
    sql(state, "UPDATE instances SET task_state = 'FOO' WHERE name = 'web'")
    said = slipway("resume")
    assert said.exit_code == 1
    assert "no state that this Slipway knows" in said.stdout
    assert advice(said.stdout) == []


def test_it_is_for_the_same_state_and_database(slipway: Call, run_file: FileWriter, tmp_path: Path) -> None:
    state = tmp_path / "a state"
    db = f"sqlite:///{tmp_path}/b.db"
    said = slipway("run", run_file("fail: [spawn]"), "--state", str(state), "--db", db)
    assert advice(said.stdout)[0] == f"slipway delete web --project demo --state '{state}' --db {db}"
    for command in advice(said.stdout)[1:]:
        assert CliRunner().invoke(main, shlex.split(command)[1:], prog_name="slipway").exit_code in ACCEPTED
    masked = slipway("run", run_file(), "--db", "sqlite:////tmp/nosuch/x.db?password=hunter2")
    assert "hunter2" not in masked.output


def test_names_that_two_projects_have(slipway: Call, run_file: FileWriter, state: Path, tmp_path: Path) -> None:
    for project in ("default", "demo"):
        assert slipway("run", run_file("fail: [spawn]", project=project)).exit_code in (3, 1)
    for web in json.loads(slipway("list", "--output", "json").stdout):
        said = slipway("show", web["id"], "--output", "json")
        assert said.exit_code == 0
    said = slipway("run", run_file("fail: [spawn]", project="default"))
    assert try_all(said.stdout, state, tmp_path)[0] == "delete web --project default"


# --- after an audit -----------------------------------------------------------------------------------------------

DOMAIN_STATES = [
    (None, "shutdown", "the instance is ACTIVE, and its domain is shut off", "repair web --project demo --yes"),
    (None, "crashed", "the instance is ACTIVE, and its domain has crashed", "repair web --project demo --yes"),
    (None, "paused", "the instance is ACTIVE, and its domain is paused", "repair web --project demo --yes"),
    ("stop", "running", "the instance is STOPPED, and its domain runs", "repair web --project demo --yes"),
    ("stop", "paused", "the instance is STOPPED, and its domain is paused", "repair web --project demo --yes"),
]


@pytest.mark.parametrize(("before", "does", "words", "expected"), DOMAIN_STATES)
def test_a_domain_that_does_something_else(
    before: str | None,
    does: str,
    words: str,
    expected: str,
    slipway: Call,
    run_file: FileWriter,
    state: Path,
    tmp_path: Path,
) -> None:
    assert slipway("run", run_file()).exit_code == 0
    assert before is None or slipway(before, "web").exit_code == 0
    world(state, "domains", id_of(slipway, "web"), state=does)
    said = slipway("audit")
    assert said.exit_code == 5
    assert re.search(rf"^different +domain +node-1 +web +{words}$", said.stdout, re.MULTILINE), said.stdout
    assert try_all(said.stdout, state, tmp_path) == [expected]
    (found,) = json.loads(slipway("audit", "--output", "json").stdout)
    assert (found["difference"], found["kind"], found["next"]) == ("different", "domain", [f"slipway {expected}"])
    assert slipway(*shlex.split(expected)).exit_code == 0
    assert slipway("audit").stdout == "no differences\n"


OF_WEB, OF_GATE = "delete web --project demo", "delete gate --project demo"
MEND_WEB, MEND_GATE = "repair web --project demo --yes", "repair gate --project demo --yes"
CHANGES: dict[str, tuple[Callable[[Path, str], None], str, set[str] | None]] = {
    "a domain is gone": (
        lambda state, web: world(state, "domains", web),
        "its domain is not there on node-1",
        {MEND_WEB},
    ),
    "a domain was changed": (
        lambda state, web: world(state, "domains", web, vcpus=7),
        "its domain: it has 7 vCPUs instead of 1",
        {MEND_WEB},
    ),
    "a disk is gone": (
        lambda state, web: world(state, "disks", web),
        "its disk 0 is not there on node-1",
        {"stop web --project demo"},
    ),
    "ports are gone": (
        lambda state, _web: sql(state, "UPDATE ports SET device_id = '' WHERE device_id != '' AND name = ''"),
        "its port .* is not there$",
        {MEND_WEB, MEND_GATE},
    ),
    "ports are another's": (
        lambda state, _web: sql(state, f"UPDATE ports SET device_id = '{OTHER}' WHERE name = ''"),
        "Slipway made it, and no instance on record has it",
        {MEND_WEB, MEND_GATE},
    ),
    "a port is nobody's": (
        lambda state, _web: sql(state, SPARE.format("device_id = 'dhcp-x', device_owner = 'network:dhcp'")),
        "Slipway made it, and no instance on record has it",
        None,
    ),
    "a binding is nobody's": (
        lambda state, _web: sql(state, SPARE.format("binding_host_id = 'node-1', device_owner = 'compute:nova'")),
        "Slipway made it, and no instance on record has it",
        None,
    ),
    "disks are stuck": (
        lambda state, _web: sql(state, "UPDATE effects SET state = 'stuck', error = 'E: x' WHERE kind = 'disk'"),
        "its disk 0 could not be taken back: E: x",
        {OF_WEB, OF_GATE},
    ),
    "rows are damaged": (
        lambda state, _web: sql(state, "UPDATE effects SET result = 'x' WHERE kind = 'binding'"),
        "the row of the binding of its port 0 is damaged: .* cannot be read",
        {OF_WEB, OF_GATE},
    ),
    "counters are wrong": (
        lambda state, _web: sql(state, "UPDATE hosts SET vcpus_used = 7, memory_used = 1536 * 1048576"),
        "1.5GiB of memory are counted as given out, instances have claimed 1GiB",
        {"repair --host node-1 --yes"},
    ),
}
OTHER = "11111111-2222-4333-8444-555555555555"
SPARE = "UPDATE ports SET {} WHERE name = 'spare'"


@pytest.mark.parametrize("change", CHANGES)
def test_what_audit_finds_is_said_in_words_and_mended(
    change: str, slipway: Call, run_file: FileWriter, state: Path, tmp_path: Path
) -> None:
    make, words, expected = CHANGES[change]
    assert slipway("run", run_file()).exit_code == 0
    assert slipway("port", "create", "--network", "demo-net", "spare").exit_code == 0
    make(state, id_of(slipway, "web"))
    said = slipway("audit")
    assert said.exit_code == 5
    assert re.search(words, said.stdout, re.MULTILINE), said.stdout
    assert "is done" not in said.stdout
    found = try_all(said.stdout, state, tmp_path)
    if expected is not None:
        assert set(found) == expected
        return
    (command,) = found
    assert command.startswith("repair ")
    assert slipway(*shlex.split(command)).exit_code == 0
    assert slipway("audit").stdout == "no differences\n"


def test_what_two_deaths_leave(slipway: Call, run_file: FileWriter, state: Path, tmp_path: Path) -> None:
    """A build of which nobody is left: said by what it needs, and finished by that."""
    file = run_file()

    def build() -> None:
        faults = Faults(Fault.parse("spawn:crash_after:0"))
        with Orchestrator(state, store=faults.store, drivers=faults.drivers) as orchestrator:
            orchestrator.run(loads(Path(file).read_text(), file))

    assert crashed(build)
    said = slipway("audit")
    commands = try_all(said.stdout, state, tmp_path)
    assert commands == ["resume"]
    assert slipway("resume").exit_code == 0
    assert slipway("audit").stdout == "no differences\n"
