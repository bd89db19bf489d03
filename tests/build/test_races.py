"""Several at once: processes that build, deletes that come between, workers that are replaced, audits in mid-build."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from msgspec.structs import replace

from slipway import errors
from slipway.model.record import Event, Instance
from slipway.model.request import InstanceRequest, NetworkRequest
from slipway.orchestrator import BuildFailed, Orchestrator
from slipway.testing import Fault, Mode, crashed
from tests import record
from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from tests.build.conftest import Maker, World

EACH = 50
"""Instances that each of two processes builds."""

CAPACITY = 30
"""Instances that two small hosts can take."""


@pytest.fixture(params=[False, True], ids=["local", "remote"])
def world(request: pytest.FixtureRequest, make_world: Maker) -> World:
    return make_world(hosts=2, remote=request.param)


def wanted(world: World) -> InstanceRequest:
    return world.request("web-1", NetworkRequest(port="brought"), "net", disks=(1 << 30,), user_data="#cloud-config\n")


# --- processes ----------------------------------------------------------------------------------------------------


def build_many(state: Path, requests: Sequence[InstanceRequest], start: Any, ends: Any) -> None:
    """Build all of them as soon as the other process is there too; tell each one's end."""
    with Orchestrator(state) as orchestrator:
        start.wait()
        for request in requests:
            try:
                built = orchestrator.create(request)
                ends.put((request.name, built.vm_state, built.host, built.addresses))
            except BuildFailed as failed:
                cause = failed.cause
                ends.put((request.name, "ERROR", cause.type if cause else "", ()))


def build_in_two_processes(world: World) -> dict[str, tuple[str, str, tuple[str, ...]]]:
    context = multiprocessing.get_context("fork")
    start, ends = context.Barrier(2), context.Queue()
    requests = [[world.request(f"{side}-{number}") for number in range(EACH)] for side in ("left", "right")]
    processes = [context.Process(target=build_many, args=(world.state, requests[side], start, ends)) for side in (0, 1)]
    for process in processes:
        process.start()
    found = [ends.get(timeout=PATIENCE) for _ in range(2 * EACH)]
    for process in processes:
        process.join(PATIENCE)
    assert [process.exitcode for process in processes] == [0, 0]
    return {name: (state, host, addresses) for name, state, host, addresses in found}


def rows(world: World, query: str) -> list[Any]:
    with closing(record.opened(world.state / "slipway.db")) as database:
        return database.execute(query).fetchall()


def test_two_processes_share_a_subnet_and_hosts(make_world: Maker) -> None:
    world = make_world(hosts=2, host="vcpus: 64, memory: 256GiB, disk: 1TiB")
    ended = build_in_two_processes(world)
    assert {state for state, _, _ in ended.values()} == {"ACTIVE"}
    addresses = [address for _, _, of in ended.values() for address in of]
    assert len(addresses) == len(set(addresses)) == 2 * EACH
    claims = dict(rows(world, "SELECT host, sum(vcpus) FROM claims GROUP BY host"))
    assert sum(claims.values()) == 2 * EACH
    assert dict(rows(world, "SELECT name, vcpus_used FROM hosts")) == claims
    with world.open() as orchestrator:
        assert orchestrator.audit() == ()


def test_two_processes_fill_the_hosts_to_the_brim(make_world: Maker) -> None:
    """What does not fit ends with a clear error, and none of it is given out twice."""
    world = make_world(hosts=2, host=f"vcpus: 64, memory: {CAPACITY // 2}GiB, disk: 1TiB")
    ended = build_in_two_processes(world)
    states = [state for state, _, _ in ended.values()]
    assert (states.count("ACTIVE"), states.count("ERROR")) == (CAPACITY, 2 * EACH - CAPACITY)
    causes = {cause for state, cause, _ in ended.values() if state == "ERROR"}
    assert causes <= {"NoValidHost", "ComputeResourcesUnavailable"}
    assert rows(world, "SELECT name FROM hosts WHERE memory_used != memory_limit") == []
    assert rows(world, "SELECT count(*) FROM claims") == [(CAPACITY,)]
    assert rows(world, "SELECT count(*) FROM ports WHERE device_id != ''") == [(CAPACITY,)]
    with world.open() as orchestrator:
        assert orchestrator.audit() == ()


def test_threads_share_an_orchestrator(world: World) -> None:
    """Builds, failures and deletes side by side, each in its own flow."""
    before = world.reality()
    faults = world.faults(*(Fault("spawn", Mode.ERROR, nth) for nth in range(0, 20, 3)))
    with world.open(faults) as orchestrator, ThreadPoolExecutor(4) as pool:

        def build_and_delete(number: int) -> str:
            name = f"web-{number}"
            with suppress(BuildFailed):
                orchestrator.create(world.request(name))
            return orchestrator.delete(name).vm_state

        assert set(pool.map(build_and_delete, range(20))) == {"DELETED"}
        assert faults.fired
        assert orchestrator.audit() == ()
    assert world.reality() == before


