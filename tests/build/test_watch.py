"""Watching simulated hosts: the record follows a domain that ended by itself, and never against somebody at work."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from slipway import Orchestrator, errors
from slipway.drivers.compute.sim import SimCompute
from slipway.model.machine import PowerState
from slipway.model.record import Event
from slipway.runfile import loads
from slipway.testing import COMMIT, Call, Fault, Faults, Mode
from tests.build.test_life_cycle import TEXT, Place
from tests.waiting import PATIENCE, until


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "state")


class Told:
    """What was told; true, and so time to stop, once `enough` is."""

    def __init__(self, enough: Callable[[], bool]) -> None:
        self.events: list[Event] = []
        self._enough = enough
        self._give_up = time.monotonic() + PATIENCE

    def __call__(self) -> bool:
        assert time.monotonic() < self._give_up, self.events
        return self._enough()

    @property
    def types(self) -> list[str]:
        return [event.type for event in self.events]


def hurrying() -> Callable[[], float]:
    """A monotonic clock by which nothing that is to be done later is far."""
    looks = iter(range(1_000_000))
    return lambda: 5.0 * next(looks)


def watch(orchestrator: Orchestrator, enough: Callable[[], bool]) -> Told:
    told = Told(enough)
    orchestrator.watch(told.events.append, stopping=told)
    return told


def looked(faults: Faults, times: int) -> Callable[[], bool]:
    """Whether the hypervisor was asked so often what a domain does."""
    return lambda: faults.calls.count(("power_state", times - 1)) > 0


@contextmanager
def in_between(monkeypatch: pytest.MonkeyPatch, act: Callable[[], Any]) -> Iterator[None]:
    """Do something once, after the hypervisor was asked and before that comes to anything."""
    real, left = SimCompute.power_state, [True]

    def power_state(self: SimCompute, instance_id: str) -> PowerState:
        seen = real(self, instance_id)
        if left:
            left.clear()
            act()
        return seen

    monkeypatch.setattr(SimCompute, "power_state", power_state)
    yield
    assert not left


def states(orchestrator: Orchestrator) -> list[str]:
    return [f"{one.vm_state}/{one.task_state or '-'}" for one in orchestrator.list()]


def state(orchestrator: Orchestrator) -> str:
    (one,) = states(orchestrator)
    return one


@pytest.mark.parametrize("domain", ["crashed", "shutdown"])
def test_the_record_follows_a_domain_that_ended_before_anybody_watched(place: Place, domain: str) -> None:
    place.set_domain(domain)
    with place.open() as orchestrator:
        told = watch(orchestrator, lambda: state(orchestrator) == "STOPPED/-")
        assert told.types == ["host.heard", "state"]
        last = told.events[-1]
        assert (last.name, last.host, last.vm_state, last.message) == (
            "web-1",
            "node-1",
            "STOPPED",
            f"the domain is {domain}, by itself",
        )
        assert orchestrator.show("web-1").history[-1].detail == last.message
        assert orchestrator.audit() == ()
        assert orchestrator.start("web-1").vm_state == "ACTIVE"
        assert place.domain() == "running"


def test_what_runs_is_left_as_it_is(place: Place) -> None:
    faults = Faults()
    with place.open(faults) as orchestrator:
        assert watch(orchestrator, looked(faults, 1)).types == ["host.heard"]
        assert state(orchestrator) == "ACTIVE/-"


def test_what_was_stopped_stays_so_whoever_starts_it(place: Place) -> None:
    with place.open() as orchestrator:
        orchestrator.stop("web-1")
        place.set_domain("running")
        before = orchestrator.show("web-1")
        questions = iter(range(5))
        watch(orchestrator, lambda: next(questions) == 4)
        assert orchestrator.show("web-1") == before


def test_an_end_while_somebody_is_at_the_instance_is_seen_when_that_is_over(place: Place) -> None:
    """The domain ends after the reboot has seen it run, and nothing tells of it a second time."""
    began: list[Future[Told]] = []
    clock = hurrying()
    with ThreadPoolExecutor(1) as pool, Orchestrator(place.state, monotonic=clock) as watching:

        def see(call: Call) -> None:
            if call.name == "start":
                before = clock()
                began.append(pool.submit(watch, watching, lambda: state(watching) == "STOPPED/-"))
                until(lambda: clock() > before + 60, "some looks")
                assert state(watching) == "ACTIVE/REBOOTING"
            elif call.name == COMMIT and began:
                place.set_domain("crashed")

        with place.open(Faults(on_call=see)) as other:
            assert other.reboot("web-1").vm_state == "ACTIVE"
        assert began[0].result(PATIENCE).types == ["host.heard", "state"]
        assert watching.audit() == ()


@pytest.mark.parametrize(
    ("verb", "wanted", "domain"),
    [("reboot", ["ACTIVE/-"], "running"), ("stop", ["STOPPED/-"], "crashed"), ("delete", [], "")],
)
def test_what_was_done_since_the_hypervisor_was_asked_counts(
    place: Place, monkeypatch: pytest.MonkeyPatch, verb: str, wanted: list[str], domain: str
) -> None:
    place.set_domain("crashed")
    with Orchestrator(place.state) as other, Orchestrator(place.state, monotonic=hurrying()) as watching:
        questions = iter(range(8))
        with in_between(monkeypatch, lambda: getattr(other, verb)("web-1")):
            told = watch(watching, lambda: next(questions) == 7)
        assert told.types == ["host.heard"]
        assert states(watching) == wanted
        assert not domain or place.domain() == domain
        assert watching.audit() == ()


def test_a_hypervisor_that_cannot_be_asked_is_asked_again(place: Place) -> None:
    place.set_domain("crashed")
    silent = Fault("power_state", Mode.ERROR, last=2, raises=partial(errors.HypervisorUnavailable, "gone"))
    with place.open(silent, monotonic=hurrying()) as orchestrator:
        assert watch(orchestrator, lambda: state(orchestrator) == "STOPPED/-").types == ["host.heard", "state"]


def test_a_host_that_cannot_be_watched_is_told(place: Place) -> None:
    with place.open(Fault("watch", Mode.ERROR)) as orchestrator:
        told = Told(lambda: bool(told.events))
        orchestrator.watch(told.events.append, stopping=told)
        (event,) = told.events
        assert (event.type, event.host, event.name, event.message) == (
            "host.lost",
            "node-1",
            "",
            "ComputeError: injected",
        )


def test_a_host_that_comes_later_is_watched_as_well(place: Place) -> None:
    more = TEXT.format(more="").replace(
        "hosts: {", "hosts: {node-2: {vcpus: 8, memory: 8GiB, disk: 1GiB, compute: sim}, "
    )
    with Orchestrator(place.state) as other, Orchestrator(place.state, monotonic=hurrying()) as watching:
        told = Told(lambda: len(told.events) == 2)

        def hear(event: Event) -> None:
            told.events.append(event)
            if event.host == "node-1":
                other.run(loads(more, "more.yaml"))

        watching.watch(hear, stopping=told)
        assert [event.host for event in told.events] == ["node-1", "node-2"]
