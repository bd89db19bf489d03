"""`slipway run` of workflows and `slipway runs`, as they are typed: what is said, the JSON, and the exit codes."""

from __future__ import annotations

import json
import os
import pwd
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests.cli.conftest import Terminal

Slipway = Callable[..., Result]

FLOW = """
schema: 1
name: deploy
description: Makes files
inputs:
  good: {{type: boolean, default: true}}
  zone: {{type: string, default: example.org}}
  pin: {{type: secret}}
steps:
  - id: one
    uses: command
    for_each: [a, b]
    with: {{argv: [touch, "{dir}/one-${{{{ item }}}}"]}}
    revert: {{uses: command, with: {{argv: [rm, -f, "{dir}/one-${{{{ item }}}}"]}}}}
{steps}
  - {{id: check, uses: assert, with: {{that: "${{{{ inputs.good }}}}", message: it is not good}}}}
outputs: {{zone: "${{{{ inputs.zone }}}}", made: [a, b]}}
"""
ASK = "  - {id: ask, uses: pause, with: {message: 'shall it be ${{ inputs.zone }}?'}}"


@pytest.fixture
def flow(tmp_path: Path) -> Callable[..., str]:
    """Writes a workflow that makes two files and has these steps after that; gives its path."""
    (tmp_path / "made").mkdir()

    def write(steps: str = "") -> str:
        path = tmp_path / "deploy.yaml"
        path.write_text(FLOW.format(dir=tmp_path / "made", steps=steps))
        return str(path)

    return write


@pytest.fixture
def made(tmp_path: Path) -> Callable[[], list[str]]:
    return lambda: sorted(path.name for path in (tmp_path / "made").iterdir())


def begun(slipway: Slipway, path: str, *words: str, code: int = 0) -> tuple[str, str]:
    """The id of the run that is begun so, as it is shown, and what was said."""
    done = slipway("run", path, "--allow-commands", *words)
    assert done.exit_code == code, done.output
    found = re.search(r"^run ([0-9a-f]{8}) of deploy", done.output, re.MULTILINE)
    assert found is not None, done.output
    return found[1], done.output


def told(slipway: Slipway, *words: str) -> Any:
    """The JSON that a command ends with."""
    return json.loads(slipway(*words, "--output", "json").output.splitlines()[-1])


def without_times(text: str) -> str:
    return re.sub(r"\(<?[0-9.]+ m?s\)", "(TIME)", text)


def test_a_run_tells_of_each_step_and_its_outputs(slipway: Slipway, flow: Callable[..., str]) -> None:
    run, text = begun(slipway, flow(), "--input", "zone=example.net")
    assert without_times(text) == (
        f"run {run} of deploy\n"
        "  one: succeeded (TIME)\n"
        "  check: succeeded (TIME)\n"
        f"run {run} of deploy: SUCCEEDED\n"
        "  zone: example.net\n"
        '  made: ["a","b"]\n'
    )


def test_a_run_that_fails_is_undone_and_says_how_to_go_on(
    slipway: Slipway, flow: Callable[..., str], made: Callable[[], list[str]]
) -> None:
    run, text = begun(slipway, flow(), "--input", "good=false", code=3)
    assert "  check failed: ConditionFailed: it is not good\n  one[1] undone\n  one undone\n" in text
    assert f"run {run} of deploy: FAILED\n  ConditionFailed, step check: it is not good\n" in text
    assert re.search(rf"Next:\n  slipway runs retry {run} --allow-commands\n +do it again, once the cause", text)
    assert made() == []
    again = slipway("runs", "retry", run, "--allow-commands", "--input", "good=true")
    assert (again.exit_code, made()) == (0, ["one-a", "one-b"])
    shown = slipway("runs", "show", run).output
    assert re.search(r"attempt +2\n", shown)


