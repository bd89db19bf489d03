"""A build as a flow of TaskFlow's, in whichever engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from taskflow import engines, task
from taskflow.patterns import linear_flow, unordered_flow

from slipway import InstanceRequest, Orchestrator
from slipway.errors import InvalidRequest, NoValidHost
from slipway.orchestrator import BuildFailed
from slipway.runfile import loads
from slipway.testing import Fault, Faults, Mode

ENGINES = ["slipway", "serial", "parallel"]
FILE = loads(
    """
schema: 1
hosts: {node-1: {vcpus: 4, memory: 4GiB, disk: 90GiB, compute: sim}}
networks: {net: {subnets: {subnet: {cidr: 10.0.0.0/24}}}}
flavors: {small: {vcpus: 1, memory: 64MiB, disk: 1GiB}}
images: {tiny: {path: ./tiny.qcow2, format: qcow2}}
instances: {first: {flavor: small, image: tiny, networks: [net]}}
""",
    "flow.yaml",
)


@pytest.fixture
def slipway(tmp_path: Path) -> Iterator[Orchestrator]:
    with Orchestrator(tmp_path) as opened:
        opened.run(FILE)
        yield opened


def request(name: str, **more: Any) -> InstanceRequest:
    return replace(FILE.instances[0].request, name=name, **more)


class Look(task.Task):  # type: ignore[misc]
    """Takes the id that the build provides, and keeps what is on record then."""

    def __init__(self, slipway: Orchestrator, name: str, given: str, error: BaseException | None = None) -> None:
        super().__init__(name, rebind={"instance_id": given})
        self._slipway = slipway
        self._error = error
        self.seen: list[str] = []

    def execute(self, instance_id: str) -> None:
        self.seen.append(self._slipway.show(instance_id).instance.vm_state)
        if self._error is not None:
            raise self._error


@pytest.mark.parametrize("engine", ENGINES)
def test_a_build_is_a_part_of_a_flow(slipway: Orchestrator, engine: str) -> None:
    look = Look(slipway, "look", "web_id")
    flow = linear_flow.Flow("mine").add(slipway.build_flow(request("web"), provides="web_id"), look)
    found = engines.run(flow, engine=engine)
    assert look.seen == ["ACTIVE"]
    assert slipway.show(found["web_id"]).instance.name == "web"
    assert slipway.audit() == ()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_flow_that_fails_takes_its_instances_back(slipway: Orchestrator, engine: str) -> None:
    builds = [slipway.build_flow(request(name), provides=f"{name}_id") for name in ("web", "db")]
    look = Look(slipway, "look", "db_id", RuntimeError("not like that"))
    flow = linear_flow.Flow("mine").add(unordered_flow.Flow("both").add(*builds), look)
    with pytest.raises(RuntimeError, match="not like that"):
        engines.run(flow, engine=engine)
    assert [instance.name for instance in slipway.list()] == ["first"]
    assert slipway.audit() == ()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_build_that_fails_leaves_no_instance_and_its_own_error(slipway: Orchestrator, engine: str) -> None:
    slipway.run(FILE)
    too_big = replace(FILE.instances[0].request.flavor, vcpus=400)
    with pytest.raises(BuildFailed, match=NoValidHost.__name__):
        engines.run(slipway.build_flow(request("web", flavor=too_big)), engine=engine)
    assert [instance.name for instance in slipway.list()] == ["first"]


@pytest.mark.parametrize("engine", ENGINES)
def test_an_instance_that_cannot_be_taken_back_says_why(tmp_path: Path, engine: str) -> None:
    faults = Faults(Fault("delete_disk", Mode.ERROR, 0, last=99))
    with faults.orchestrator(tmp_path) as slipway:
        slipway.run(FILE)
        look = Look(slipway, "look", "web_id", RuntimeError("not like that"))
        flow = linear_flow.Flow("mine").add(slipway.build_flow(request("web"), provides="web_id"), look)
        with pytest.raises(Exception, match=r"instance web could not be deleted: .*: ComputeError: injected;"):
            engines.run(flow, engine=engine)


def test_somebody_else_s_instance_of_that_name_stays(slipway: Orchestrator) -> None:
    flow = slipway.build_flow(request("first"))
    with pytest.raises(Exception, match="first"):
        engines.run(flow, engine="slipway")
    assert [(instance.name, instance.vm_state) for instance in slipway.list()] == [("first", "ACTIVE")]


def test_a_flow_that_is_resumed_goes_on_with_the_build_that_it_began(slipway: Orchestrator) -> None:
    """The process ends between the build and what comes after it, so that TaskFlow does the build again."""
    flow = slipway.build_flow(request("web", idempotency_key="once"))
    engine = engines.load(flow, engine="slipway")
    engine.run()
    (name,) = engine.storage.get_atoms_states(["create web"])
    engine.storage.set_atom_state(name, "RUNNING")
    engine.run()
    assert engine.storage.get_flow_state() == "SUCCESS"
    assert [instance.name for instance in slipway.list()] == ["first", "web"]


def test_what_is_wrong_is_said_before_there_is_a_flow(slipway: Orchestrator) -> None:
    with pytest.raises(InvalidRequest):
        slipway.build_flow(request("no such name!"))