def close_in_mid_build(world: World) -> None:
    """Close the orchestrator while four threads build in it; what they get is an error or what they asked for."""
    begun = threading.Semaphore(0)
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            with world.open() as orchestrator:
                for _ in range(4):
                    request = world.request(f"web-{uuid.uuid4()}")
                    pool.submit(orchestrator.create, request, on_event=lambda _event: begun.release())
                for _ in range(40):
                    begun.acquire(timeout=PATIENCE)


def test_closing_an_orchestrator_in_mid_build_does_not_kill_the_process(make_world: Maker) -> None:
    world = make_world(hosts=2)
    process = multiprocessing.get_context("fork").Process(target=close_in_mid_build, args=(world,))
    process.start()
    process.join(PATIENCE)
    assert process.exitcode == 0


def test_a_process_that_dies_of_anything_but_the_kill_is_a_failure() -> None:
    assert crashed(lambda: os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(RuntimeError, match="SIGTERM"):
        crashed(lambda: os.kill(os.getpid(), signal.SIGTERM))


def test_threads_that_have_ended_keep_no_connection(world: World) -> None:
    """A server that makes a thread a request would run out of file descriptors."""
    with world.open() as orchestrator:
        orchestrator.list()
        before = psutil.Process().num_fds()
        for _ in range(20):
            thread = threading.Thread(target=orchestrator.list)
            thread.start()
            thread.join()
        assert psutil.Process().num_fds() <= before + 6


# --- deletes ------------------------------------------------------------------------------------------------------


def events_of_a_build(world: World) -> int:
    """How many events a build has; the world is as before."""
    events: list[Event] = []
    with world.open() as orchestrator:
        orchestrator.create(wanted(world), on_event=events.append)
        orchestrator.delete("web-1")
    return len(events)


class At:
    """A listener that acts once, at one event."""

    def __init__(self, number: int, act: Callable[[Event], None]) -> None:
        self.left = number
        self.act = act

    def __call__(self, event: Event) -> None:
        self.left -= 1
        if self.left == -1:
            self.act(event)


def test_a_delete_wins_at_every_boundary(world: World) -> None:
    """Another worker deletes while the build is between two steps: the build stops and all of it is undone."""
    before = world.reality()
    count = events_of_a_build(world)
    assert count > 20
    for number in range(count):
        assert delete_at(number, world).vm_state == "DELETED", number
        assert world.reality() == before, number


def delete_at(number: int, world: World) -> Instance:
    """Have another worker delete the instance when its build is at this event; what delete gave."""
    quick = replace(world.settings, poll_interval=0.002)
    with ThreadPoolExecutor(1) as pool, world.open() as builder, world.open(settings=quick, sleep=time.sleep) as other:
        deleted: list[Future[Instance]] = []

        def delete(event: Event) -> None:
            deleted.append(pool.submit(other.delete, "web-1"))
            while builder.get(event.instance_id).task_state != "DELETING" and not deleted[0].done():
                time.sleep(0.001)

        builder.create(wanted(world), on_event=At(number, delete))
        result = deleted[0].result(PATIENCE)
        assert builder.audit() == (), number
        return result


def test_two_deletes_at_once(world: World) -> None:
    """Both see the instance gone, and each thing was undone once."""
    before = world.reality()
    for _ in range(10):
        undone = [(event.step, event.slot) for event in delete_twice(world) if event.type == "step.undo"]
        assert len(undone) == len(set(undone)) > 8
        assert world.reality() == before


def delete_twice(world: World) -> Sequence[Event]:
    """What both deletes told."""
    events: list[Event] = []
    together = threading.Barrier(2)
    quick = {"settings": replace(world.settings, poll_interval=0.002), "sleep": time.sleep}

    def delete(orchestrator: Orchestrator) -> str:
        together.wait()
        try:
            return orchestrator.delete("web-1", on_event=events.append).vm_state
        except errors.InstanceNotFound:
            return "DELETED"

    with ThreadPoolExecutor(2) as pool, world.open(**quick) as one, world.open(**quick) as two:
        one.create(wanted(world))
        assert list(pool.map(delete, (one, two))) == ["DELETED", "DELETED"]
        assert one.audit() == ()
    return events


def test_a_delete_that_waited_for_one_that_failed_can_be_repeated(world: World) -> None:
    """Nobody is taken for the worker of an instance that is at rest."""
    quick = {"settings": replace(world.settings, poll_interval=0.002), "sleep": time.sleep}
    with world.open() as orchestrator:
        orchestrator.create(wanted(world))
    failing = world.faults(Fault("destroy", Mode.ERROR))
    with ThreadPoolExecutor(1) as pool, world.open(failing) as one, world.open(**quick) as two:
        waiting: list[Future[Instance]] = []

        def also_delete(event: Event) -> None:
            waiting.append(pool.submit(two.delete, "web-1"))
            while [entry.event for entry in one.show("web-1").history].count("delete") < 2:
                time.sleep(0.001)

        assert one.delete("web-1", on_event=At(1, also_delete)).vm_state == "ERROR"
        assert waiting[0].result(PATIENCE).vm_state == "ERROR"
        assert two.delete("web-1", timeout=0.0).vm_state == "DELETED"