def test_a_pause_is_answered(slipway: Slipway, flow: Callable[..., str], made: Callable[[], list[str]]) -> None:
    path = flow(ASK)
    run, text = begun(slipway, path, code=6)
    assert "it waits for an answer: shall it be example.org?" in text
    assert f"slipway runs approve {run} --allow-commands\n      have it go on" in text
    assert f"slipway runs reject {run} --allow-commands\n      undo what it did" in text
    done = slipway("runs", "approve", run, "--allow-commands")
    assert (done.exit_code, made()) == (0, ["one-a", "one-b"])
    assert done.output.startswith(f"run {run} of deploy goes on\n")
    assert "  one:" not in done.output, "what was done before is not told again"
    second = slipway("runs", "approve", run, "--allow-commands")
    assert (second.exit_code, second.output.count("\n")) == (1, 1)
    assert "is SUCCEEDED and waits for nobody's word" in second.output

    run, _ = begun(slipway, path, code=6)
    no = slipway("runs", "reject", run, "--allow-commands", "--reason", "not today")
    assert no.exit_code == 0, "it was what was wanted"
    assert "RunRejected: it was rejected: not today" in no.output
    run, _ = begun(slipway, path, code=6)
    assert slipway("runs", "cancel", run, "--allow-commands").exit_code == 0


def test_what_cannot_be_undone_is_stuck(slipway: Slipway, flow: Callable[..., str], tmp_path: Path) -> None:
    inverse = f"{{uses: command, with: {{argv: [rmdir, '{tmp_path}/made/dir']}}}}"
    steps = (
        f"  - {{id: dir, uses: command, with: {{argv: [mkdir, '{tmp_path}/made/dir']}}, revert: {inverse}}}\n"
        f"  - {{id: fill, uses: command, with: {{argv: [touch, '{tmp_path}/made/dir/x']}}}}\n"
    )
    run, text = begun(slipway, flow(steps), "--input", "good=false", code=4)
    assert f"slipway runs undo {run} --allow-commands\n      try again to undo what is stuck" in text
    assert re.search(r"dir +stuck +command .*rmdir", slipway("runs", "show", run).output)
    (tmp_path / "made/dir/x").unlink()
    assert slipway("runs", "undo", run, "--allow-commands").exit_code == 0
    assert not (tmp_path / "made/dir").exists()


def test_where_commands_are_not_allowed_nothing_is_moved(slipway: Slipway, flow: Callable[..., str]) -> None:
    path = flow(ASK)
    refused = slipway("run", path)
    assert (refused.exit_code, refused.output.count("\n")) == (2, 1)
    assert told(slipway, "runs", "list") == []
    run, _ = begun(slipway, path, code=6)
    for verb in ("approve", "reject", "cancel"):
        refused = slipway("runs", verb, run)
        assert (refused.exit_code, refused.output.count("\n")) == (2, 1)
        assert "--allow-commands" in refused.output
        assert told(slipway, "runs", "show", run)["state"] == "PAUSED"
    assert slipway("runs", "approve", run, "--allow-commands").exit_code == 0
    assert slipway("runs", "undo", run).exit_code == 2
    assert told(slipway, "runs", "show", run)["state"] == "SUCCEEDED"
    run, _ = begun(slipway, flow(), "--input", "good=false", code=3)
    assert slipway("runs", "retry", run, "--input", "good=true").exit_code == 2
    assert told(slipway, "runs", "show", run)["state"] == "FAILED"


def test_inputs_of_a_file_and_of_the_command_line(slipway: Slipway, flow: Callable[..., str], tmp_path: Path) -> None:
    inputs = tmp_path / "inputs.yaml"
    inputs.write_text("zone: example.net\npin: hunter-2\n")
    _, text = begun(slipway, flow(), "--inputs", str(inputs))
    assert "zone: example.net" in text
    _, text = begun(slipway, flow(), "--inputs", str(inputs), "--input", "zone=example.com")
    assert "zone: example.com" in text
    shown = slipway("runs", "list", "--output", "json").output
    assert "hunter-2" not in shown
    assert '"pin": "***"' in shown or '"pin":"***"' in shown


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--input", "good=maybe"), 'good: must be true or false, not "maybe"'),
        (("--input", "godo=true"), 'godo: there is no such input, did you mean "good"?'),
        (("--input", "good"), "an input is given as NAME=VALUE"),
        (("--inputs", "nowhere.yaml"), "nowhere.yaml"),
        (("--parallel", "0"), "0 is not in the range"),
    ],
)
def test_wrong_inputs_are_one_line_and_nothing_is_on_record(
    words: tuple[str, ...], said: str, slipway: Slipway, flow: Callable[..., str]
) -> None:
    done = slipway("run", flow(), "--allow-commands", *words)
    assert (done.exit_code, done.output.count("\n")) == (2, 1), done.output
    assert said in done.output
    assert told(slipway, "runs", "list") == []


