"""What was begun goes on as it was begun: by its own workflow and by the settings of its run."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace

from slipway import Orchestrator, RunFile
from slipway.model.record import Event
from slipway.operations.batch import Status
from slipway.runfile import loads
from slipway.testing import Fault, Faults, crashed
from tests.waiting import PATIENCE

WORKFLOWS = Path(__file__).parents[2] / "slipway" / "flows" / "definitions"
FILE = """
schema: 1
hosts: {{node-1: {{vcpus: 8, memory: 8GiB, disk: 100GiB, compute: sim}}}}
networks: {{a: {{subnets: {{a4: {{cidr: 10.0.0.0/24}}}}}}}}
flavors: {{small: {{vcpus: 1, memory: 512MiB, disk: 2GiB}}}}
images: {{tiny: {{path: ./tiny.qcow2, format: qcow2}}}}
settings: {{default_access_network: a, base_mac: "02:00:00:00:00:00"}}
workflow: {workflow}
instances:
  web: {{flavor: small, image: tiny, networks: [a], count: 3}}
"""


def file(workflow: str = "build-instance") -> RunFile:
    return loads(FILE.format(workflow=workflow), "resume.yaml")


def crash(state: Path, wanted: RunFile, fault: str) -> None:
    def run() -> None:
        faults = Faults(Fault.parse(fault))
        with faults.orchestrator(state, settings=wanted.settings, workflow=wanted.workflow) as slipway:
            slipway.run(wanted)

    assert crashed(run)


def test_the_settings_of_the_run_hold_for_its_resume(tmp_path: Path) -> None:
    crash(tmp_path, file(), "macs_for_instance:crash_after:0")
    with Orchestrator(tmp_path) as slipway:
        slipway.resume()
        (web,) = slipway.list()
        assert web.access_ipv4 == web.addresses[0]
        ports = slipway.network.list_ports()
        assert {port.mac_address[:9] for port in ports} == {"02:00:00:"}


def test_a_build_goes_on_by_the_workflow_that_it_began_with(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text((WORKFLOWS / "build-instance.yaml").read_text().replace("id: spawn", "id: own-spawn"))
    state = tmp_path / "state"
    crash(state, file(str(own)), "spawn:crash_before:0")
    with Orchestrator(state) as slipway:
        slipway.resume()
        steps = {effect.step for effect in slipway.show(slipway.list()[0].name).effects}
    assert "own-spawn" in steps
    assert "spawn" not in steps


def test_what_is_unfinished_goes_on_side_by_side_where_an_executor_is_given(tmp_path: Path) -> None:
    request = file().instances[0].request
    with Orchestrator(tmp_path) as slipway:
        slipway.run(file())

    def create(name: str) -> None:
        with Faults(Fault.parse("spawn:crash_before:0")).orchestrator(tmp_path) as slipway:
            slipway.create(replace(request, name=name))

    assert all(crashed(partial(create, name)) for name in ("one", "two"))
    together = threading.Barrier(2, timeout=PATIENCE)

    def listener(event: Event) -> None:
        if event.type == "step.start" and event.step == "wait":
            together.wait()

    with Orchestrator(tmp_path) as slipway, ThreadPoolExecutor(2) as executor:
        ended = slipway.resume(on_event=listener, executor=executor)
        assert [(one.name, one.status) for one in ended] == [("one", Status.RESUMED), ("two", Status.RESUMED)]
        assert not together.broken
        assert not slipway.audit()


def test_a_resume_that_is_stopped_names_what_it_did_not_begin(tmp_path: Path) -> None:
    crash(tmp_path, file(), "spawn:crash_before:0")
    with Orchestrator(tmp_path) as slipway:
        ended = slipway.resume(stopping=lambda: True)
        assert {one.status for one in ended} == {Status.INTERRUPTED}
        assert {one.name for one in ended} == {one.name for one in slipway.list() if one.task_state}


def test_an_instance_that_cannot_be_replaced_is_a_failure_with_what_is_stuck(tmp_path: Path) -> None:
    text = FILE.format(workflow="build-instance").replace(
        "compute: sim", "compute: sim, simulate: {fail: [spawn, destroy]}"
    )
    wanted = loads(text.replace(", count: 3", ""), "stuck.yaml")
    with Orchestrator(tmp_path) as slipway:
        slipway.run(wanted)
        (again,) = slipway.run(wanted, replace_failed=True).ended
    assert again.status == Status.FAILED
    assert "domain" in {effect.kind for effect in again.stuck}


@pytest.mark.parametrize("parallel", [False, True])
def test_after_stopping_nothing_more_is_put_on_record(parallel: bool, tmp_path: Path) -> None:
    stop = threading.Event()
    with Orchestrator(tmp_path) as slipway, ThreadPoolExecutor(1) as executor:
        ended = slipway.run(
            file(),
            on_event=lambda event: stop.set() if event.type == "instance.create.end" else None,
            executor=executor if parallel else None,
            stopping=stop.is_set,
        ).ended
        assert sorted(one.status for one in ended) == [Status.BUILT, Status.INTERRUPTED, Status.INTERRUPTED]
        assert len(slipway.list()) == 1
