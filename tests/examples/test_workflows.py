"""The workflows of the examples: done, undone when their last step fails, and killed at commits of either."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from copy import deepcopy
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from slipway import Orchestrator, load
from slipway.flows.runs.prepared import Given
from slipway.flows.tasks.catalog import load_tasks
from slipway.model.run import RunRecord
from slipway.testing import Fault, Faults, Mode, crashed
from tests import record
from tests.examples.services import Services

WORKFLOWS = Path(__file__).parents[2] / "examples" / "workflows"
AGENT = "http://10.20.0.{}:9100"
"""Where an instance is; with a DHCP server on the network not every address from 2 on is one's."""


class Example(NamedTuple):
    """A workflow and its inputs; what it finds: instances, and resources of services. Its last step fails when
    the services refuse `refused`, or with the inputs `failing`. It is killed at every `stride`th commit."""

    file: str
    inputs: dict[str, Any]
    instances: int = 0
    resources: Mapping[str, Any] = MappingProxyType({})
    refused: str = ""
    failing: Mapping[str, Any] = MappingProxyType({})
    stride: int = 1


WEB = [{"old": f"web-{n}", "new": f"web-{n}b"} for n in (1, 2, 3)]
BACKENDS = {f"http://lb/backends/web-{n}": {"address": f"10.20.0.{n + 1}"} for n in (1, 2, 3)}
FIRST = {"http://lb/backends/web-1": {"address": "10.20.0.2"}}
REPLACING = {"old": "web-1", "new": "web-1b", "balancer": "http://lb", "image": "/images/new"}
ROLLING = {"instances": WEB, "balancer": "http://lb", "image": "/images/new", "old_image": "/images/tiny"}
ROTATING = {"instances": [f"web-{n}" for n in (1, 2, 3)], "name": "new", "certificate": "PEM", "key": "hunter-2"}

EXAMPLES = (
    Example("build-with-dns", {"name": "web-1", "dns": "http://dns"}, refused="GET http://dns", stride=9),
    Example(
        "approval",
        {"release": "2.1", "service": "http://deploy"},
        resources={"http://deploy/stages/live": {"release": "2.0"}},
        refused="GET http://deploy/health",
        stride=4,
    ),
    Example("replace-one", REPLACING, 1, FIRST, "DELETE http://lb/backends/web-1$", stride=15),
    Example("rolling-replacement", ROLLING, 3, BACKENDS, "GET http://lb/health", stride=60),
    Example(
        "rotate-certificate",
        ROTATING,
        3,
        {f"{AGENT.format(n)}/active": {"name": "old"} for n in range(2, 8)},
        "GET .*:9100/health",
        stride=15,
    ),
    Example("inventory", {"name": "db-1", "inventory": "inventory.json"}, failing={"most": 0}, stride=7),
)
"""Each is a file's own text; nothing of it is another one for the tests."""

names = pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.file)


class Place:
    """Where an example is run: a site with its instances, and the services."""

    def __init__(self, directory: Path, services: Services, example: Example) -> None:
        self.directory, self.services, self.example = directory, services, example
        services.resources = deepcopy(dict(example.resources))
        self.inputs = dict(example.inputs)
        if "inventory" in self.inputs:
            self.inputs["inventory"] = str(directory / "files" / self.inputs["inventory"])
        self.secrets = {name: self.inputs[name] for name in ("key",) if name in self.inputs}
        (directory / "files").mkdir()
        with self.orchestrator() as slipway:
            slipway.run(load(WORKFLOWS / "site.yaml"))
            (directory / "one.yaml").write_text(ONE)
            for number in range(example.instances):
                run = slipway.runs.run(str(directory / "one.yaml"), {"name": f"web-{number + 1}"})
                assert run.state == "SUCCEEDED"
        self.before = self.seen()

    def orchestrator(self, fault: Fault | None = None) -> Orchestrator:
        state = self.directory / "state"
        return Orchestrator(state, store=Faults(fault).store) if fault else Orchestrator(state)

    def run(self, slipway: Orchestrator, *, fails: bool = False) -> RunRecord:
        """The example to its end, once under a key; somebody approves."""
        self.services.refused = [self.example.refused] if fails and self.example.refused else []
        path, inputs = (
            str(WORKFLOWS / f"{self.example.file}.yaml"),
            {**self.inputs, **(self.example.failing if fails else {})},
        )
        run = slipway.runs.run(path, Given(inputs), idempotency_key="once")
        return slipway.runs.approve(run.id) if run.state == "PAUSED" else run

    def seen(self) -> dict[str, Any]:
        """All that a workflow can change."""
        with self.orchestrator() as slipway:
            assert slipway.audit() == ()
            instances = {one.name: (one.vm_state, one.addresses) for one in slipway.list()}
        files = [json.loads(path.read_text()) for path in (self.directory / "files").glob("*.json")]
        for entry in (entry for file in files for entry in file):
            assert entry.pop("key")
        return {
            "instances": instances,
            "services": deepcopy(self.services.resources),
            "files": list(filter(None, files)),
        }

    def keep(self) -> None:
        """Remember how it is, for `again`."""
        for name in ("state", "files"):
            record.copy(self.directory / name, self.directory / f"{name}.kept")
        self.kept = deepcopy(self.services.resources)

    def again(self) -> None:
        for name in ("state", "files"):
            shutil.rmtree(self.directory / name)
            record.copy(self.directory / f"{name}.kept", self.directory / name)
        self.services.resources = deepcopy(self.kept)


