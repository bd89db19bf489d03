"""Several at once: processes that build, deletes that come between, workers that are replaced, audits in mid-build."""

from __future__ import annotations

import multiprocessing
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from slipway import errors
from slipway.batch import Status
from slipway.model import Event, Instance, InstanceRequest, NetworkRequest
from slipway.orchestrator import BuildFailed, Orchestrator
from slipway.testing import COMMIT, Fault, Faults, Mode

if TYPE_CHECKING:
    from tests.build.conftest import Maker, World

T = TypeVar("T")

EACH = 50
"""Instances that each of two processes builds."""

CAPACITY = 30
"""Instances that two small hosts can take."""

INNER = ("bind", "unbind", "take", "give_back")
"""Fault points within a call that is one itself."""


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
    found = [ends.get(timeout=60) for _ in range(2 * EACH)]
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    return {name: (state, host, addresses) for name, state, host, addresses in found}


def rows(world: World, query: str) -> list[Any]:
    with closing(sqlite3.connect(world.state / "slipway.db")) as database:
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
        result = deleted[0].result(30)
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
        assert waiting[0].result(30).vm_state == "ERROR"
        assert two.delete("web-1", timeout=0.0).vm_state == "DELETED"


# --- workers that are replaced ------------------------------------------------------------------------------------


def test_a_replaced_worker_is_refused_at_every_boundary(world: World) -> None:
    """Somebody takes over between two steps and builds on: the first one stops, and nothing is there twice."""
    before = world.reality()
    with world.open() as orchestrator:
        whole = world.count(orchestrator.create(wanted(world)))
        orchestrator.delete("web-1")
    for number in range(events_of_a_build(world)):
        take_over_at(number, world, whole)
        assert world.reality() == before, number


def take_over_at(number: int, world: World, whole: Counter[str]) -> None:
    ended: list[Status] = []
    with world.open() as first, world.open(clock=an_hour_later) as second:

        def take_over(_event: Event) -> None:
            ended.extend(one.status for one in second.resume())

        try:
            first.create(wanted(world), on_event=At(number, take_over))
        except errors.NotFinished:
            assert ended == [Status.RESUMED], number
        else:
            assert ended == [], number
        instance = first.show("web-1").instance
        assert (instance.vm_state, instance.generation) == ("ACTIVE", 1 + len(ended)), number
        assert world.count(instance) == whole, number
        assert first.audit() == (), number
        assert first.delete("web-1").vm_state == "DELETED"


def an_hour_later() -> datetime:
    """By then every deadline of a worker has passed."""
    return datetime.now(UTC) + timedelta(hours=1)


class Overtaken(Faults):
    """In the middle of one driver call another worker acts, before the call has its effect."""

    point: tuple[str, int]
    act: Callable[[], None]

    @contextmanager
    def at(self, call: str, family: str = "") -> Iterator[None]:
        with super().at(call):
            if self.calls[-1] == self.point:
                self.act()
            yield


def overtaken(point: tuple[str, int], world: World, act: Callable[[Orchestrator], T]) -> T:
    """Begin a build, and have another worker act in the middle of one of its calls; what that gave."""
    faults = world.faults_of(Overtaken)
    given: list[T] = []
    with world.open(clock=an_hour_later) as second, world.open(faults) as first:
        faults.point, faults.act = point, lambda: given.append(act(second))
        with pytest.raises(errors.NotFinished):
            first.create(wanted(world))
    return given[0]


def calls_of_a_build(world: World) -> tuple[Sequence[tuple[str, int]], Counter[str]]:
    """The driver calls of a build, and what is there after it."""
    seen = world.faults()
    with world.open(seen) as orchestrator:
        whole = world.count(orchestrator.create(wanted(world)))
        points = [point for point in seen.calls if point[0] != COMMIT and point[0] not in INNER]
        orchestrator.delete("web-1")
    return points, whole


def test_a_call_that_ends_after_another_worker_went_on(make_world: Maker) -> None:
    """The other one finds by its key what the call brings about, so that nothing is there twice."""
    world = make_world(hosts=2, remote=True)
    before = world.reality()
    points, whole = calls_of_a_build(world)
    for point in points:
        overtaken(point, world, Orchestrator.resume)
        with world.open() as orchestrator:
            assert orchestrator.audit() == (), point
            assert world.count(orchestrator.show("web-1").instance) == whole, point
            orchestrator.delete("web-1")
        assert world.reality() == before, point


def test_a_call_that_ends_after_another_worker_deleted(make_world: Maker) -> None:
    """What it brings about is on nobody's record, and audit finds it where it bears our tag."""
    points, _ = calls_of_a_build(make_world(hosts=2, remote=True))
    late = set()
    for point in points:
        world = make_world(hosts=2, remote=True)
        gone = overtaken(point, world, lambda other: other.delete("web-1"))
        with world.open() as orchestrator:
            found = {(finding.difference.value, finding.kind) for finding in orchestrator.audit()}
        assert len(found) == (1 if world.things_of(gone) else 0), point
        late |= found
    assert late == {("orphaned", kind) for kind in ("port", "disk", "definition", "vif", "domain")}


# --- audits and listeners -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("calls", [(), ("spawn",), ("spawn", "destroy")])
def test_audit_in_mid_build_reports_nothing(calls: Sequence[str], world: World) -> None:
    """Nova LP1896463: a periodic audit freed the claim of a build that was going on."""
    faults = world.faults(*(Fault(call, Mode.ERROR) for call in calls))
    with world.open() as orchestrator:
        orchestrator.create(world.request("neighbour"))
    with world.open(faults) as orchestrator:
        asked: list[str] = []

        def audit(event: Event) -> None:
            # What is stuck is on record as stuck at once.
            assert [finding for finding in orchestrator.audit() if finding.difference != "stuck"] == [], event
            asked.append(event.type)

        listener = Checked(audit)
        try:
            orchestrator.create(wanted(world), on_event=listener)
        except BuildFailed:
            assert calls == ("spawn", "destroy")
        if calls != ("spawn", "destroy"):
            orchestrator.delete("web-1", on_event=listener)
        assert listener.failed == []
        assert len(asked) > 20


class Checked:
    """A listener whose failures are kept: an orchestrator logs them and goes on."""

    def __init__(self, check: Callable[[Event], None]) -> None:
        self.check = check
        self.failed: list[Exception] = []

    def __call__(self, event: Event) -> None:
        try:
            self.check(event)
        except (AssertionError, errors.SlipwayError) as error:
            self.failed.append(error)


def test_a_listener_may_build_another_instance(world: World) -> None:
    """What then fails is undone in its own build, not in the other one."""
    faults = world.faults(Fault("spawn", Mode.ERROR, nth=1, raises=errors.ImageUnacceptable))
    with world.open(faults) as orchestrator:

        def build(event: Event) -> None:
            if (event.name, event.type, event.step) == ("web-1", "step.start", "spawn"):
                orchestrator.create(world.request("within"))

        with pytest.raises(BuildFailed):
            orchestrator.create(wanted(world), on_event=build)
        within = orchestrator.show("within")
        assert within.instance.vm_state == "ACTIVE"
        assert within.claim is not None
        assert {effect.state.value for effect in within.effects} == {"done"}
        assert orchestrator.audit() == ()
