"""The command line as its users have it: called in this process, as a process of its own, and on a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from slipway.cli.main import main
from slipway.orchestrator import Orchestrator
from tests.waiting import PATIENCE, until

COMMAND = [sys.executable, "-c", "from slipway.cli.main import main; main(prog_name='slipway')"]
_MOVES = re.compile(r"(\x1b\[[0-9]*[AK])+")
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

FILE = """\
schema: 1
hosts:
  node-1: {{vcpus: 8, memory: 32GiB, disk: 500GiB, compute: sim, simulate: {{{simulate}}}}}
networks:
  demo-net:
    mtu: {mtu}
    subnets:
      demo-subnet: {{cidr: 192.168.0.0/24}}
flavors:
  small: {{vcpus: 1, memory: 512MiB, disk: 2GiB}}
images:
  tiny: {{kernel: ./vmlinux, initrd: ./initrd.gz}}
instances:
  web: {{flavor: small, image: tiny, networks: [{{network: demo-net, fixed_ip: 192.168.0.10}}]}}
  gate: {{flavor: small, image: tiny, networks: [demo-net], depends_on: [web]}}
project: {project}
"""


@pytest.fixture
def run_file(tmp_path: Path) -> Callable[..., str]:
    """Writes a run file with two instances, of which the second depends on the first; gives its path."""

    def write(simulate: str = "", *, mtu: int = 1500, project: str = "demo") -> str:
        path = tmp_path / "demo.yaml"
        path.write_text(FILE.format(simulate=simulate, mtu=mtu, project=project))
        return str(path)

    return write


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"SLIPWAY_STATE": str(tmp_path / "state")}


@pytest.fixture
def empty(environment: dict[str, str]) -> None:
    """Have the state directory made, with nothing in it."""
    Orchestrator(environment["SLIPWAY_STATE"]).close()


@pytest.fixture
def command() -> list[str]:
    """What starts the command line as a process."""
    return COMMAND


@pytest.fixture
def slipway(environment: dict[str, str]) -> Callable[..., Result]:
    """Calls the command line in this process."""

    def call(*args: str, **variables: str) -> Result:
        return CliRunner().invoke(main, args, env={**environment, **variables}, prog_name="slipway")

    return call


@pytest.fixture
def process(environment: dict[str, str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Calls the command line as a process of its own."""

    def call(
        *args: str, before: tuple[str, ...] = (), stdout: int = subprocess.PIPE, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, **environment, **variables}
        return subprocess.run(
            [*before, *COMMAND, *args],
            env=env,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=PATIENCE,
        )

    return call


class Gate:
    """A step that waits: a `qemu-img` that begins only once it is let through, for a command with this `PATH`."""

    def __init__(self, directory: Path, run_file: str) -> None:
        self.path = f"{directory}:{os.environ['PATH']}"
        self._begun, self._opened = directory / "begun", directory / "opened"
        program = directory / "qemu-img"
        waits = f": >{self._begun}; while [ ! -e {self._opened} ]; do sleep 0.05; done"
        program.write_text(f'#!/bin/sh\n{waits}\nexec {shutil.which("qemu-img")} "$@"\n')
        program.chmod(0o755)
        file = Path(run_file)
        file.write_text(file.read_text().replace("compute: sim", "compute: sim, disks: qcow2"))
        for name in ("vmlinux", "initrd.gz"):
            (file.parent / name).write_text(name)

    def wait(self) -> None:
        """Until somebody stands before it."""
        until(self._begun.exists, "qemu-img")

    def open(self) -> None:
        self._opened.touch()


@pytest.fixture
def gate(tmp_path: Path, run_file: Callable[..., str]) -> Iterator[Gate]:
    """Before the making of the first disk, with a run file that has disks of qemu-img's."""
    if shutil.which("qemu-img") is None:
        pytest.skip("not installed: qemu-img")
    (tmp_path / "bin").mkdir()
    made = Gate(tmp_path / "bin", run_file())
    yield made
    made.open()


class Terminal:
    """The command line on a terminal of its own."""

    def __init__(self, args: tuple[str, ...], env: dict[str, str], *, rows: int, columns: int) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        # A session's leader that opens a terminal has it as its own, so that Ctrl-C reaches it.
        opened = ["sh", "-c", 'exec "$@" <"$0" >"$0" 2>&1', os.ttyname(slave), *COMMAND, *args]
        self._process = subprocess.Popen(opened, env=env, start_new_session=True)
        os.close(slave)
        self.raw = ""

    @property
    def text(self) -> str:
        """All that was written, without colours; a new line begins wherever the cursor was moved up to draw anew."""
        return _ESCAPES.sub("", _MOVES.sub("\n", self.raw)).replace("\r", "")

    def wait_for(self, pattern: str) -> None:
        """Read until something was written that matches."""
        deadline = time.monotonic() + PATIENCE
        while not re.search(pattern, self.text):
            assert time.monotonic() < deadline, self.text
            assert self._read(), self.text

    def press(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def interrupt(self) -> None:
        """Press Ctrl-C until it ends: Python misses one that comes between its prompt and its reading."""
        while self._process.poll() is None:
            self.press("\x03")
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=1)

    def wait(self) -> int:
        """Read until it ends; gives its exit code."""
        while self._read():
            pass
        return self._process.wait(timeout=PATIENCE)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._master)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._master], [], [], PATIENCE)
        try:
            data = os.read(self._master, 65536) if ready else b""
        except OSError:
            # Linux: nobody has the terminal open, no longer or not yet.
            time.sleep(0.01)
            return self._process.poll() is None
        self.raw += data.decode(errors="replace")
        return bool(data)


@pytest.fixture
def terminal(environment: dict[str, str]) -> Iterator[Callable[..., Terminal]]:
    """Starts the command line on a terminal."""
    started: list[Terminal] = []

    def start(*args: str, rows: int = 24, columns: int = 80, **variables: str) -> Terminal:
        env = {**os.environ, **environment, "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8", **variables}
        for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"):
            if name not in variables:
                env.pop(name, None)
        started.append(Terminal(args, env, rows=rows, columns=columns))
        return started[-1]

    yield start
    for one in started:
        one.close()