def test_a_key_is_one_run(slipway: Slipway, flow: Callable[..., str]) -> None:
    path = flow()
    run, _ = begun(slipway, path, "--idempotency-key", "k")
    again = told(slipway, "run", path, "--allow-commands", "--idempotency-key", "k")
    assert [one["id"][:8] for one in again["runs"]] == [run]
    other = slipway("run", path, "--allow-commands", "--idempotency-key", "k", "--input", "zone=other.org")
    assert (other.exit_code, other.output.count("\n")) == (1, 1)
    assert "idempotency key k was used for another request" in other.output
    assert len(told(slipway, "runs", "list")) == 1


def test_json(slipway: Slipway, flow: Callable[..., str]) -> None:
    path = flow(ASK)
    done = slipway("run", path, "--allow-commands", "--output", "json")
    *events, result = map(json.loads, done.output.splitlines())
    assert [event["event"] for event in events if event["step"] == "one"] == ["step.start", "step.start", "step.end"]
    assert (result["event"], result["exit_code"], done.exit_code) == ("result", 6, 6)
    (run,) = result["runs"]
    assert {name: run[name] for name in ("workflow", "state", "waits_for", "outputs", "fault", "attempt")} == {
        "workflow": "deploy",
        "state": "PAUSED",
        "waits_for": "shall it be example.org?",
        "outputs": None,
        "fault": None,
        "attempt": 1,
    }
    assert run["inputs"] == {"good": True, "zone": "example.org", "pin": None}
    shown = told(slipway, "runs", "show", run["id"])
    assert [(effect["step"], effect["slot"], effect["state"]) for effect in shown.pop("effects")] == [
        ("one", 0, "done"),
        ("one", 1, "done"),
        ("ask", 0, "intended"),
    ]
    assert [shown] == told(slipway, "runs", "list") == told(slipway, "runs", "list", "--unfinished") == [run]
    gone = told(slipway, "runs", "show", "nothing")
    assert gone["error"] == {"type": "RunNotFound", "message": "no run nothing is on record"}


@pytest.mark.usefixtures("empty")
def test_list_show_and_prune(slipway: Slipway, flow: Callable[..., str]) -> None:
    assert slipway("runs", "list").output == "no runs\n"
    path = flow(ASK)
    run, _ = begun(slipway, path, code=6)
    rows = slipway("runs", "list").output.splitlines()
    assert rows[0].split() == ["RUN", "WORKFLOW", "STATE", "BEGAN", "ABOUT"]
    assert rows[1].startswith(f"{run}  deploy    PAUSED")
    assert rows[1].endswith("shall it be example.org?")
    text = slipway("runs", "show", run).output
    assert re.search(r"inputs +good=true\n +zone=example.org\n", text)
    assert re.search(r"^one\[1\] +done +command", text, re.MULTILINE)
    assert slipway("runs", "reject", run, "--allow-commands").exit_code == 0
    assert slipway("runs", "prune", "--older-than", "soon").exit_code == 2
    assert slipway("runs", "prune").output == "0 runs taken off the record\n"
    assert slipway("runs", "prune", "--older-than", "0s").output == "1 run taken off the record\n"
    assert slipway("runs", "list").output == "no runs\n"


def test_a_part_is_shown_with_the_whole(slipway: Slipway, flow: Callable[..., str], tmp_path: Path) -> None:
    flow()
    whole = tmp_path / "whole.yaml"
    whole.write_text("schema: 1\nname: whole\nsteps:\n  - {id: part, uses: ./deploy.yaml}\n")
    done = slipway("run", str(whole), "--allow-commands")
    run, part = re.findall(r"run ([0-9a-f]{8}) of \w+\n", done.output)
    assert without_times(done.output).splitlines()[:5] == [
        f"run {run} of whole",
        f"    run {part} of deploy",
        "      one: succeeded (TIME)",
        "      check: succeeded (TIME)",
        "  part: succeeded (TIME)",
    ]
    assert re.search(rf"\n{part}    deploy +SUCCEEDED", slipway("runs", "list").output)
    assert f"slipway runs show {run}\n" in slipway("runs", "show", part).output


