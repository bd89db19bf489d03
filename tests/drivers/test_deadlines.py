"""Whatever a driver waits for, it is back by its call's deadline."""

from __future__ import annotations

import math
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from slipway.drivers import programs
from slipway.drivers.compute.sim import SimCompute
from slipway.drivers.deadline import in_time, left, within
from slipway.drivers.files import locked
from slipway.errors import ComputeError, StepTimeout, TransientNetworkError, WiringError
from slipway.model.network import Context
from slipway.model.request import Host, Simulation
from tests.waiting import PATIENCE


def test_a_wait_has_its_own_bound_or_what_is_left_of_the_calls() -> None:
    assert left(5.0) == 5.0
    assert left(math.inf) == math.inf
    with within(2.0):
        assert 0 < left(5.0) <= 2.0
        assert left(0.5) == 0.5
        with within(60.0):
            assert left(5.0) <= 2.0, "the outer one is over before"
        with within(0.01):
            time.sleep(0.02)
            with pytest.raises(StepTimeout, match="the time of the step is over"):
                left(5.0)
        assert left(1.0) == 1.0
    assert left(5.0) == 5.0


def test_a_deadline_is_that_of_the_thread_that_makes_the_call() -> None:
    with within(1.0), ThreadPoolExecutor(1) as pool:
        assert pool.submit(left, 5.0).result() == 5.0
        assert left(5.0) <= 1.0


def test_a_call_that_cannot_be_bounded_is_left_behind() -> None:
    over = threading.Event()
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        in_time(lambda: over.wait(PATIENCE), 0.1, name="left behind")
    assert time.monotonic() - began < PATIENCE / 10
    over.set()
    with pytest.raises(ValueError, match="its own"):
        in_time(lambda: int("its own"), 5.0, name="raises")
    assert in_time(lambda: 5, 5.0, name="answers") == 5


def test_a_program_is_ended_in_time_and_its_words_are_kept() -> None:
    done = programs.run(["sh", "-c", "cat; echo words >&2; exit 3"], timeout=PATIENCE, input="given")
    assert (done.returncode, done.stdout, done.stderr) == (3, "given", "words\n")
    began = time.monotonic()
    with within(0.2), pytest.raises(subprocess.TimeoutExpired) as caught:
        programs.run(["sh", "-c", "sleep 300 & sleep 300"], timeout=PATIENCE)
    assert caught.value.timeout <= 0.2
    assert time.monotonic() - began < PATIENCE / 10
    with pytest.raises(FileNotFoundError):
        programs.run(["no-such-program"], timeout=1.0)


def test_a_lock_is_waited_for_no_longer_than_the_call_has(tmp_path: Path) -> None:
    got: list[str] = []

    def wait() -> None:
        with within(10.0), locked(tmp_path):
            got.append("later")

    with ThreadPoolExecutor(1) as pool:
        with locked(tmp_path), locked(tmp_path, "a"), locked(tmp_path, "b"):
            for name in (None, "a"):
                said = r"/\.lock is locked by another thread or process"
                with within(0.1), pytest.raises(StepTimeout, match=said), locked(tmp_path, name):
                    got.append("never")
            waiting = pool.submit(wait)
            time.sleep(0.05)
        waiting.result(PATIENCE)
    with within(0.1), locked(tmp_path), locked(tmp_path, "a"):
        got.append("free")
    assert got == ["later", "free"]


def test_a_simulated_host_that_is_slow_is_given_up_in_time(tmp_path: Path) -> None:
    slept: list[float] = []
    host = Host("h1", vcpus=1, memory=1 << 30, disk=1 << 30, simulate=Simulation(delay=300.0))
    compute = SimCompute(host, tmp_path, sleep=slept.append)
    with within(2.0), pytest.raises(ComputeError, match=r"h1: the simulated hypervisor did not answer within"):
        compute.power_state("one")
    assert [0 < seconds <= 2.0 for seconds in slept] == [True]


class Dripping(BaseHTTPRequestHandler):
    """An answer that never ends and never pauses for long."""

    over: threading.Event

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        while not self.over.wait(0.02):
            try:
                self.wfile.write(b" ")
            except OSError:
                return

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that http.server passes
        """Nothing."""


@pytest.fixture
def dripping(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of such a server."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    Dripping.over = threading.Event()
    with ThreadingHTTPServer(("127.0.0.1", 0), Dripping) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        Dripping.over.set()
        server.shutdown()
        thread.join()


def test_a_slow_neutron_is_given_up_in_time(dripping: str) -> None:
    pytest.importorskip("openstack", reason="openstacksdk is not installed")
    from slipway.drivers.network.neutron.service import Service

    service = Service(None, dripping)
    began = time.monotonic()
    with within(3.0), pytest.raises(TransientNetworkError, match=r"GET /ports: no answer within"):
        service.all(Context("demo"), "ports", {})
    assert time.monotonic() - began < PATIENCE / 10


def test_a_program_in_a_namespace_is_ended_in_time() -> None:
    from slipway.drivers.wiring.linuxbridge import namespace

    with within(0.2), pytest.raises(WiringError, match=r"sleep 300: not done after 0\.\d+ s"):
        namespace.run(None, ["sleep", "300"], timeout=PATIENCE)
