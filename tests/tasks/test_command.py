"""The task `command`, with real processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from msgspec.structs import replace

from slipway import Orchestrator
from slipway.errors import CommandFailed, CommandsNotAllowed, InvalidArguments, StaleWorker, StepTimeout
from slipway.flows.tasks.base import Task, Tools
from slipway.flows.tasks.command import MOST_BYTES, Command, CommandResult
from slipway.testing.contracts.task import IrreversibleContract
from tests.tasks.conftest import Do


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


class TestCommand(IrreversibleContract):
    @pytest.fixture
    def tools(self, tools: Tools) -> Tools:
        return replace(tools, allow_commands=True)

    @pytest.fixture
    def task(self) -> Task:
        return Command()

    @pytest.fixture
    def arguments(self, tmp_path: Path) -> Mapping[str, Any]:
        code = "import os, pathlib; pathlib.Path(os.environ['SLIPWAY_EFFECT_KEY'].replace('/', '-')).touch()"
        (tmp_path / "made").mkdir()
        return {"argv": python(code), "cwd": str(tmp_path / "made")}

    @pytest.fixture
    def holdings(self, tmp_path: Path) -> Callable[[], Mapping[str, str]]:
        return lambda: {path.name: "" for path in (tmp_path / "made").iterdir()}


def test_what_it_wrote_is_its_result(do: Do, tmp_path: Path) -> None:
    code = "import os, sys; print(os.environ['MINE'], os.getcwd(), sys.stdin.read()); print('oh', file=sys.stderr)"
    result = do(Command(), {"argv": python(code), "env": {"MINE": "x"}, "cwd": str(tmp_path)})
    assert result == CommandResult(f"x {tmp_path} \n", "oh\n")


def test_no_shell_is_between(do: Do) -> None:
    assert do(Command(), {"argv": ["echo", "$HOME; rm -rf *", "`id`"]}).stdout == "$HOME; rm -rf * `id`\n"


def test_it_is_refused_unless_it_is_allowed(do: Do, tools: Tools, tmp_path: Path) -> None:
    made = tmp_path / "made"
    with pytest.raises(CommandsNotAllowed, match="commands are not allowed here"):
        do(Command(), {"argv": ["touch", str(made)]}, tools=replace(tools, allow_commands=False))
    assert not made.exists()


def test_commands_are_not_allowed_by_default(tools: Tools) -> None:
    assert Tools(*(getattr(tools, name) for name in Tools.__struct_fields__[:6])).allow_commands is False


def test_another_exit_than_0_is_a_failure_with_the_end_of_what_it_said(do: Do) -> None:
    code = "import sys; sys.stderr.write('x' * 5000 + 'why\\nand what'); sys.exit(3)"
    with pytest.raises(CommandFailed) as caught:
        do(Command(), {"argv": [*python(code), "--password", "s3cret"]})
    text = str(caught.value)
    assert text.startswith(f"command {sys.executable} ended with 3: xxx")
    assert text.endswith("xwhy and what")
    assert len(text) < 700
    assert "s3cret" not in text


def test_a_signal_is_named(do: Do) -> None:
    with pytest.raises(CommandFailed, match=r"ended by SIGKILL$"):
        do(Command(), {"argv": python("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")})


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"argv": ["/no/such"]}, "command /no/such cannot be started: No such file or directory"),
        ({"argv": ["/etc/passwd"]}, "command /etc/passwd cannot be started: Permission denied"),
        ({"argv": ["true"], "cwd": "/no"}, "command true cannot be started in /no: No such file or directory"),
    ],
)
def test_what_cannot_be_started_says_why(do: Do, given: dict[str, Any], text: str) -> None:
    with pytest.raises(CommandFailed) as caught:
        do(Command(), given)
    assert str(caught.value) == text


@pytest.mark.parametrize(
    "given",
    [
        {"argv": []},
        {"argv": [""]},
        {"argv": ["a\0b"]},
        {"argv": "echo hello"},
        {"argv": ["true"], "env": {"A\0": "1"}},
        {"argv": ["true"], "env": {"A=B": "1"}},
        {"argv": ["true"], "env": {"": "1"}},
        {"argv": ["true"], "cwd": "a\0"},
        {"argv": ["true", 1]},
    ],
)
def test_what_is_no_command_is_refused(do: Do, given: dict[str, Any]) -> None:
    with pytest.raises(InvalidArguments):
        do(Command(), given)


def test_what_is_kept_is_bounded(do: Do) -> None:
    result = do(Command(), {"argv": python("import sys; sys.stdout.write('a' * 3_000_000 + 'b')")})
    assert len(result.stdout) == MOST_BYTES
    assert result.stdout.endswith("ab")


STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
with open(sys.argv[1] + ".new", "w") as file:
    file.write(f"{os.getpid()} {child.pid}")
os.rename(sys.argv[1] + ".new", sys.argv[1])
time.sleep(600)
"""


def test_at_the_deadline_all_of_it_is_ended(do: Do, tmp_path: Path) -> None:
    file = tmp_path / "pids"
    began = time.monotonic()
    with pytest.raises(StepTimeout, match="its time was over"):
        do(Command(), {"argv": [*python(STUBBORN), str(file)]}, seconds=2.0)
    assert time.monotonic() - began < 20
    gone = [int(word) for word in file.read_text().split()]
    psutil.wait_procs([psutil.Process(pid) for pid in gone if psutil.pid_exists(pid)], timeout=10)
    assert not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in gone)


def test_what_ends_the_run_ends_it(do: Do, tmp_path: Path) -> None:
    file = tmp_path / "pids"

    def check() -> None:
        if file.exists():
            raise StaleWorker("another one has it")

    with pytest.raises(StaleWorker):
        do(Command(), {"argv": [*python(STUBBORN), str(file)]}, check=check, seconds=60)
    own = int(file.read_text().split()[0])
    assert not psutil.pid_exists(own)