# --- on a terminal ------------------------------------------------------------------------------------------------


def test_ctrl_c_while_a_step_runs_ends_after_it(
    terminal: Callable[..., Terminal], slipway: Slipway, flow: Callable[..., str], made: Callable[[], list[str]]
) -> None:
    path = flow("  - {id: slow, uses: command, with: {argv: [sleep, '1']}}")
    shown = terminal("run", path, "--allow-commands", columns=40)
    shown.wait_for(r"slow \.\.\. ")
    shown.press("\x03")
    assert shown.wait() == 130
    assert "finishing the running steps; Ctrl-C again to stop at once" in shown.text
    assert re.search(r"run \w{8} of deploy: RUNNING\n\nNext:\n  slipway resume --allow-commands\n", shown.text)
    done = slipway("resume", "--allow-commands")
    assert (done.exit_code, made()) == (0, ["one-a", "one-b"]), done.output
    assert "SUCCEEDED" in done.output


def test_ctrl_c_while_a_run_sleeps_leaves_it_asleep(
    terminal: Callable[..., Terminal], slipway: Slipway, flow: Callable[..., str]
) -> None:
    shown = terminal("run", flow("  - {id: nap, uses: sleep, with: {for: 1h}}"), "--allow-commands")
    shown.wait_for("paused: ")
    shown.press("\x03")
    assert shown.wait() == 130
    assert re.search(r"PAUSED\n  it waits until [-0-9]+ [:0-9]+ UTC\n\nNext:\n  slipway resume", shown.text)
    (run,) = told(slipway, "runs", "list")
    assert (run["state"], run["fault"]) == ("PAUSED", None)
    assert slipway("runs", "cancel", run["id"], "--allow-commands").exit_code == 0


def test_who_asked_for_a_run_is_on_record(
    slipway: Slipway, flow: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the values of inputs, which may be secret, however they are written."""
    monkeypatch.setenv("LOGNAME", "somebody-else")
    short, _ = begun(slipway, flow(ASK), "--input", "pin=it's", "--input=zone=secret.example", code=6)
    user = pwd.getpwuid(os.getuid()).pw_name
    asked = json.loads(slipway("runs", "show", short, "--output", "json").stdout)["asked_by"]
    assert asked.startswith(f"{user}: slipway run ")
    assert "--allow-commands --input pin=... --input=zone=..." in asked
    assert "it's" not in asked
    shown = slipway("runs", "show", short).output
    assert f"asked by  {user}: slipway run" in shown
    assert f"slipway runs approve {short} --allow-commands" in shown, "it takes the option that the run was begun with"


def test_of_tasks_that_are_not_here_is_said_where_they_came_from(
    slipway: Slipway, process: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    module, path = tmp_path / "mine.py", tmp_path / "own.yaml"
    steps = "  - {id: ask, uses: pause, with: {message: go on?}}\n  - {id: it, uses: mine-of-cli}\n"
    path.write_text(f"schema: 1\nname: deploy\nsteps:\n{steps}")
    header = "from slipway.flows.tasks.decorator import task\n\n@task()\n"
    module.write_text(f"{header}def mine_of_cli() -> None:\n    'Do nothing. Needs no undo: it does nothing.'\n")
    done = slipway("run", str(path), "--tasks", str(module))
    assert done.exit_code == 6, done.output
    (run,) = told(slipway, "runs", "list")
    short = run["id"][:8]
    # Another process, which has not loaded them.
    refused = process("runs", "approve", short)
    assert refused.returncode == 2, refused
    assert 'unknown task "mine-of-cli"' in refused.stderr
    assert f"run {short} goes on with the tasks that it began with: name their modules by --tasks" in refused.stderr
    assert f"--tasks {module}" in refused.stderr
