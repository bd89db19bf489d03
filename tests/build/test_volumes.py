"""Volumes that users bring along: one instance at a time has one, and gives it back however its build ends."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from slipway import errors
from slipway.flows.scheduler import disk_total
from slipway.model.request import InstanceRequest, Volume
from slipway.orchestrator import BuildFailed, Orchestrator
from slipway.testing import Fault, Mode
from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from tests.build.conftest import Maker, World


@pytest.fixture
def world(make_world: Maker) -> World:
    return make_world(hosts=2)


def wanted(world: World, name: str, **more: Any) -> InstanceRequest:
    volume = Volume(str(world.state / "data.raw"), "raw")
    return world.request(name, disks=(volume, 1 << 30), **more)


def test_the_slots_are_those_of_the_list_and_the_host_gives_no_room(world: World) -> None:
    request = wanted(world, "web-1")
    assert disk_total(request) == request.flavor.disk + (1 << 30)
    with world.open() as orchestrator:
        instance = orchestrator.create(request)
        effects = [effect for effect in orchestrator.show(instance.id).effects if effect.kind == "disk"]
        assert [effect.slot for effect in effects] == [0, 1, 2]
        assert b"data.raw" in (effects[1].result or b"")
        assert orchestrator.audit() == ()


def test_the_second_is_refused_and_leaves_nothing_until_the_first_is_deleted(world: World) -> None:
    with world.open() as orchestrator:
        first = orchestrator.create(wanted(world, "web-1", host="h1"))
        before = world.reality()
        with pytest.raises(BuildFailed) as refused:
            orchestrator.create(wanted(world, "web-2", host="h2"))
        cause = refused.value.cause
        assert cause is not None
        assert cause.type == "VolumeInUse"
        assert first.id in cause.message
        assert (refused.value.instance.vm_state, refused.value.instance.attempt) == ("ERROR", 1)
        assert world.reality() == before
        orchestrator.delete(first.id)
        assert orchestrator.create(wanted(world, "web-3", host="h2")).vm_state == "ACTIVE"
        assert orchestrator.audit() == ()


def test_a_build_that_fails_gives_it_back(world: World) -> None:
    fault = Fault("spawn", Mode.ERROR, raises=lambda: errors.BadRequest("injected"))
    with world.open(fault) as orchestrator:
        with pytest.raises(BuildFailed, match="injected"):
            orchestrator.create(wanted(world, "web-1"))
        assert orchestrator.create(wanted(world, "web-2")).vm_state == "ACTIVE"


def build(state: Path, request: InstanceRequest, start: Any, ends: Any) -> None:
    with Orchestrator(state) as orchestrator:
        start.wait()
        try:
            ends.put(orchestrator.create(request).vm_state)
        except BuildFailed as failed:
            ends.put(failed.cause.type if failed.cause else "")


def test_of_two_processes_one_gets_it(world: World) -> None:
    with world.open():
        pass
    context = multiprocessing.get_context("spawn")
    start, ends = context.Barrier(2), context.Queue()
    requests = [wanted(world, f"web-{number}", host=f"h{number}") for number in (1, 2)]
    processes = [context.Process(target=build, args=(world.state, request, start, ends)) for request in requests]
    for process in processes:
        process.start()
    found = sorted(ends.get(timeout=PATIENCE) for _ in processes)
    for process in processes:
        process.join(PATIENCE)
    assert found == ["ACTIVE", "VolumeInUse"]
    with world.open() as orchestrator:
        assert orchestrator.audit() == ()
    assert len(list((world.state / "world").glob("*/disks/*.json"))) == 3
