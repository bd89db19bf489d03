"""Workers that are replaced between two steps or in the middle of a call, audits in mid-build, nested builds."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import pytest

from slipway import errors
from slipway.model.record import Event
from slipway.model.request import InstanceRequest, NetworkRequest
from slipway.operations.audit import Finding
from slipway.operations.batch import Status
from slipway.orchestrator import BuildFailed, Orchestrator
from slipway.testing import Call, Fault, Faults, Mode
from tests import record

if TYPE_CHECKING:
    from tests.build.conftest import Maker, World

T = TypeVar("T")
some_and_all = pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.slow)], ids=["some", "every"])
"""Which part of the points is tried every time, and by `-m slow`: one of so many."""


@pytest.fixture(params=[False, True], ids=["local", "remote"])
def world(request: pytest.FixtureRequest, make_world: Maker) -> World:
    return make_world(hosts=2, remote=request.param)


def wanted(world: World) -> InstanceRequest:
    return world.request("web-1", NetworkRequest(port="brought"), "net", disks=(1 << 30,), user_data="#cloud-config\n")


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


@some_and_all
def test_a_replaced_worker_is_refused_at_every_boundary(world: World, every: int) -> None:
    """Somebody takes over between two steps and builds on: the first one stops, and nothing is there twice."""
    before = world.reality()
    with world.open() as orchestrator:
        whole = world.count(orchestrator.create(wanted(world)))
        orchestrator.delete("web-1")
    for number in range(int(world.remote) % every, events_of_a_build(world), every):
        take_over_at(number, world, whole)
        assert world.reality() == before, number


def take_over_at(number: int, world: World, whole: Counter[str]) -> None:
    ended: list[Status] = []
    with world.open() as first, world.open(monotonic=an_hour_later) as second:

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


def an_hour_later() -> float:
    """By then every lease of a worker has passed."""
    return time.monotonic() + 3600


def when(point: tuple[str, int], act: Callable[[], object]) -> Callable[[Call], None]:
    """Have another worker act in the middle of one driver call, before it has its effect."""

    def on_call(call: Call) -> None:
        if (call.name, call.nth) == point:
            act()

    return on_call


def overtaken(point: tuple[str, int], world: World, act: Callable[[Orchestrator], T]) -> T:
    """Begin a build, and have another worker act in the middle of one of its calls; what that gave."""
    given: list[T] = []
    with world.open(monotonic=an_hour_later) as second:
        faults = world.faults(on_call=when(point, lambda: given.append(act(second))))
        with world.open(faults) as first, pytest.raises(errors.NotFinished):
            first.create(wanted(world))
    return given[0]


def calls_of_a_build(world: World) -> tuple[Sequence[tuple[str, int]], Counter[str]]:
    """The driver calls of a build, and what is there after it."""
    seen = world.faults()
    with world.open(seen) as orchestrator:
        whole = world.count(orchestrator.create(wanted(world)))
        points = world.driver_calls(seen)
        orchestrator.delete("web-1")
    return points, whole


@some_and_all
def test_a_call_that_ends_after_another_worker_went_on(make_world: Maker, every: int) -> None:
    """The other one finds by its key what the call brings about, so that nothing is there twice."""
    world = make_world(hosts=2, remote=True)
    before = world.reality()
    points, whole = calls_of_a_build(world)
    for point in points[::every]:
        overtaken(point, world, Orchestrator.resume)
        with world.open() as orchestrator:
            assert orchestrator.audit() == (), point
            assert world.count(orchestrator.show("web-1").instance) == whole, point
            orchestrator.delete("web-1")
        assert world.reality() == before, point


@some_and_all
def test_a_call_that_ends_after_another_worker_deleted(make_world: Maker, every: int) -> None:
    """What it brings about is on nobody's record: the worker that was replaced takes it back, and nothing else."""
    world = make_world(hosts=2, remote=True)
    before = world.reality()
    points, _ = calls_of_a_build(world)
    for point in points[1 % every :: every]:
        assert overtaken(point, world, lambda other: other.delete("web-1")).vm_state == "DELETED"
        with world.open() as orchestrator:
            assert orchestrator.audit() == (), point
        assert world.reality() == before, point