ONE = """
schema: 1
name: one
inputs: {name: {type: string, required: true}}
steps:
  - id: build
    uses: build-instance
    with:
      name: ${{ inputs.name }}
      flavor: {vcpus: 1, memory: 512MiB, disk: 2GiB}
      image: {path: /images/tiny, format: qcow2}
      networks: [front]
"""


@pytest.fixture
def place(tmp_path: Path, services: Services, example: Example) -> Place:
    load_tasks(str(WORKFLOWS / "inventory.py"))
    return Place(tmp_path, services, example)


@names
def test_what_an_example_did_is_undone_when_that_is_wanted(place: Place) -> None:
    with place.orchestrator() as slipway:
        run = place.run(slipway)
    assert (run.state, run.fault) == ("SUCCEEDED", None)
    assert place.seen() != place.before
    with place.orchestrator() as slipway:
        undone = slipway.runs.undo(run.id)
    assert (undone.state, undone.fault) == ("CANCELLED", None)
    assert place.seen() == place.before


@names
def test_all_is_undone_when_the_last_step_fails_and_it_can_be_tried_again(place: Place) -> None:
    with place.orchestrator() as slipway:
        run = place.run(slipway, fails=True)
    assert (run.state, len(run.fault.later if run.fault else ())) == ("FAILED", 0)
    assert run.fault is not None
    assert run.fault.type in ("UnexpectedAnswer", "ConditionFailed")
    assert place.seen() == place.before
    place.services.refused = []
    with place.orchestrator() as slipway:
        again = slipway.runs.retry(run.id, place.secrets | dict.fromkeys(place.example.failing, 1000))
        again = slipway.runs.approve(run.id) if again.state == "PAUSED" else again
        assert again.state == "SUCCEEDED", again.fault
        assert slipway.runs.undo(run.id).state == "CANCELLED"
    assert place.seen() == place.before


@names
@pytest.mark.parametrize("fails", [False, True], ids=["forward", "back"])
@pytest.mark.parametrize(
    "every", [pytest.param(True, marks=pytest.mark.slow, id="every"), pytest.param(False, id="some")]
)
def test_an_example_survives_a_kill_at_its_commits(place: Place, *, every: bool, fails: bool) -> None:
    stride = 1 if every else place.example.stride
    place.keep()
    with place.orchestrator() as slipway:
        place.run(slipway, fails=fails)
    expected, points = place.seen(), 0
    for mode in (Mode.CRASH_BEFORE, Mode.CRASH_AFTER):
        nth = 0
        while True:
            place.again()
            if not crashed(partial(_act, place, Fault("commit", mode, nth), fails=fails)):
                break
            with place.orchestrator() as slipway:
                slipway.resume()
                slipway.runs.resume()
                run = place.run(slipway, fails=fails)
            assert run.state == ("FAILED" if fails else "SUCCEEDED"), (mode, nth, run.fault)
            assert place.seen() == expected, (mode, nth)
            nth, points = nth + stride, points + 1
    assert points >= 4


def _act(place: Place, fault: Fault, *, fails: bool) -> None:
    with place.orchestrator(fault) as slipway:
        place.run(slipway, fails=fails)
