"""`slipway run`: what is told while it builds and at the end, and its exit codes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import Result

Call = Callable[..., Result]
FileWriter = Callable[..., str]


def test_first_run_builds_and_second_changes_nothing(slipway: Call, run_file: FileWriter) -> None:
    file = run_file()
    first = slipway("run", file)
    assert first.exit_code == 0, first.output
    for line in ("web   building", "web   NETWORKING", "gate  SPAWNING", "+ network demo-net", "+ host node-1"):
        assert line in first.stdout.splitlines()
    assert re.search(r"^web   ACTIVE on node-1 \(\d+(\.\d)? m?s\)$", first.stdout, re.MULTILINE)
    assert re.search(r"^web +ACTIVE +node-1 +192\.168\.0\.10 +[\d.]+ m?s$", first.stdout, re.MULTILINE)
    assert "Next:" not in first.stdout
    assert not [line for line in first.stdout.splitlines() if line.endswith(" ")]

    second = slipway("run", file)
    assert second.exit_code == 0
    assert second.stdout.splitlines()[-1] == f"Nothing to do: all is as {file} says."
    assert "building" not in second.stdout
    assert "None" not in first.stdout
    assert len(second.stdout.splitlines()) == 4


def test_what_can_be_changed_in_place_is(slipway: Call, run_file: FileWriter) -> None:
    slipway("run", run_file())
    again = slipway("run", run_file(mtu=1400))
    assert again.exit_code == 0
    assert "~ network demo-net" in again.stdout.splitlines()
    assert "Nothing to do" not in again.stdout
    assert "Nothing to do" in slipway("run", run_file(mtu=1400)).stdout


def test_what_is_another_stacks_stays_and_is_told_with_both_values(slipway: Call, run_file: FileWriter) -> None:
    file = Path(run_file())
    slipway("run", str(file))
    text = (
        file.read_text().replace("memory: 512MiB", "memory: 1GiB").replace("initrd.gz}", "initrd.gz, min_disk: 1GiB}")
    )
    text = text.replace("depends_on: [web]", "depends_on: [web], zone: nova, user_data: '#cloud-config'")
    file.write_text(f"{text}name: another\n")
    again = slipway("run", str(file))
    assert again.exit_code == 0
    because = "stack demo made it"
    assert [line for line in again.stdout.splitlines() if "gate:" in line] == [
        f"! instance gate: flavor.memory stays 512MiB (the file says 1GiB): {because}",
        f"! instance gate: image.min_disk stays 0B (the file says 1GiB): {because}",
        f"! instance gate: user_data stays as it was built (the file says another): {because}",
        f"! instance gate: zone stays none (the file says nova): {because}",
    ]
    assert "Nothing to do" not in again.stdout


def test_events_and_the_result_in_json(slipway: Call, run_file: FileWriter) -> None:
    done = slipway("run", run_file(), "--output", "json", "--parallel", "1")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    events, result = lines[:-1], lines[-1]
    assert events[0]["event"] == "instance.create.start"
    assert {
        "event",
        "at",
        "instance",
        "name",
        "step",
        "slot",
        "host",
        "vm_state",
        "task_state",
        "attempt",
        "message",
    } == (set(events[0]))
    assert datetime.fromisoformat(events[0]["at"]).tzinfo is not None
    assert [e["step"] for e in events if e["event"] == "step.start" and e["name"] == "web"][:2] == ["schedule", "claim"]
    assert events[-1]["event"] == "instance.create.end"

    assert result["event"] == "result"
    assert result["exit_code"] == 0
    assert result["changes"]["created"] == ["host node-1", "network demo-net", "subnet demo-subnet"]
    web, gate = result["instances"]
    assert (web["name"], web["project"], web["vm_state"], web["task_state"]) == ("web", "demo", "ACTIVE", None)
    assert (web["status"], web["host"], web["addresses"], web["fault"]) == ("built", "node-1", ["192.168.0.10"], None)
    assert gate["status"] == "built"
    again = json.loads(slipway("run", run_file(), "--output", "json").stdout)
    assert [one["status"] for one in again["instances"]] == ["unchanged", "unchanged"]


def test_a_failed_build_is_3_with_its_cause_and_what_to_type(
    slipway: Call, run_file: FileWriter, tmp_path: Path
) -> None:
    file, state = run_file("fail: [spawn]"), str(tmp_path / "other")
    done = slipway("run", file, "--state", state)
    assert done.exit_code == 3
    text = done.stdout
    assert "web   spawn failed: ComputeError: node-1: the simulated hypervisor was told to fail in spawn" in text
    assert re.search(r"^gate  skipped  -  .*it depends on web$", text, re.MULTILINE)
    assert "web failed\n  cause   ComputeError: node-1: the simulated" in text
    assert "  step    spawn\n" in text
    assert re.search(r"^  undone  .*1 port", text, re.MULTILINE)
    assert "stuck" not in text
    assert f"  slipway run {file} --replace-failed --state {state}\n" in text
    assert f"  slipway delete web --project demo --state {state}\n" in text


def test_what_failed_before_is_left_alone_until_it_is_to_be_replaced(slipway: Call, run_file: FileWriter) -> None:
    slipway("run", run_file("fail: [spawn]"))
    again = slipway("run", run_file())
    assert again.exit_code == 3
    assert "it failed in an earlier run and is left alone" in again.stdout
    assert "--replace-failed" in again.stdout

    replaced = slipway("run", run_file(), "--replace-failed")
    assert replaced.exit_code == 0, replaced.output
    assert "web   DELETED" in replaced.stdout
    assert "gate  ACTIVE on node-1" in replaced.stdout


def test_something_stuck_is_4_and_told_with_its_error(slipway: Call, run_file: FileWriter) -> None:
    done = slipway("run", run_file("fail: [spawn, delete_disk]"))
    assert done.exit_code == 4
    assert "  stuck   disk 0 on node-1: DiskError: node-1: the simulated disk store was told to fail" in done.stdout
    assert "  stuck   claim 0 on node-1: held by disks/0/1/node-1" in done.stdout
    assert "try again to undo what is stuck" in done.stdout
    assert "port 0" not in done.stdout
    audited = slipway("audit")
    assert audited.exit_code == 5
    told = r"^stuck +disk +node-1 +web +its disk 0 could not be taken back: DiskError"
    assert re.search(told, audited.stdout, re.MULTILINE)


def test_a_failure_in_json(slipway: Call, run_file: FileWriter) -> None:
    done = slipway("run", run_file("fail: [spawn, delete_disk]"), "--output", "json")
    assert done.exit_code == 4
    result = json.loads(done.stdout.splitlines()[-1])
    web, gate = result["instances"]
    assert result["exit_code"] == 4
    assert (web["fault"]["type"], web["fault"]["step"], web["fault"]["later"]) == ("ComputeError", "spawn", [])
    assert {effect["kind"] for effect in web["stuck"]} == {"disk", "claim"}
    assert "port" in {effect["kind"] for effect in web["undone"]}
    assert (gate["id"], gate["name"], gate["status"], gate["addresses"]) == (None, "gate", "skipped", [])


def test_verbose_lists_what_was_undone_and_logs_with_build_and_step(slipway: Call, run_file: FileWriter) -> None:
    done = slipway("run", run_file("fail: [spawn]"), "--verbose")
    assert re.search(r"^ {10}port 0$", done.stdout, re.MULTILINE)
    assert re.search(r"step\.start .*build=[0-9a-f-]{36} .*step=claim", done.stderr)
    assert "ComputeError: node-1: the simulated hypervisor" in done.stderr
    assert "Traceback" in done.stderr
    assert slipway("list").stderr == ""


def test_verbose_json_logs_are_json(slipway: Call, run_file: FileWriter) -> None:
    done = slipway("run", run_file(), "-v", "--output", "json")
    logs = [json.loads(line) for line in done.stderr.splitlines()]
    assert {"event", "level", "logger", "timestamp", "build", "step", "slot"} <= set(logs[1])


def test_without_verbose_nothing_is_logged(slipway: Call, run_file: FileWriter) -> None:
    assert slipway("run", run_file("fail: [spawn, delete_disk]")).stderr == ""


def test_many_at_once(slipway: Call, run_file: FileWriter) -> None:
    file = run_file()
    text = Path(file).read_text().replace("depends_on: [web]", "count: 24").replace(", fixed_ip: 192.168.0.10", "")
    Path(file).write_text(text)
    done = slipway("run", file, "--parallel", "20")
    assert done.exit_code == 0, done.output
    assert done.stdout.count("ACTIVE on node-1") == 25


@pytest.mark.parametrize("command", ["run", "validate", "destroy"])
def test_a_bad_file_is_2_with_every_problem(command: str, slipway: Call, run_file: FileWriter) -> None:
    file = run_file()
    Path(file).write_text(Path(file).read_text().replace("flavor: small", "flavour: small"))
    done = slipway(command, file)
    assert done.exit_code == 2
    assert done.stdout == ""
    lines = [line for line in done.stderr.splitlines() if not line.startswith(" ")]
    assert len(done.stderr.splitlines()) == 3 * len(lines)
    assert all(line.startswith(f"{file}:") for line in lines)
    assert len([line for line in lines if 'did you mean "flavor"?' in line]) == 2
    in_json = json.loads(slipway(command, file, "--output", "json").stdout)
    assert in_json["error"]["type"] == "InvalidFile"
    assert in_json["error"]["problems"] == lines


@pytest.mark.parametrize("command", ["run", "validate", "destroy"])
def test_a_missing_file_is_2(command: str, slipway: Call, tmp_path: Path) -> None:
    done = slipway(command, str(tmp_path / "none.yaml"))
    assert done.exit_code == 2
    assert done.stderr == f"{tmp_path}/none.yaml: cannot be read: No such file or directory\n"


def test_validate(slipway: Call, run_file: FileWriter, tmp_path: Path) -> None:
    file = run_file()
    assert slipway("validate", file).stdout == f"{file} is valid: 1 host, 1 network, 2 instances\n"
    counts = {"file": file, "valid": True, "project": "demo", "hosts": 1, "networks": 1, "instances": 2}
    assert json.loads(slipway("validate", file, "--output", "json").stdout) == counts
    assert not (tmp_path / "state").exists()


def test_validate_checks_a_workflow_of_the_users_own(slipway: Call, run_file: FileWriter, tmp_path: Path) -> None:
    file = run_file()
    with Path(file).open("a") as text:
        text.write("workflow: ./own.yaml\n")
    (tmp_path / "own.yaml").write_text("schema: 1\nname: own\nsteps: [{id: a, uses: shedule}]\n")
    done = slipway("validate", file)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"{tmp_path}/own.yaml:3:")
    assert 'did you mean "schedule"?' in done.stderr
    assert slipway("run", file).stderr == done.stderr
