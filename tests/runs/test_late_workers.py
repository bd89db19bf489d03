"""Runs whose steps have instances built, stopped, started, deleted: a worker dies, or wakes up when it was replaced."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway import Orchestrator
from slipway.drill.workflows.campaign import drill_workflow
from slipway.runfile import loads
from slipway.testing import Fault, Faults, Mode, crashed

WORLD = """
schema: 1
hosts: {node-1: {vcpus: 8, memory: 8GiB, disk: 100GiB, compute: sim}}
networks: {net: {subnets: {sub: {cidr: 10.0.0.0/24}}}}
flavors: {small: {vcpus: 1, memory: 512MiB, disk: 2GiB}}
images: {tiny: {path: /tiny.qcow2, format: qcow2}}
instances: {web-1: {flavor: small, image: tiny, networks: [net]}}
"""
FLOW = """
schema: 1
name: again
steps:
  - {id: down, uses: stop, with: {instance: web-1, force: true}}
  - {id: up, uses: start, needs: [down], with: {instance: web-1}}
"""


def test_a_stop_that_comes_late_is_none_and_one_that_was_gone_on_with_is_taken_back(tmp_path: Path) -> None:
    flow = tmp_path / "again.yaml"
    flow.write_text(FLOW)
    only = ("down:pause", "back/up.undo:pause", "commit:crash_after:2")
    report = drill_workflow(flow, world=loads(WORLD, "world.yaml"), only=only)
    assert {one.case.name: one.problems for one in report.leaks} == {}
    assert len(report.results) > len(only)


@pytest.mark.parametrize("dies_at", ["destroy", "delete_disk"])
def test_who_goes_on_with_a_delete_deletes_nothing_that_was_built_since(tmp_path: Path, dies_at: str) -> None:
    flow, state, world = tmp_path / "gone.yaml", tmp_path / "state", loads(WORLD, "world.yaml")
    flow.write_text("schema: 1\nname: gone\nsteps: [{id: it, uses: delete-instance, with: {instance: web-1}}]\n")

    def die() -> None:
        with Faults(Fault(dies_at, Mode.CRASH_BEFORE)).orchestrator(state) as slipway:
            slipway.run(world)
            slipway.runs.run(str(flow))

    assert crashed(die)
    with Orchestrator(state) as slipway:
        gone = slipway.delete("web-1").id
        slipway.run(world)
        assert [run.state for run in slipway.runs.resume()] == ["SUCCEEDED"]
        (there,) = slipway.list()
        assert (there.vm_state, there.id == gone, slipway.audit()) == ("ACTIVE", False, ())