@pytest.mark.parametrize("verb", ["start", "stop", "reboot"])
def test_a_power_change_that_ends_after_another_worker_deleted(make_world: Maker, verb: str) -> None:
    """A start joins the NICs again: what of that comes late is taken back as well."""
    world = make_world(hosts=1, remote=True)
    before = world.reality()

    def begin(faults: Faults) -> None:
        with world.open() as orchestrator:
            orchestrator.create(world.request())
            if verb == "start":
                orchestrator.stop("web-1", force=True)
        with world.open(faults) as first:
            getattr(first, verb)("web-1")

    seen = world.faults()
    begin(seen)
    with world.open() as orchestrator:
        orchestrator.delete("web-1")
    points = world.driver_calls(seen)
    assert ("plug", 0) in points or verb == "stop"
    for point in points:
        with world.open(monotonic=an_hour_later) as second:
            late = world.faults(on_call=when(point, partial(second.delete, "web-1")))
            with pytest.raises(errors.NotFinished):
                begin(late)
            assert second.audit() == (), point
        assert world.reality() == before, point


@some_and_all
def test_a_delete_in_the_middle_of_a_call_wins(make_world: Maker, every: int) -> None:
    """What the call brought about is recorded all the same, so that it is undone."""
    world = make_world(hosts=2, remote=True)
    before = world.reality()
    points, _ = calls_of_a_build(world)
    for point in points[2 % every :: every]:
        with world.open() as other:

            def delete(other: Orchestrator = other) -> None:
                with pytest.raises(errors.InstanceBusy):
                    other.delete("web-1", timeout=0.0)

            with world.open(world.faults(on_call=when(point, delete))) as builder:
                assert builder.create(wanted(world)).vm_state == "DELETED", point
                assert builder.audit() == (), point
        assert world.reality() == before, point


def test_no_transaction_is_open_while_something_foreign_is_called(world: World) -> None:
    """It would lock everybody else out for as long as the call takes."""
    calls: list[Call] = []
    with world.open(world.faults(Fault("spawn", Mode.ERROR), on_call=calls.append)) as orchestrator:
        orchestrator.create(wanted(world))
        orchestrator.delete("web-1")
    ours = () if world.remote else ("network",)
    inside = {call.family for call in calls if call.in_transaction and call.family}
    assert inside == set(ours)
    assert {call.family for call in calls if call.family} == {"network", "compute", "wiring", "disk"}


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


def test_audit_in_the_middle_of_calls_and_commits_reports_nothing(world: World) -> None:
    """What is half done or half undone is neither missing nor left over."""
    found: list[Finding] = []
    with world.open() as other:

        def audit(_call: Call) -> None:
            found.extend(other.audit())

        with world.open(world.faults(Fault("spawn", Mode.ERROR), on_call=audit)) as orchestrator:
            assert orchestrator.create(wanted(world)).attempt == 2
            orchestrator.delete("web-1")
    assert found == []


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


def test_a_worker_that_finds_a_state_it_does_not_expect_stops_and_undoes_nothing(world: World) -> None:
    """B4: a save fails when it finds another state. Whatever moved the instance, it is no longer this worker's."""
    before = world.reality()
    with closing(record.opened(world.state / "slipway.db")) as database, world.open() as orchestrator:

        def tamper(event: Event) -> None:
            if (event.type, event.step, event.slot) == ("step.start", "bindings", 1):
                database.execute("UPDATE instances SET task_state = 'SPAWNING'")
                database.commit()

        with pytest.raises(errors.NotFinished, match=r"expected BUILDING/.*found BUILDING/SPAWNING"):
            orchestrator.create(wanted(world), on_event=tamper)
        assert "undone" not in {effect.state.value for effect in orchestrator.show("web-1").effects}
        assert orchestrator.delete("web-1").vm_state == "DELETED"
    assert world.reality() == before
