"""Commands are run for those alone who allow it; who does not leaves the run as it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import record

MINE = '''
import os, signal
from pathlib import Path
from slipway.flows.tasks.decorator import task
from slipway.states.intent import Durability

@task(durability=Durability.RECORDED)
def words(file: str) -> list[str]:
    """Needs no undo."""
    return ["touch", file]

@task(durability=Durability.RECORDED)
def die_once(file: str) -> str:
    """End this process, the first time. Needs no undo."""
    if not Path(file).exists():
        Path(file).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return file
'''

FLOW = """
schema: 1
name: touching
steps:
  - {{id: words, uses: words, with: {{file: {place}/made}}}}
  - {{id: die, uses: die-once, with: {{file: {place}/died}}}}
  - {{id: touch, uses: command, with: {{argv: "${{{{ steps.words.outputs }}}}"}}}}
"""

PLAIN = """
schema: 1
name: plain
steps:
  - {{id: die, uses: die-once, with: {{file: {place}/died-too}}}}
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "touching.yaml").write_text(FLOW.format(place=tmp_path))
    (tmp_path / "plain.yaml").write_text(PLAIN.format(place=tmp_path))
    return tmp_path


def typed(place: Path, *words: str) -> tuple[int, str]:
    code = "from slipway.cli.main import main; main(prog_name='slipway')"
    environment = {**os.environ, "PYTHONPATH": record.python_path()}
    command = [sys.executable, "-c", code, *words, "--state", "state"]
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


OWN = ("--tasks", "mine.py")


def states(place: Path) -> dict[str, str]:
    code, out = typed(place, "runs", "list", "--output", "json")
    assert code == 0, out
    found: list[dict[str, Any]] = json.loads(out)
    return {one["workflow"]: one["state"] for one in found}


def test_a_run_is_refused_before_anything_is_on_record(place: Path) -> None:
    code, out = typed(place, "run", "touching.yaml", *OWN)
    assert code == 2, out
    assert "step touch of touching runs a command" in out
    assert "--allow-commands" in out
    assert states(place) == {}
    assert not (place / "died").exists()


def test_it_runs_where_it_is_allowed(place: Path) -> None:
    (place / "died").touch()
    code, out = typed(place, "run", "touching.yaml", *OWN, "--allow-commands")
    assert code == 0, out
    assert (place / "made").exists()


def test_who_does_not_allow_it_leaves_the_run_to_others_and_goes_on_with_the_rest(place: Path) -> None:
    for file in ("touching.yaml", "plain.yaml"):
        assert typed(place, "run", file, *OWN, "--allow-commands")[0] == -9
    code, out = typed(place, "resume", *OWN)
    assert code == 2, out
    assert "step touch of touching runs a command" in out
    assert states(place) == {"touching": "RUNNING", "plain": "SUCCEEDED"}
    assert not (place / "made").exists()
    code, out = typed(place, "resume", *OWN, "--allow-commands")
    assert code == 0, out
    assert states(place) == {"touching": "SUCCEEDED", "plain": "SUCCEEDED"}
    assert (place / "made").exists()


def test_who_has_not_the_tasks_leaves_the_run_to_others(place: Path) -> None:
    assert typed(place, "run", "plain.yaml", *OWN)[0] == -9
    code, out = typed(place, "resume")
    assert code == 2, out
    assert 'unknown task "die-once"' in out
    assert states(place) == {"plain": "RUNNING"}
    code, out = typed(place, "resume", *OWN)
    assert code == 0, out
    assert states(place) == {"plain": "SUCCEEDED"}
