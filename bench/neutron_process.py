"""A real Neutron to ask and to measure against, in a process and an environment of its own."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

VENV = Path.home() / ".cache" / "slipway-bench" / "neutron-29.0.0"
HERE = Path(__file__).parent


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that say which Neutron."""
    parser.add_argument("--neutron", metavar="PYTHON", help=f"a Python that has Neutron 29.0 (default that of {VENV})")
    parser.add_argument("--install", action="store_true", help="install Neutron there first, if it is not there")


def python_of(options: argparse.Namespace) -> str | None:
    """The Python that has Neutron; None without one."""
    if options.neutron:
        return str(options.neutron)
    python = VENV / "bin" / "python"
    if options.install and not python.exists():
        try:
            subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
            pip = [python, "-m", "pip", "install", "--quiet"]
            subprocess.run([*pip, "-r", HERE / "neutron-requirements.txt"], check=True)
        except subprocess.CalledProcessError as error:
            shutil.rmtree(VENV, ignore_errors=True)
            print(f"Neutron cannot be had: {error}", file=sys.stderr)
    return str(python) if python.exists() else None


class Neutron:
    """The process: one question, one answer."""

    def __init__(self, wanted: TextIO, answers: TextIO) -> None:
        self._wanted = wanted
        self._answers = answers

    def _ask(self, **question: Any) -> dict[str, Any]:
        print(json.dumps(question), file=self._wanted, flush=True)
        line = self._answers.readline()
        if not line:
            raise RuntimeError("Neutron has ended; see what `python bench/neutron_worker.py sqlite://` says")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def work(self, what: str, count: int) -> dict[str, float]:
        """Have the plugin `create`, `create, bound` or `delete` so many ports; the CPU, wall and statements of one."""
        return self._ask(work=what, count=count)

    def call(
        self, method: str, path: str, body: Any = None, *, project: str = "demo", member: bool = False
    ) -> dict[str, Any]:
        """One request to the API: `status` and `body`, or `status`, `error` (the class) and `message`."""
        return self._ask(method=method, path=path, body=body, project=project, member=member)


@contextmanager
def running(python: str, db: str = "sqlite://") -> Iterator[Neutron]:
    """A Neutron of its own, on this database."""
    command = [python, str(HERE / "neutron_worker.py"), db]
    # What Neutron says of agents and services that are not there is of no use here.
    quiet = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, text=True, **quiet) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield Neutron(process.stdin, process.stdout)
        process.stdin.close()
