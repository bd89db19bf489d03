"""`slipway tasks`, and `--tasks` of the other commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from slipway.flows.tasks.catalog import CATALOG
from tests import record

MINE = '''
from slipway.flows.tasks.base import BuildWork
from slipway.flows.tasks.decorator import task


def unsay(work, file: str) -> None:
    """Take it out of the file."""
    with open(file, "a") as said:
        said.write("unsaid\\n")


@task(revert=unsay)
def say_it(work: BuildWork, file: str, often: int = 1) -> str:
    """Say the instance's name in a file."""
    with open(file, "a") as said:
        said.write(f"{work.instance.name}\\n" * often)
    return file
'''

DEMO = """
schema: 1
hosts: {node-1: {vcpus: 8, memory: 8GiB, disk: 100GiB, compute: sim}}
networks: {net: {subnets: {sub: {cidr: 10.0.0.0/24}}}}
flavors: {small: {vcpus: 1, memory: 512MiB, disk: 2GiB}}
images: {tiny: {kernel: ./vmlinux}}
instances: {web-1: {flavor: small, image: tiny, networks: [net]}}
workflow: ./mine.yaml
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A run file whose workflow uses a task of one's own, in the directory where the commands are typed."""
    from slipway.flows.loader import find_definition

    text = find_definition("build-instance").read_text().replace("name: build-instance", "name: mine")
    step = f"  - {{id: say, uses: say-it, with: {{file: {tmp_path}/said}}}}\n\n"
    (tmp_path / "mine.yaml").write_text(text.replace("  - id: finish\n", f"{step}  - id: finish\n"))
    assert "say-it" in (tmp_path / "mine.yaml").read_text()
    (tmp_path / "mytasks.py").write_text(MINE)
    (tmp_path / "demo.yaml").write_text(DEMO)
    return tmp_path


def typed(place: Path, *words: str) -> tuple[int, str, str]:
    code = "from slipway.cli.main import main; main(prog_name='slipway')"
    environment = {**os.environ, "PYTHONPATH": record.python_path(), "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, "-c", code, *words, *(() if words[0] == "tasks" else ("--state", "state"))],
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_the_catalog(place: Path) -> None:
    code, out, err = typed(place, "tasks")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].split() == ["NAME", "FOR", "UNDO", "DOES"]
    assert len(lines) == 1 + len([task for task in CATALOG.values() if type(task).__module__.startswith("slipway.")])
    (http,) = [line for line in lines if line.startswith("http ")]
    assert http.split(maxsplit=4) == ["http", "runs", "by", "revert", "Send an HTTP request and get the answer."]
    (spawn,) = [line for line in lines if line.startswith("spawn ")]
    assert spawn.split()[1:3] == ["builds", "yes"]


def test_one_task(place: Path) -> None:
    code, out, err = typed(place, "tasks", "stop")
    assert (code, err) == (0, "")
    for text in (
        "Stop an instance of the run's project",
        "with instance  text\n",
        "     force     true or false [default: false]\n",
        "     patience  duration [optional]\n",
        "gives          PowerChange: id (text), name (text), changed (true or false)\n",
        "undo           Start it, where this step stopped it.\n",
        "for            runs of workflows\n",
    ):
        assert text in out


def test_for_programs(place: Path) -> None:
    code, out, _ = typed(place, "tasks", "--output", "json")
    found: list[dict[str, Any]] = json.loads(out)
    assert code == 0
    assert {one["name"] for one in found} >= {"http", "spawn", "build-instance"}
    code, out, _ = typed(place, "tasks", "sleep", "--output", "json")
    one = json.loads(out)
    assert one == next(other for other in found if other["name"] == "sleep")
    assert one.pop("details").startswith("Needs no undo")
    assert one == {
        "name": "sleep",
        "kind": "sleep",
        "description": "Wait for a time, counted from when the step first began. Nothing holds the run meanwhile.",
        "builds_only": False,
        "irreversible": False,
        "inputs": [{"name": "for", "type": "duration", "required": True, "default": None}],
        "output": "null",
        "undo": None,
        "origin": "slipway.flows.tasks.flowcontrol:Sleep",
        "refused": None,
    }


def test_a_name_that_is_none(place: Path) -> None:
    code, out, err = typed(place, "tasks", "htp")
    assert (code, out, err) == (1, "", 'slipway: there is no task "htp", did you mean "http"?\n')


@pytest.mark.parametrize("where", ["mytasks", "mytasks.py", "mytasks:say_it"])
def test_a_task_of_ones_own_is_in_the_catalog(place: Path, where: str) -> None:
    code, out, _ = typed(place, "tasks", "say-it", "--tasks", where)
    assert code == 0
    assert "Say the instance's name in a file." in out
    assert "with file   text\n" in out
    assert "     often  integer [default: 1]\n" in out
    assert "undo        Take it out of the file.\n" in out
    assert typed(place, "tasks", "say-it")[0] == 1


def test_a_workflow_uses_it(place: Path) -> None:
    code, _, err = typed(place, "validate", "demo.yaml")
    assert code == 2
    assert 'unknown task "say-it"' in err
    own = ("--tasks", "mytasks.py")
    assert typed(place, "validate", "demo.yaml", *own)[0] == 0
    assert typed(place, "run", "demo.yaml", *own)[0] == 0
    assert (place / "said").read_text() == "web-1\n"
    assert typed(place, "graph", "./mine.yaml", *own)[0] == 0
    code, _, err = typed(place, "delete", "web-1")
    assert code == 4, "without the task nobody knows how it is undone"
    assert typed(place, "delete", "web-1", *own)[0] == 0
    assert (place / "said").read_text() == "web-1\nunsaid\n"


def test_a_drill_of_it(place: Path) -> None:
    code, out, err = typed(place, "drill", "demo.yaml", "--tasks", "mytasks", "--only", "spawn:error", "--jobs", "1")
    assert code == 0, out + err


def test_what_is_no_module_is_bad_usage(place: Path) -> None:
    for command in ("run", "validate"):
        code, out, err = typed(place, command, "demo.yaml", "--tasks", "nosuch")
        assert (code, out) == (2, "")
        assert err == ("slipway: the tasks of nosuch cannot be loaded: ModuleNotFoundError: No module named 'nosuch'\n")
    assert not (place / "state").exists()
