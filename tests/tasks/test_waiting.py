"""The task `wait-for`, with real sockets, servers and files."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
from msgspec.structs import replace

from slipway.errors import InvalidArguments, RunFailed, RunNotFound, StaleWorker, StepTimeout
from slipway.flows.tasks.base import Task, Tools
from slipway.flows.tasks.waiting import WaitFor
from slipway.model.run import RunRecord
from slipway.states import runs
from slipway.states.run_machine import RunState
from slipway.states.schema import runs as rows
from slipway.testing.contracts.task import NoUndoContract
from tests.tasks.conftest import RUN, Do, respond, serving


class TestWaitFor(NoUndoContract):
    @pytest.fixture
    def task(self) -> Task:
        return WaitFor()

    @pytest.fixture
    def arguments(self, tmp_path: Path) -> Mapping[str, Any]:
        return {"file": str(tmp_path)}


@contextmanager
def later(action: Any, seconds: float = 0.3) -> Iterator[None]:
    timer = Timer(seconds, action)
    timer.start()
    try:
        yield
    finally:
        timer.join()


def free_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port: int = unused.getsockname()[1]
        return port


def test_a_file_that_comes(do: Do, tmp_path: Path) -> None:
    file = tmp_path / "ready"
    with later(file.touch):
        assert do(WaitFor(), {"file": str(file), "interval": "50ms"}) == f"{file} is there"


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_a_port_that_opens(do: Do, host: str) -> None:
    port = free_port()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened: list[socket.socket] = []
    with later(lambda: opened.append(socket.create_server((host.strip("[]"), port), family=family))):
        given = {"port": f"{host}:{port}", "interval": 0.05}
        assert do(WaitFor(), given) == f"{host}:{port} takes connections"
    opened[0].close()


def test_a_server_that_becomes_well(do: Do) -> None:
    asked: list[float] = []

    def answer(request: Any) -> None:
        asked.append(time.monotonic())
        respond(request, 200 if len(asked) > 2 else (404, 503)[len(asked) - 1])

    with serving(answer) as url:
        assert do(WaitFor(), {"http": url, "interval": "20ms"}) == "answered 200"
    assert len(asked) == 3


def test_an_address_that_answers(do: Do) -> None:
    assert do(WaitFor(), {"ping": "127.0.0.1"}) == "127.0.0.1 answers"


@pytest.mark.parametrize(
    "given",
    [
        {"file": "/no/such/file"},
        {"port": "127.0.0.1:1"},
        {"port": "no.such.host.invalid:22"},
        {"http": "http://u:s3cret@127.0.0.1:1/"},
        {"ping": "no.such.host.invalid"},
    ],
)
def test_what_does_not_come_is_over_at_the_deadline(do: Do, given: dict[str, str]) -> None:
    began = time.monotonic()
    with pytest.raises(StepTimeout, match=r"^wait-for \w+ .*: not seen in time$") as caught:
        do(WaitFor(), {**given, "interval": "50ms"}, seconds=0.3)
    assert 0.2 < time.monotonic() - began < 15
    assert "s3cret" not in str(caught.value)


def test_the_last_look_is_at_the_deadline_however_long_the_interval(do: Do, tmp_path: Path, tools: Tools) -> None:
    slept: list[float] = []
    now = [0.0]

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    watched = replace(tools, sleep=sleep, monotonic=lambda: now[0])
    with pytest.raises(StepTimeout):
        do(WaitFor(), {"file": str(tmp_path / "no"), "interval": "40s"}, tools=watched, deadline=100.0)
    assert slept == [40.0, 40.0, 20.0]


def test_what_ends_the_run_ends_the_wait(do: Do, tmp_path: Path) -> None:
    looks: list[int] = []

    def check() -> None:
        looks.append(1)
        if len(looks) > 2:
            raise StaleWorker("another one has it")

    with pytest.raises(StaleWorker):
        do(WaitFor(), {"file": str(tmp_path / "no"), "interval": "10ms"}, check=check)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, "wait-for needs exactly one of"),
        ({"file": "/a", "ping": "127.0.0.1"}, "wait-for needs exactly one of"),
        ({"port": "22"}, "wait-for: port must be"),
        ({"port": "host:0"}, "wait-for: port must be"),
        ({"port": "host:65536"}, "wait-for: port must be"),
        ({"port": ":22"}, "wait-for: port must be"),
        ({"port": "host:ssh"}, "wait-for: port must be"),
        ({"port": "host:²"}, "wait-for: port must be"),
        ({"ping": "-f"}, "wait-for: ping must be an address"),
        ({"ping": ""}, "wait-for: ping must be an address"),
        ({"ping": "a\0b"}, "wait-for: ping must be an address"),
        ({"http": "ftp://a/"}, "wait-for: http must be an http or https URL"),
        ({"file": "a\0b"}, "wait-for: file "),
        ({"file": "/a", "interval": "now"}, "wait-for: interval must be a time"),
    ],
)
def test_what_nobody_can_wait_for_is_refused(do: Do, given: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        do(WaitFor(), given)
    assert str(caught.value).startswith(text)


def test_a_file_that_cannot_be_looked_at_is_not_absent(do: Do, tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(InvalidArguments, match="cannot be looked at: Too many levels of symbolic links"):
        do(WaitFor(), {"file": str(loop / "x")})


def begun(tools: Tools, state: RunState, *, project: str = "demo", run_id: str = "0b7e") -> str:
    """Another run, as it stands on record."""
    run = RunRecord(run_id, "mine.yaml", "mine", "d", project, state, 1, 1, b"{}", tools.clock(), worker="somebody")
    with tools.store.write() as tx:
        runs.keep_texts(tx, "d", b"{}")
        runs.create(tx, run)
        tx.execute(rows.update().where(rows.c.id == run_id).values(state=state))
    return run_id


def test_another_run_that_succeeds(do: Do, tools: Tools) -> None:
    run_id = begun(tools, RunState.RUNNING)

    def end() -> None:
        with tools.store.write() as tx:
            tx.execute(rows.update().where(rows.c.id == run_id).values(state=RunState.SUCCEEDED))

    with later(end):
        assert do(WaitFor(), {"run": run_id, "interval": "20ms"}) == f"{run_id} is SUCCEEDED"


@pytest.mark.parametrize("state", [RunState.FAILED, RunState.CANCELLED, RunState.STUCK])
def test_another_run_that_does_not_succeed_is_not_waited_for(do: Do, tools: Tools, state: RunState) -> None:
    with pytest.raises(RunFailed, match=rf"^run 0b7e \(mine\) is {state}$"):
        do(WaitFor(), {"run": begun(tools, state)})


@pytest.mark.parametrize("state", [RunState.RUNNING, RunState.PAUSED, RunState.REVERTING])
def test_a_run_that_has_not_ended_is_waited_for(do: Do, tools: Tools, state: RunState) -> None:
    with pytest.raises(StepTimeout, match=r"^wait-for run 0b7e: not seen in time$"):
        do(WaitFor(), {"run": begun(tools, state), "interval": "20ms"}, seconds=0.1)


def test_runs_that_cannot_be_waited_for(do: Do, tools: Tools) -> None:
    for run_id in ("nosuch", begun(tools, RunState.RUNNING, project="other")):
        with pytest.raises(RunNotFound):
            do(WaitFor(), {"run": run_id})
    with pytest.raises(InvalidArguments, match="a run cannot wait for its own end"):
        do(WaitFor(), {"run": begun(tools, RunState.RUNNING, run_id=RUN.id)})
