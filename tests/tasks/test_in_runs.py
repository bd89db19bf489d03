"""The tasks as steps of real runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway import Orchestrator
from slipway.model.request import Host, Simulation
from slipway.settings import Settings

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
