"""A race for the last place of a host ends on the next one; only a host's own failures count against it."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from slipway.flows.tasks.catalog import CATALOG
from slipway.model.record import Event
from slipway.model.request import InstanceRequest
from slipway.orchestrator import BuildFailed, Orchestrator
from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from tests.build.conftest import Maker, World

ROOT = Path(__file__).parents[2]
ONE_PLACE = "vcpus: 4, memory: 1GiB, disk: 100GiB"
"""A host on which one instance has room."""


@pytest.fixture
def world(make_world: Maker) -> World:
    return make_world(hosts=3, host=ONE_PLACE)


def build(state: Path, request: InstanceRequest, meet: Callable[[], Any]) -> tuple[str, int]:
    """Have it claim its host only when all others have chosen theirs; where it ends, and at which attempt."""

    def on_event(event: Event) -> None:
        if (event.type, event.step, event.attempt) == ("step.start", "claim", 1):
            meet()

    with Orchestrator(state) as orchestrator:
        built = orchestrator.create(request, on_event=on_event)
        assert built.host is not None
        return built.host, built.attempt


def in_process(state: Path, request: InstanceRequest, barrier: Any, ends: Any) -> None:
    try:
        ends.put(build(state, request, lambda: barrier.wait(PATIENCE)))
    except BuildFailed as failed:
        ends.put((str(failed), 0))


def check(world: World, ends: list[tuple[str, int]]) -> None:
    # All three chose h1 first, and each got a host of its own by the alternates on record.
    assert sorted(ends) == [("h1", 1), ("h2", 2), ("h3", 3)]
    with world.open() as orchestrator:
        assert [(one.memory_used, one.failed_builds) for one in orchestrator.hosts()] == [(1 << 30, 0)] * 3
        assert orchestrator.audit() == ()
        chosen = orchestrator.explain("web-0").then
        assert chosen is not None
        assert chosen.placement.hosts == ("h1", "h2", "h3")


def test_threads_that_want_the_last_place_end_on_the_alternates(world: World) -> None:
    barrier = threading.Barrier(3)
    with ThreadPoolExecutor(3) as pool:
        begun = [
            pool.submit(build, world.state, world.request(f"web-{number}"), lambda: barrier.wait(PATIENCE))
            for number in range(3)
        ]
        check(world, [one.result(PATIENCE) for one in begun])


def test_processes_that_want_the_last_place_end_on_the_alternates(world: World) -> None:
    context = multiprocessing.get_context("fork")
    barrier, ends = context.Barrier(3), context.Queue()
    processes = [
        context.Process(target=in_process, args=(world.state, world.request(f"web-{number}"), barrier, ends))
        for number in range(3)
    ]
    for process in processes:
        process.start()
    found = [ends.get(timeout=PATIENCE) for _ in processes]
    for process in processes:
        process.join(PATIENCE)
    check(world, found)


@pytest.mark.parametrize(
    "step",
    [
        "{id: more, uses: http, with: {url: 'http://127.0.0.1:1/'}}",
        "{id: more, uses: command, with: {argv: ['false']}}",
        "{id: more, uses: assert, with: {that: false, message: no}}",
        "{id: more, uses: wait-for, timeout: 200ms, with: {file: /nowhere/at/all}}",
    ],
)
def test_a_step_that_does_nothing_on_the_host_does_not_count_against_it(
    make_world: Maker, step: str, tmp_path: Path
) -> None:
    world = make_world(hosts=1)
    own = tmp_path / "own.yaml"
    text = (ROOT / "slipway" / "flows" / "definitions" / "build-instance.yaml").read_text()
    lines = text.replace("name: build-instance", "name: own").split("\n")
    last = max(number for number, line in enumerate(lines) if line.startswith("  - id:"))
    own.write_text("\n".join([*lines[:last], f"  - {step}", *lines[last:]]))
    with world.open(workflow=str(own), allow_commands=True) as orchestrator:
        with pytest.raises(BuildFailed) as failed:
            orchestrator.create(world.request())
        assert failed.value.cause is not None
        assert failed.value.cause.step == "more"
        assert [one.failed_builds for one in orchestrator.hosts()] == [0]


def test_what_a_guest_leaves_undone_does_not_count_against_its_host() -> None:
    assert not CATALOG["wait-ready"].tells_of_host
    assert CATALOG["spawn"].tells_of_host
    assert CATALOG["create-disk"].tells_of_host
    assert CATALOG["plug"].tells_of_host