def test_a_process_that_it_left_behind_is_not_waited_for(do: Do, tmp_path: Path) -> None:
    file = tmp_path / "pid"
    code = (
        "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
        "open(sys.argv[1], 'w').write(str(child.pid)); print('done')"
    )
    began = time.monotonic()
    assert do(Command(), {"argv": [*python(code), str(file)]}).stdout == "done\n"
    assert time.monotonic() - began < 10
    os.kill(int(file.read_text()), signal.SIGKILL)


def test_one_that_is_left_behind_and_writes_for_ever_is_not_waited_for(do: Do, tmp_path: Path) -> None:
    file = tmp_path / "pid"
    code = "import subprocess, sys; open(sys.argv[1], 'w').write(str(subprocess.Popen(['yes']).pid))"
    assert do(Command(), {"argv": [*python(code), str(file)]}).stdout.startswith("y\n")
    os.kill(int(file.read_text()), signal.SIGKILL)


def test_a_program_that_closes_its_output_is_waited_for(do: Do, tmp_path: Path) -> None:
    made = tmp_path / "made"
    code = "import os, sys, time; os.close(1); os.close(2); time.sleep(0.5); open(sys.argv[1], 'w').close()"
    do(Command(), {"argv": [*python(code), str(made)]})
    assert made.exists()


# --- when the worker is killed ------------------------------------------------------------------------------------

ALIVE = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
places, name = sys.argv[1:]
if os.fork() == 0:
    os.setsid()  # it leaves the group
    os.closerange(0, 100)
    if os.fork():
        os._exit(0)
    name += "-child"
with open(f"{places}/{name}-{os.getpid()}", "w"):
    time.sleep(600)
"""


def begun(places: Path, number: int) -> list[int]:
    """The numbers of the processes that have begun, once there are so many."""
    until = time.monotonic() + 30
    while len(found := [int(path.name.rpartition("-")[2]) for path in places.iterdir()]) < number:
        assert time.monotonic() < until, found
        time.sleep(0.02)
    return found


def alive(pid: int) -> bool:
    """Whether it does anything: who adopts it may be slow to hear of its end."""
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def wait_until_gone(pids: list[int]) -> None:
    until = time.monotonic() + 20
    while any(map(alive, pids)):
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.fixture
def places(tmp_path: Path) -> Path:
    made = tmp_path / "places"
    made.mkdir()
    return made


@pytest.fixture
def flow(tmp_path: Path, places: Path) -> Path:
    program, flow = tmp_path / "alive.py", tmp_path / "flow.yaml"
    program.write_text(ALIVE)
    argv, back = [[sys.executable, str(program), str(places), name] for name in ("do", "undo")]
    step = {
        "id": "it",
        "uses": "command",
        "with": {"argv": argv},
        "revert": {"uses": "command", "with": {"argv": back}},
    }
    flow.write_text(json.dumps({"schema": 1, "name": "flow", "steps": [step]}))
    return flow


def slipway(tmp_path: Path, *words: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", "from slipway.cli.main import main; main(prog_name='slipway')", *words]
    state = ("--allow-commands", "--state", str(tmp_path / "state"))
    return subprocess.Popen([*command, *state], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_all_of_it_ends_when_slipway_is_killed(tmp_path: Path, places: Path, flow: Path) -> None:
    """Also what has left its group, closed every file and does not heed SIGTERM."""
    with slipway(tmp_path, "run", str(flow)) as worker:
        found = begun(places, 2)
        worker.kill()
    wait_until_gone(found)


def test_nothing_of_it_is_beside_its_successor(tmp_path: Path, places: Path, flow: Path) -> None:
    """Nor beside what takes it back; whoever goes on comes before the watcher has ended the first one."""
    for words, name in ((("resume",), "do"), (("runs", "cancel"), "undo")):
        with slipway(tmp_path, "run", str(flow)) as first:
            earlier = begun(places, 2)
            (watcher,) = [one for one in psutil.Process(first.pid).children() if "orphans" in " ".join(one.cmdline())]
            watcher.suspend()
            first.kill()
        with Orchestrator(tmp_path / "state") as look:
            run = look.runs.list()[-1]
        with slipway(tmp_path, *words, *([run.id] if len(words) > 1 else [])) as second:
            found = begun(places, 4)
            assert not any(map(alive, earlier))
            assert {path.name.partition("-")[0] for path in places.iterdir()} == {"do", name}
            second.kill()
        watcher.kill()
        wait_until_gone(found)
        shutil.rmtree(tmp_path / "state")
        for path in places.iterdir():
            path.unlink()


def test_what_a_command_left_behind_that_has_ended_stays(tmp_path: Path, places: Path) -> None:
    """A service that it starts is what it was for."""
    flow = tmp_path / "flow.yaml"
    code = f"import subprocess; p = subprocess.Popen(['sleep', '600']); open(f'{places}/{{p.pid}}', 'w')"
    step = {"id": "it", "uses": "command", "with": {"argv": python(code)}}
    flow.write_text(json.dumps({"schema": 1, "name": "flow", "steps": [step]}))
    with slipway(tmp_path, "run", str(flow)) as worker:
        assert worker.wait(60) == 0
    (left,) = begun(places, 1)
    time.sleep(0.5)
    assert psutil.pid_exists(left)
    os.kill(left, signal.SIGKILL)


def test_the_key_is_not_the_workflow_s_to_give(do: Do) -> None:
    code = "import os; print(os.environ['SLIPWAY_EFFECT_KEY'])"
    assert do(Command(), {"argv": python(code), "env": {"SLIPWAY_EFFECT_KEY": "mine"}}).stdout != "mine\n"
