"""Workflows of any acyclic shape, one step at a time and side by side."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from slipway import BuildFailed, errors
from slipway.flows.loader import find_definition
from slipway.model.record import Event
from slipway.testing import Fault, Mode
from tests.build.conftest import Maker

NEEDS = {
    "requirements": ["schedule", "claim"],
    "mapping": ["claim"],
    "seeding": ["bindings", "disks", "claim"],
    "definition": ["disks", "seed", "bindings"],
    "plugs": ["bindings", "mapping"],
    "filters": ["bindings"],
    "dhcp-ports": ["plugs"],
    "dhcp": ["dhcp-ports", "filters"],
    "spawn": ["definition", "dhcp"],
    "finish": ["ready", "claim"],
}
"""It branches and meets again and again, and in no order that a file could have."""


@pytest.fixture
def workflow(tmp_path: Path) -> str:
    text = yaml.safe_load(find_definition("build-instance").read_text())
    for step in text["steps"]:
        step["needs"] = NEEDS.get(step["id"], step.get("needs", []))
    before = [step["id"] for step in text["steps"]]
    for at, step in enumerate(text["steps"]):
        step["needs"] = step["needs"] or before[at - 1 : at]
    file = tmp_path / "shape.yaml"
    file.write_text(yaml.safe_dump({**text, "name": "shape"}))
    return str(file)


@pytest.mark.parametrize("threads", [0, 4])
def test_a_workflow_may_branch_and_meet_as_often_as_it_likes(make_world: Maker, workflow: str, threads: int) -> None:
    world = make_world(hosts=1)
    before = world.reality()
    ended: list[str] = []

    def listen(event: Event) -> None:
        ended.extend([event.step] if event.type == "step.end" else [])

    with (
        ThreadPoolExecutor(threads or 1) as pool,
        world.open(executor=pool if threads else None, workflow=workflow) as orchestrator,
    ):
        built = orchestrator.create(world.request(), on_event=listen)
        assert (built.vm_state, orchestrator.audit()) == ("ACTIVE", ())
        for step, needs in NEEDS.items():
            for need in set(needs) & set(ended):
                assert ended.index(need) < ended.index(step)
        orchestrator.delete("web-1")
        assert orchestrator.audit() == ()
    assert world.reality() == before


@pytest.mark.parametrize("threads", [0, 4])
def test_wherever_it_fails_all_of_it_is_undone(make_world: Maker, workflow: str, threads: int) -> None:
    world = make_world(hosts=1)
    before = world.reality()
    faults = world.faults(Fault("spawn", Mode.ERROR, raises=lambda: errors.AbortBuild("no")))
    with (
        ThreadPoolExecutor(threads or 1) as pool,
        world.open(faults, executor=pool if threads else None, workflow=workflow) as opened,
    ):
        with pytest.raises(errors.SlipwayError):
            opened.create(world.request())
        assert opened.audit() == ()
    assert world.reality() == before


@pytest.mark.parametrize("holds", [True, False])
def test_a_step_of_a_build_is_left_out_where_its_if_does_not_hold(
    make_world: Maker, workflow: str, tmp_path: Path, *, holds: bool
) -> None:
    text = yaml.safe_load(Path(workflow).read_text())
    word = "${{ inputs.instance.name == 'web-1' }}" if holds else "${{ inputs.instance.name == 'other' }}"
    text["steps"].insert(1, {"id": "fail", "uses": "assert", "if": word, "with": {"that": False, "message": "held"}})
    file = tmp_path / "if.yaml"
    file.write_text(yaml.safe_dump({**text, "name": "if"}))
    world = make_world(hosts=1)
    with world.open(workflow=str(file)) as orchestrator:
        if holds:
            with pytest.raises(BuildFailed, match="ConditionFailed: held"):
                orchestrator.create(world.request())
        else:
            assert orchestrator.create(world.request()).vm_state == "ACTIVE"
