"""The checks of the house run with the tests, so that one command says whether the tree is in order."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent


@pytest.mark.parametrize(
    "command",
    [["ruff", "check"], ["ruff", "format", "--check"], ["mypy"], ["lint-imports"]],
    ids=lambda command: " ".join(command),
)
def test_check(command: list[str]) -> None:
    done = subprocess.run([BIN / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_file_of_tests_is_run() -> None:
    """pytest by itself leaves out directories with some names, and says nothing."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:xdist", "-m", "slow or not slow"]
    collected = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    there = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("test_*.py")}
    assert {path for path in there if path not in collected} == set()


def test_nothing_built_or_downloaded_is_kept() -> None:
    """What a benchmark or a tool left behind gets in by `git add` alone."""
    kept = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    paths = [ROOT / name for name in kept.split("\0") if name]
    binaries = {".whl", ".gz", ".zip", ".db", ".qcow2", ".log", ".pyc", ".so"}
    wrong = [path.name for path in paths if path.is_file() and path.suffix in binaries]
    assert not wrong
    assert not [path.name for path in paths if path.is_file() and path.stat().st_size > 1_000_000]


def test_parameters_of_commands_are_of_the_oldest_click() -> None:
    """8.1 knows no types of parameters: a command that names one does not load there."""
    commands = (ROOT / "slipway" / "cli").glob("*.py")
    assert [path.name for path in commands if "ParamType[" in path.read_text()] == []


def test_files_stay_short_enough_to_read() -> None:
    """But for the catalogue of errors and the Python API, which things are looked up in, the ledger and its holder."""
    long = {
        path.relative_to(ROOT).as_posix(): lines
        for path in (ROOT / "slipway").rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > 400
        and path.parent.name != "errors"
        and path.name not in ("orchestrator.py", "ledger.py", "lifecycle.py")
    }
    assert not long


def test_the_core_stays_small() -> None:
    """The record, with builds and runs, the conductor, the compiler and the loader: what a reader must hold in mind."""
    flows = [
        ROOT / "slipway" / "flows" / f"{name}.py" for name in ("conductor", "run", "effect_task", "compiler", "loader")
    ]
    core = [*(ROOT / "slipway" / "states").glob("*.py"), *flows]
    assert sum(len(path.read_text().splitlines()) for path in core) < 6650
