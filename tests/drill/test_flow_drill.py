"""`slipway drill` of workflows: nothing leaks of a good one, and what is wrong with a bad one is found."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).with_name("workflows")
TOKEN = "hunter-2-of-the-drill"
CODE = "from slipway.cli.main import main; main(prog_name='slipway')"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    made = tmp_path / "place"
    made.mkdir()
    return made


def drill(flow: Path, place: Path, *words: str, code: int) -> dict[str, Any]:
    """What the command found; each in a process of its own, whose catalog has the tasks of the test."""
    command = [sys.executable, "-c", CODE, "drill", str(flow), "--tasks", str(HERE / "things.py")]
    command += ["--input", f"place={place}", "--allow-commands", "--look", f"ls {place}", "--output", "json", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=flow.parent)
    assert done.returncode == code, (done.stdout[-3000:], done.stderr[-3000:])
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def problems(found: dict[str, Any]) -> set[str]:
    return {f"{problem['invariant']}: {problem['text']}" for case in found["cases"] for problem in case["problems"]}


def flow_of(tmp_path: Path, step: str, more: str = "") -> Path:
    path = tmp_path / "flow.yaml"
    inputs = "{place: {type: string, required: true}, token: {type: secret, default: none-given}}"
    path.write_text(f"schema: 1\nname: flow\ninputs: {inputs}\nsteps:\n  - {{id: it, {step}}}\n{more}")
    return path


WITH = 'with: {place: "${{ inputs.place }}", name: it}'


def test_nothing_leaks_of_all_that_a_workflow_may_have(place: Path) -> None:
    words = ("--input", f"token={TOKEN}", "--modes", "crash_before,hang")
    found = drill(HERE / "whole.yaml", place, *words, code=0)
    assert found["leaks"] == 0
    assert found["runs"] == found["planned"] > 100
    assert {case["scenario"] for case in found["cases"]} == {"forward", "back", "cancel", "undo"}
    steps = {(case["step"], case["undoing"]) for case in found["cases"]}
    assert {("each", True), ("said", True), ("tried", False), ("part.inner", True), ("told", False)} <= steps
    assert found["seconds"] < 3600, "a sleep of two hours is not waited for"
    assert list(place.iterdir()) == []
    assert TOKEN not in json.dumps(found)


def test_errors_and_workers_that_wake_up_leave_nothing(place: Path) -> None:
    """Of a workflow that asks for a word: it is approved, rejected and cancelled."""
    found = drill(HERE / "asking.yaml", place, "--modes", "error,pause,clock_back", code=0)
    assert {case["scenario"] for case in found["cases"]} == {"forward", "approve", "reject", "back", "cancel", "undo"}
    assert found["leaks"] == 0
    ends = {(case["scenario"], case["ends"]["asking"]) for case in found["cases"]}
    assert {("forward", "PAUSED"), ("approve", "SUCCEEDED"), ("approve", "FAILED"), ("reject", "FAILED")} <= ends
    assert found["totals"]["stuck"] > 0
    assert list(place.iterdir()) == []


WORLD = """
schema: 1
hosts: {node-1: {vcpus: 8, memory: 8GiB, disk: 100GiB, compute: sim}}
networks: {front: {subnets: {a: {cidr: 10.0.0.0/24}}}}
flavors: {small: {vcpus: 1, memory: 512MiB, disk: 2GiB}}
images: {tiny: {path: /images/tiny, format: qcow2}}
instances: {web: {flavor: small, image: tiny, networks: [front]}}
"""
DELETING = """
schema: 1
name: flow
inputs: {place: {type: string}}
steps:
- id: delete
  uses: delete-instance
  with: {instance: web}
  revert:
    uses: build-instance
    with:
      name: web
      flavor: {vcpus: 1, memory: 512MiB, disk: 2GiB}
      image: {path: /images/tiny, format: qcow2}
      networks: [{network: front, fixed_ip: 10.0.0.2}]
