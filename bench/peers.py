"""What a build is measured against: TaskFlow alone, the bare commits, and DBOS in a process of its own."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from taskflow import engines, task
from taskflow.patterns import linear_flow

from bench.common import Contestant, Counts, Timing

DBOS_VENV = Path.home() / ".cache" / "slipway-bench" / "dbos"


class _Nothing(task.Task):  # type: ignore[misc]
    def execute(self) -> None:
        return None


def taskflow_alone(steps: int) -> Callable[[int], None]:
    """Build a linear flow of tasks that do nothing and run it, in memory, as TaskFlow's documentation says."""

    def work(count: int) -> None:
        for _ in range(count):
            flow = linear_flow.Flow("nothing").add(*(_Nothing(name=f"task-{number}") for number in range(steps)))
            engines.load(flow).run()

    return work


def bare_commits(directory: Path, counts: Counts) -> Callable[[int], None]:
    """As many commits as a build has, each of one row, by sqlite3 alone: every second one inserts, the next updates."""
    connection = sqlite3.connect(directory / "bare.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE effects (key TEXT PRIMARY KEY, state TEXT, args BLOB, result BLOB)")
    made = 0

    def work(count: int) -> None:
        nonlocal made
        for _ in range(count):
            for commit in range(counts.commits):
                connection.execute("BEGIN IMMEDIATE")
                if commit % 2 == 0:
                    made += 1
                    new = (f"instance/step/{made}", "intended", b"x" * 200)
                    connection.execute("INSERT INTO effects VALUES (?, ?, ?, NULL)", new)
                else:
                    done = ("done", b"y" * 200, f"instance/step/{made}")
                    connection.execute("UPDATE effects SET state = ?, result = ? WHERE key = ?", done)
                connection.execute("COMMIT")

    return work


# --- DBOS ---------------------------------------------------------------------------------------------------------


def dbos_python(*, install: bool) -> str | None:
    """A Python that has DBOS: this one, or that of an environment made for it, here if `install`; None without one."""
    if find_spec("dbos"):
        return sys.executable
    python = DBOS_VENV / "bin" / "python"
    if install and not python.exists():
        try:
            subprocess.run([sys.executable, "-m", "venv", DBOS_VENV], check=True)
            subprocess.run([python, "-m", "pip", "install", "--quiet", "dbos"], check=True)
        except subprocess.CalledProcessError as error:
            shutil.rmtree(DBOS_VENV, ignore_errors=True)
            print(f"DBOS cannot be had: {error}", file=sys.stderr)
    return str(python) if python.exists() else None


@contextmanager
def dbos(python: str, directory: Path, steps: int) -> Iterator[Contestant]:
    """DBOS on SQLite in `directory`: a workflow of steps that do nothing, in a process that is asked for each round."""
    script = Path(__file__).with_name("dbos_worker.py")
    command = [python, str(script), str(directory / "dbos.db"), str(steps)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        wanted, answers = process.stdin, process.stdout

        def measure(count: int) -> Timing:
            print(count, file=wanted, flush=True)
            return Timing(**json.loads(answers.readline()))

        yield measure
        wanted.close()


# --- all of them --------------------------------------------------------------------------------------------------

PEERS = ("dbos==3.4.0", "prefect==3.9.1", "taskflow==6.5.0", "sqlalchemy-utils==0.43.0")
"""SQLAlchemy-Utils is what TaskFlow's own persistence needs."""


def peers_python(directory: Path) -> str:
    """A Python that has the peers, in an environment made in `directory`; by uv where there is one, which is quicker.

    Raises `CalledProcessError` where they cannot be had.
    """
    venv = directory / "peers"
    python = venv / "bin" / "python"
    if uv := shutil.which("uv"):
        made = [uv, "venv", "--quiet", "--python", sys.executable, str(venv)]
        install = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python)]
    else:
        made = [sys.executable, "-m", "venv", str(venv)]
        install = [str(python), "-m", "pip", "install", "--quiet"]
    for command in (made, [*install, *PEERS]):
        subprocess.run(command, check=True, cwd=directory)
    return str(python)
