"""The tasks as steps of real runs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from slipway import Orchestrator
from slipway.model.request import Host, Simulation
from slipway.settings import Settings
from tests.tasks.conftest import respond, serving

GIB = 1 << 30


@pytest.fixture
def slipway(tmp_path: Path) -> Iterator[Orchestrator]:
    host = Host("node-1", 8, 8 * GIB, 100 * GIB, simulate=Simulation(delay=0.3))
    with Orchestrator(tmp_path / "state", settings=Settings(step_timeout=1.5, poll_interval=0.05)) as slipway:
        slipway.add_host(host)
        yield slipway


def run(slipway: Orchestrator, place: Path, text: str) -> str:
    file = place / "flow.yaml"
    file.write_text(text)
    done = slipway.runs.run(str(file))
    return f"{done.state} {done.fault.type if done.fault else ''}".strip()


BUILD = """
schema: 1
name: building
steps:
  - id: web
    uses: build-instance
    with:
      name: web
      flavor: {vcpus: 1, memory: 512MiB, disk: 2GiB}
      image: {kernel: /vmlinux}
      networks: []
"""


def test_a_build_has_more_time_than_one_step_of_it(slipway: Orchestrator, tmp_path: Path) -> None:
    began = slipway._monotonic()
    assert run(slipway, tmp_path, BUILD) == "SUCCEEDED"
    assert slipway._monotonic() - began > slipway._settings.step_timeout


def test_a_build_that_is_over_its_own_time_is_taken_back(slipway: Orchestrator, tmp_path: Path) -> None:
    assert run(slipway, tmp_path, f"{BUILD}    timeout: 400ms\n") in ("FAILED StepTimeout", "FAILED InstanceFailed")
    assert slipway.list() == []
    assert slipway.audit() == ()


def test_a_run_whose_request_is_not_answered_is_cancelled_at_once(tmp_path: Path) -> None:
    asked: list[str] = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        asked.append(request.command)
        if request.command == "PUT":
            request.connection.settimeout(60)
            request.connection.recv(1)
        else:
            respond(request, 204)

    with serving(answer) as url:
        step: dict[str, Any] = {"id": "it", "uses": "http", "with": {"method": "PUT", "url": url}}
        step["revert"] = {"uses": "http", "with": {"method": "DELETE", "url": url}}
        flow = tmp_path / "flow.yaml"
        flow.write_text(json.dumps({"schema": 1, "name": "flow", "steps": [step]}))
        with Orchestrator(tmp_path / "state") as slipway, ThreadPoolExecutor(1) as executor:
            handle = slipway.runs.start(str(flow), executor=executor)
            while not asked:
                time.sleep(0.01)
            began = time.monotonic()
            handle.cancel()
            assert handle.wait(30).state == "CANCELLED"
            assert time.monotonic() - began < 5
    assert asked == ["PUT", "DELETE"]


def test_an_instance_that_somebody_deletes_while_it_is_built_is_not_built(
    slipway: Orchestrator, tmp_path: Path
) -> None:
    flow = tmp_path / "flow.yaml"
    flow.write_text(BUILD)
    with Orchestrator(tmp_path / "state") as other, ThreadPoolExecutor(1) as executor:
        handle = slipway.runs.start(str(flow), executor=executor)
        while not any(one.vm_state == "BUILDING" for one in other.list()):
            time.sleep(0.01)
        other.delete("web")
        run = handle.wait(30)
    assert run.state == "FAILED"
    assert run.fault is not None
    assert (run.fault.type, run.fault.message) == ("InstanceDeleted", "instance web was deleted while it was built")
    assert slipway.audit() == ()
