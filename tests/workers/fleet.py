"""A fleet of the tests' own: one record, simulated hosts, and workers as processes that can be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from slipway import Flavor, GiB, Host, Image, InstanceRequest, MiB, NetworkRequest, Orchestrator
from slipway.errors import StoreError
from slipway.model.request import Simulation
from tests import record
from tests.boards import Server
from tests.host.libvirtd import WITH_US
from tests.waiting import until

SLIPWAY = (sys.executable, "-c", "from slipway.cli.main import main; main(prog_name='slipway')")


class Fleet:
    """`delay`: seconds that each call takes on the hosts; `db`: another database than the state directory's own.

    `apart`: workers are in PID namespaces of their own, as on other machines: nobody sees whether one is gone.
    """

    def __init__(
        self,
        board: Server,
        state: Path,
        *,
        hosts: Sequence[str] = ("node-1", "node-2"),
        delay: float = 0.0,
        db: str | None = None,
        apart: bool = False,
    ) -> None:
        self.board = board
        self.state = state
        self._db = db
        self._apart = apart
        state.mkdir(exist_ok=True)
        self._processes: dict[str, subprocess.Popen[str]] = {}
        with Orchestrator(state, db=db) as made:
            for name in hosts:
                simulate = Simulation(delay=delay)
                made.add_host(Host(name, vcpus=64, memory=64 * GiB, disk=500 * GiB, simulate=simulate))
            net = made.network.create_network(name="demo-net")
            made.network.create_subnet(network_id=net.id, ip_version=4, cidr="10.0.0.0/16")

    def client(self, sleep: Callable[[float], None] = time.sleep) -> Orchestrator:
        """One that posts what is to be done."""
        return Orchestrator(self.state, db=self._db, board=self.board.url, sleep=sleep)

    def look(self) -> Orchestrator:
        """One that only looks."""
        return Orchestrator(self.state, db=self._db)

    def start(self, name: str, *words: str) -> subprocess.Popen[str]:
        """`slipway worker` with those options, once it is heard of."""
        command = [*SLIPWAY, "worker", "--name", name, "--board", self.board.url]
        command = [*(["unshare", "--pid", "--fork", "--kill-child"] if self._apart else []), *command]
        command += ["--db", self._db] if self._db else []
        with (self.state / f"{name}.log").open("w") as log:
            process = subprocess.Popen(
                [*WITH_US, *command, "--state", str(self.state), *words],
                stdout=log,
                stderr=log,
                text=True,
                env={**os.environ, "PYTHONPATH": record.python_path()},
            )
        self._processes[name] = process
        until(lambda: self.is_heard(name) or process.poll() is not None, f"{name} is there")
        assert process.poll() is None, self.log(name)
        return process

    def is_heard(self, name: str) -> bool:
        """Whether a worker of that name is on record and not silent; not where the database cannot say."""
        with suppress(StoreError), self.look() as seen:
            return any(one.name == name and one.state != "silent" for one in seen.workers().workers)
        return False

    def states(self) -> dict[str, str]:
        """What each worker does, the newest of a name."""
        with self.look() as seen:
            return {one.name: one.state for one in seen.workers().workers}

    def in_hand(self, name: str) -> tuple[str, ...]:
        with self.look() as seen:
            return next((one.at_work for one in seen.workers().workers if one.name == name), ())

    def log(self, name: str) -> str:
        return (self.state / f"{name}.log").read_text()

    def holder(self, *names: str) -> str:
        """Which of them has taken the instance `web`."""
        (found,) = (name for name in names if "takes web" in self.log(name))
        return found

    def send(self, name: str, number: int) -> None:
        self._processes[name].send_signal(number)

    def end(self, name: str, number: int = signal.SIGTERM) -> str:
        """What it said."""
        process = self._processes.pop(name)
        process.send_signal(number)
        process.wait(60)
        return self.log(name)

    def close(self) -> None:
        for process in self._processes.values():
            process.kill()
            process.wait()


@contextmanager
def fleet(
    board: Server, state: Path, *, hosts: Sequence[str] = ("node-1", "node-2"), delay: float = 0.0
) -> Iterator[Fleet]:
    """A fleet whose workers end with it."""
    made = Fleet(board, state, hosts=hosts, delay=delay)
    try:
        yield made
    finally:
        made.close()


def request(name: str, *, key: str | None = None) -> InstanceRequest:
    """The least that can be built."""
    return InstanceRequest(
        name,
        Flavor("small", vcpus=1, memory=512 * MiB, disk=2 * GiB),
        Image("tiny", path="/tiny.qcow2", format="qcow2"),
        networks=(NetworkRequest("demo-net"),),
        idempotency_key=key,
    )
