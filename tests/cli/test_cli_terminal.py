"""What is drawn on a terminal, and Ctrl-C there."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from slipway.cli.interrupt import TICK
from tests.cli.conftest import Gate
from tests.waiting import PATIENCE

Call = Callable[..., Result]
FileWriter = Callable[..., str]
Terminals = Callable[..., Any]

FRAMES = "[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]"
SLOW = "delay: 100ms"
FINISHING = "slipway: finishing the running steps; Ctrl-C again to stop at once\n"
AT_ONCE = "slipway: stopped at once; 'slipway resume' goes on from what is on record\n"


def statuses(result: Result) -> list[str]:
    return [one["status"] for one in json.loads(result.stdout.splitlines()[-1])["instances"]]


def assert_nothing_leaked(slipway: Call) -> None:
    audited = slipway("audit")
    assert (audited.stdout, audited.exit_code) == ("no differences\n", 0)


def test_live_display(terminal: Terminals, run_file: FileWriter) -> None:
    began = time.monotonic()
    screen = terminal("run", run_file(SLOW), columns=70)
    screen.wait_for("SPAWNING")
    assert re.search(rf"^{FRAMES} web   SPAWNING +\d+(\.\d)? m?s  \w+ +node-1", screen.text, re.MULTILINE)
    assert "  1 waiting" in screen.text
    assert screen.wait() == 0
    kept = screen.text.splitlines()
    assert len([line for line in kept if re.fullmatch(r"✓ web   ACTIVE on node-1 \(\S+ m?s\) *", line)]) == 1
    assert re.search(r"^gate +ACTIVE +node-1 +192\.168\.0\.\d+ +\S+ m?s", screen.text, re.MULTILINE)
    assert max(len(line.rstrip()) for line in kept) <= 70
    assert screen.raw.rindex("\x1b[?25h") > screen.raw.rindex("\x1b[?25l")
    assert screen.raw.count("waiting") <= (time.monotonic() - began) / TICK + 1


def test_long_lists_fit_the_window(terminal: Terminals, run_file: FileWriter) -> None:
    file = run_file(SLOW)
    text = Path(file).read_text().replace("depends_on: [web]", "count: 12").replace(", fixed_ip: 192.168.0.10", "")
    Path(file).write_text(text)
    screen = terminal("run", file, "--parallel", "10", rows=8)
    screen.wait_for(r"[1-5] more under way, \d+ waiting")
    assert screen.wait() == 0
    frames = re.findall(rf"(?:^{FRAMES} .*\n)+", screen.text, re.MULTILINE)
    assert max(frame.count("\n") for frame in frames) == 5
    assert screen.text.count("✓ ") == 13


def test_colours_and_none_where_no_color_is_set(terminal: Terminals, run_file: FileWriter) -> None:
    coloured = terminal("run", run_file())
    assert coloured.wait() == 0
    assert "\x1b[32m" in coloured.raw
    plain = terminal("list", NO_COLOR="1")
    assert plain.wait() == 0
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", plain.raw)
    assert "ACTIVE" in plain.text


def test_a_dumb_terminal_gets_plain_lines(terminal: Terminals, run_file: FileWriter) -> None:
    screen = terminal("run", run_file(), TERM="dumb")
    assert screen.wait() == 0
    assert "\x1b" not in screen.raw
    assert "web   building\n" in screen.text


def test_nothing_is_wider_than_the_terminal(terminal: Terminals, run_file: FileWriter) -> None:
    for args, code in (
        (("run", run_file("fail: [spawn, delete_disk]")), 4),
        (("show", "web"), 0),
        (("list",), 0),
        (("audit",), 5),
    ):
        screen = terminal(*args)
        assert screen.wait() == code, screen.text
        # What is to be typed is never broken.
        lines = [line.rstrip() for line in screen.text.splitlines() if not line.startswith("  slipway ")]
        assert max(map(len, lines)) <= 80, screen.text
        assert not [line for line in lines if "…" in line and not line.startswith(("!", "✗"))]


@pytest.mark.parametrize("parallel", ["1", "4"])
def test_ctrl_c_once_finishes_the_running_steps(
    parallel: str, terminal: Terminals, slipway: Call, run_file: FileWriter
) -> None:
    file = run_file(SLOW)
    screen = terminal("run", file, "--parallel", parallel)
    screen.wait_for("BLOCK_DEVICE_MAPPING")
    screen.press("\x03")
    assert screen.wait() == 130
    assert FINISHING in screen.text
    assert f"Next:\n  slipway run {file}" in screen.text
    assert "slipway resume" in screen.text
    assert re.search(r"^gate +not begun", screen.text, re.MULTILINE)
    (web,) = json.loads(slipway("list", "--output", "json").stdout)
    assert (web["vm_state"], web["name"]) == ("BUILDING", "web")
    assert not [
        e for e in json.loads(slipway("show", "web", "--output", "json").stdout)["effects"] if e["state"] != "done"
    ]

    resumed = slipway("resume", "--output", "json")
    assert (resumed.exit_code, statuses(resumed)) == (0, ["resumed"])
    assert statuses(slipway("run", file, "--output", "json")) == ["unchanged", "built"]
    assert_nothing_leaked(slipway)


def test_ctrl_c_twice_ends_at_once_and_resume_goes_on(terminal: Terminals, slipway: Call, run_file: FileWriter) -> None:
    file = run_file("delay: 1h")
    screen = terminal("run", file)
    screen.wait_for("NETWORKING|BLOCK_DEVICE")
    screen.press("\x03")
    screen.wait_for(FINISHING.strip())
    screen.press("\x03")
    # The running step would have taken an hour.
    assert screen.wait() == 130
    assert AT_ONCE in screen.text
    assert screen.raw.rindex("\x1b[?25h") > screen.raw.rindex("\x1b[?25l")

    hosts_only = re.sub("(?s)instances:.*(?=project:)", "", Path(run_file()).read_text())
    Path(file).write_text(hosts_only)
    assert slipway("run", file).exit_code == 0
    resumed = slipway("resume", "--output", "json")
    assert (resumed.exit_code, statuses(resumed)) == (0, ["resumed"]), resumed.output
    assert slipway("run", run_file()).exit_code == 0
    assert_nothing_leaked(slipway)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_without_a_terminal(
    number: signal.Signals, slipway: Call, run_file: FileWriter, environment: dict[str, str], command: list[str]
) -> None:
    process = subprocess.Popen(
        [*command, "run", run_file(SLOW), "--output", "json"],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    while "step.start" not in process.stdout.readline():
        pass
    process.send_signal(number)
    output, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert errors == FINISHING
    result = json.loads(output.splitlines()[-1])
    assert (result["event"], result["exit_code"]) == ("result", 130)
    assert [one["status"] for one in result["instances"]] == ["interrupted", "interrupted"]
    assert slipway("resume").exit_code == 0
    assert_nothing_leaked(slipway)


@pytest.mark.parametrize("shell", ['trap "" INT; exec "$@"', '"$@" & wait $!'], ids=["trap", "background job"])
def test_an_interrupt_that_the_parent_had_ignored_stays_ignored(
    shell: str, slipway: Call, run_file: FileWriter, environment: dict[str, str], command: list[str]
) -> None:
    """A script's background job is not to end by the Ctrl-C that is meant for what is in front; SIGTERM ends it."""
    begin = ["sh", "-c", shell, "sh", *command, "run", run_file(SLOW), "--output", "json"]
    with subprocess.Popen(
        begin, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        while "step.start" not in (line := process.stdout.readline()):
            assert line
        os.killpg(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=PATIENCE)
    assert json.loads(output.splitlines()[-1])["exit_code"] == 0
    assert_nothing_leaked(slipway)


def test_ctrl_c_does_not_end_the_programs_of_a_running_step(
    terminal: Terminals, slipway: Call, tmp_path: Path, gate: Gate
) -> None:
    """A terminal sends it to all that share the command's process group."""
    screen = terminal("run", str(tmp_path / "demo.yaml"), PATH=gate.path)
    gate.wait()
    screen.press("\x03")
    screen.wait_for(FINISHING.strip())
    gate.open()
    assert screen.wait() == 130
    effects = json.loads(slipway("show", "web", "--output", "json").stdout)["effects"]
    assert ("disk", "done") in [(effect["kind"], effect["state"]) for effect in effects]
    assert statuses(slipway("resume", "--output", "json")) == ["resumed"]
    assert_nothing_leaked(slipway)


@pytest.mark.parametrize("command_name", ["destroy", "delete", "resume"])
def test_ctrl_c_while_taking_back_or_resuming(
    command_name: str, terminal: Terminals, slipway: Call, run_file: FileWriter
) -> None:
    file = run_file(SLOW)
    if command_name == "resume":
        stopped = terminal("run", file)
        stopped.wait_for("NETWORKING")
        stopped.press("\x03")
        assert stopped.wait() == 130
    else:
        slipway("run", file)
    args = {"destroy": (file,), "delete": ("gate", "web", "--parallel", "1"), "resume": ()}[command_name]
    screen = terminal(command_name, *args)
    screen.wait_for(FRAMES)
    screen.press("\x03")
    assert screen.wait() == 130
    assert FINISHING in screen.text
    assert f"  slipway {command_name}" in screen.text
    again = slipway(command_name, *[name for name in args if name != "gate"])
    assert again.exit_code == 0, again.output
    assert slipway("resume").exit_code == 0
    assert_nothing_leaked(slipway)


def test_what_another_worker_is_at_is_left_to_it(
    terminal: Terminals, slipway: Call, tmp_path: Path, gate: Gate
) -> None:
    def assert_busy(*args: str) -> None:
        done = slipway(*args, "--output", "json")
        assert (done.exit_code, statuses(done)[0]) == (1, "busy"), done.output

    file = str(tmp_path / "demo.yaml")
    worker = terminal("run", file, PATH=gate.path)
    gate.wait()
    assert_busy("resume")
    assert_busy("run", file)
    waiting = terminal("delete", "web")
    waiting.wait_for("  1 waiting")
    assert_busy("delete", "web", "--timeout", "0")
    waiting.press("\x03")
    assert waiting.wait() == 130
    assert "  slipway delete web" in waiting.text
    gate.open()
    # The delete wins: the worker sees it at its next step and takes back what it did.
    assert worker.wait() == 0
    assert json.loads(slipway("list", "--output", "json").stdout) == []
    assert_nothing_leaked(slipway)


def test_a_watch_goes_on_until_ctrl_c(slipway: Call, terminal: Terminals, run_file: FileWriter, tmp_path: Path) -> None:
    slipway("run", run_file())
    for path in (tmp_path / "state" / "world" / "node-1" / "domains").glob("*.json"):
        path.write_text(path.read_text().replace('"running"', '"crashed"'))
    screen = terminal("watch")
    moment = r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}  "
    for text in ("node-1  is heard", "web  STOPPED: the domain is crashed, by itself", "gate  STOPPED: "):
        screen.wait_for(rf"(?m){moment}{text}")
    screen.press("\x03")
    assert screen.wait() == 130
    assert "slipway:" not in screen.text
    assert_nothing_leaked(slipway)


def test_a_watch_ends_with_its_reader(
    command: list[str], environment: dict[str, str], slipway: Call, run_file: FileWriter
) -> None:
    """It notices at the next thing that it would tell."""
    slipway("run", run_file())
    reader, writer = os.pipe()
    os.close(reader)
    watch = subprocess.Popen([*command, "watch", "--output", "json"], stdout=writer, env={**os.environ, **environment})
    os.close(writer)
    assert watch.wait(PATIENCE) == 130