- {id: last, uses: set, with: {value: 1}}
"""


def test_what_an_inverse_builds_is_part_of_the_way_back(tmp_path: Path, place: Path) -> None:
    """Where that fails something is stuck; what is half deleted is deleted before it is built again."""
    flow, world = tmp_path / "flow.yaml", tmp_path / "world.yaml"
    flow.write_text(DELETING)
    world.write_text(WORLD)
    words = ("--only", "back/build-instance.spawn:error.bug", "--only", "build-instance.claim.undo:error.bug:0")
    found = drill(flow, place, "--world", str(world), *words, code=0)
    assert {(case["scenario"], case["undoing"], case["outcome"]) for case in found["cases"]} == {
        ("back", True, "stuck"),
        ("forward", True, "rolled back"),
    }


def test_a_key_that_is_made_from_an_id_is_found(tmp_path: Path, place: Path) -> None:
    flow = flow_of(tmp_path, f"uses: make-by-id, {WITH}")
    found = drill(flow, place, "--only", "it:lost_reply.bug", "--only", "it:crash_after", code=5)
    left = {case["name"]: [problem["invariant"] for problem in case["problems"]] for case in found["cases"]}
    assert left["it:lost_reply.bug:0"] == ["A11", "A11"], "it is not known what to take back"
    assert left["it:crash_after:0"] == ["A3", "A11"], "a resume makes a second one"


def test_an_undo_that_does_nothing_is_found(tmp_path: Path, place: Path) -> None:
    found = drill(flow_of(tmp_path, f"uses: make-and-leave, {WITH}"), place, "--only", "undo/:crash_before", code=5)
    assert found["leaks"] == found["runs"]
    assert all(text.startswith("A11: ") and "outside is left it-" in text for text in problems(found))


def test_an_inverse_that_cannot_be_done_twice_is_found(tmp_path: Path, place: Path) -> None:
    flow = flow_of(tmp_path, f"uses: make-once, {WITH}")
    found = drill(flow, place, "--only", "undo/it.undo:crash_after", "--only", "undo/it.undo:crash_before", code=5)
    outcomes = {case["name"]: case["outcome"] for case in found["cases"]}
    assert outcomes == {"undo/it.undo:crash_after:0": "LEAK", "undo/it.undo:crash_before:0": "resumed"}
    assert any("A1: it ends STUCK, without the fault CANCELLED" in text for text in problems(found))


def test_a_command_whose_inverse_cannot_be_done_twice_is_found(tmp_path: Path, place: Path) -> None:
    thing = '"${{ inputs.place }}/${{ run.id }}"'
    revert = f"revert: {{uses: command, with: {{argv: [rm, {thing}]}}}}"
    flow = flow_of(tmp_path, f"uses: command, with: {{argv: [touch, {thing}]}}, {revert}")
    found = drill(flow, place, "--only", "undo/it.undo:crash_after", code=5)
    assert any("A1: it ends STUCK" in text for text in problems(found))


def test_a_step_with_two_effects_is_found(tmp_path: Path, place: Path) -> None:
    """It dies between the two, where no step ends and nothing is committed."""
    found = drill(flow_of(tmp_path, f"uses: make-two, {WITH}"), place, "--only", "forward/it.inside", code=5)
    outcomes = {case["name"]: case["outcome"] for case in found["cases"]}
    assert outcomes == {"it.inside:crash_before:0": "resumed", "it.inside:crash_before:1": "LEAK"}
    (problem,) = problems(found)
    assert problem.startswith("A3: it made 1 things outside, without the fault 2: it-first-")


@pytest.mark.parametrize(
    ("task", "where"),
    [
        ("make-with-secret", "A10: after the recovery: the secret token is in slipway.db, in base64"),
        ("make-and-print", "A10: after the recovery: the secret token is in the log, the events or what was printed"),
    ],
)
def test_a_secret_that_a_task_lets_out_is_found(tmp_path: Path, place: Path, task: str, where: str) -> None:
    argument = WITH.replace("name: it", 'name: it, token: "${{ inputs.token }}"')
    flow = flow_of(tmp_path, f"uses: {task}, {argument}")
    found = drill(flow, place, "--input", f"token={TOKEN}", "--only", "it:crash_after", code=5)
    assert where in problems(found)
    assert TOKEN not in json.dumps(found)


def test_what_the_workflow_does_by_itself_is_said(tmp_path: Path, place: Path) -> None:
    flow = flow_of(tmp_path, "uses: assert, with: {that: false, message: it is not so}")
    found = drill(flow, place, code=1)
    assert "it ends FAILED before any fault: ConditionFailed: it is not so" in found["error"]["message"]


def test_what_others_do_meanwhile_leaves_nothing(place: Path) -> None:
    """The run is cancelled, told to go on, resumed, and what it works on is taken away, while it goes on."""
    found = drill(HERE / "whole.yaml", place, "--modes", "meanwhile", "--input", f"token={TOKEN}", code=0)
    assert found["leaks"] == 0
    modes = {case["mode"] for case in found["cases"]}
    assert modes == {"meanwhile"}
    ends = {(case["error"], case["ends"]["whole"]) for case in found["cases"]}
    assert {("cancelled", "CANCELLED"), ("resumed", "SUCCEEDED"), ("retried", "SUCCEEDED")} <= ends
    assert list(place.iterdir()) == []


def test_pairs_leave_nothing_and_are_named_again(place: Path) -> None:
    words = ("--input", f"token={TOKEN}", "--only", "base", "--pairs", "12", "--seed", "3")
    found = drill(HERE / "whole.yaml", place, *words, "--modes", "crash_before,crash_after", code=0)
    pairs = [case for case in found["cases"] if case["second"]]
    assert len(pairs) > 8
    assert len({case["second"] for case in pairs}) > 3
    named = pairs[0]["name"]
    again = drill(HERE / "whole.yaml", place, "--input", f"token={TOKEN}", "--only", named, "--seed", "3", code=0)
    assert [case["name"] for case in again["cases"]] == [named]
    assert list(place.iterdir()) == []
