"""Stop, start and reboot on simulated hosts: states, failures, crashes at every point, deletes that come between."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from slipway import Orchestrator, errors
from slipway.model.record import Event, Instance
from slipway.operations.audit import Difference
from slipway.operations.batch import Status
from slipway.runfile import RunFile, loads
from slipway.testing import Call, Fault, Faults, Mode, crashed
from tests import record

TEXT = """
schema: 1
hosts: {{node-1: {{vcpus: 8, memory: 8GiB, disk: 100GiB, compute: sim{more}}}}}
networks: {{a: {{subnets: {{a4: {{cidr: 10.0.0.0/24}}}}}}}}
flavors: {{small: {{vcpus: 1, memory: 512MiB, disk: 2GiB}}}}
images: {{tiny: {{path: ./tiny.qcow2, format: qcow2}}}}
instances: {{web-1: {{flavor: small, image: tiny, networks: [a]}}}}
"""
DEAF = ", simulate: {acpi: false}"
VERBS = ("stop", "start", "reboot")


def file(more: str = "") -> RunFile:
    return loads(TEXT.format(more=more), "life.yaml")


class Place:
    """A state directory with one instance that runs."""

    def __init__(self, state: Path, more: str = "") -> None:
        self.state = state
        with self.open() as orchestrator:
            orchestrator.run(file(more))

    @contextmanager
    def open(self, *faults: Fault | Faults, **options: Any) -> Iterator[Orchestrator]:
        given = faults[0] if faults and isinstance(faults[0], Faults) else None
        made = given or Faults(*(fault for fault in faults if isinstance(fault, Fault)))
        with made.orchestrator(self.state, **options) as orchestrator:
            yield orchestrator

    def domain(self) -> str:
        """What the hypervisor's domain does, by its file."""
        (path,) = (self.state / "world" / "node-1" / "domains").glob("*.json")
        (state,) = (word for word in ("running", "shutdown", "crashed", "paused") if f'"{word}"' in path.read_text())
        return state

    def set_domain(self, state: str) -> None:
        """What it does when nobody asked us."""
        (path,) = (self.state / "world" / "node-1" / "domains").glob("*.json")
        path.write_text(path.read_text().replace(f'"{self.domain()}"', f'"{state}"'))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "state")


def states(orchestrator: Orchestrator, begin: int) -> list[str]:
    """What the instance went through since then."""
    history = orchestrator.show("web-1").history[begin:]
    return [f"{entry.vm_state}/{entry.task_state or '-'}" for entry in history]


def test_stop_start_and_reboot(place: Place) -> None:
    with place.open() as orchestrator:
        built = len(orchestrator.show("web-1").history)
        before = orchestrator.show("web-1")
        assert orchestrator.stop("web-1").vm_state == "STOPPED"
        assert place.domain() == "shutdown"
        assert orchestrator.audit() == ()
        assert orchestrator.start("web-1").vm_state == "ACTIVE"
        assert place.domain() == "running"
        assert orchestrator.reboot("web-1").vm_state == "ACTIVE"
        assert states(orchestrator, built) == [
            "ACTIVE/POWERING_OFF",
            "STOPPED/-",
            "STOPPED/POWERING_ON",
            "ACTIVE/-",
            "ACTIVE/REBOOTING",
            "ACTIVE/-",
        ]
        after = orchestrator.show("web-1")
        assert (after.claim, after.effects) == (before.claim, before.effects)
        assert structs.replace(after.instance, run_id=before.instance.run_id) == before.instance
        assert orchestrator.audit() == ()


@pytest.mark.parametrize("verb", ["stop", "start"])
def test_what_is_so_already_is_left_as_it_is(place: Place, verb: str) -> None:
    with place.open() as orchestrator:
        if verb == "stop":
            orchestrator.stop("web-1")
        events: list[Event] = []
        before = orchestrator.show("web-1")
        getattr(orchestrator, verb)("web-1", on_event=events.append)
        assert orchestrator.show("web-1") == before
        assert events == []


def test_a_run_leaves_a_stopped_instance_stopped(place: Place) -> None:
    with place.open() as orchestrator:
        orchestrator.stop("web-1")
        (ended,) = orchestrator.run(file()).ended
        assert ended.status is Status.UNCHANGED
        assert place.domain() == "shutdown"
        orchestrator.delete("web-1")
        assert orchestrator.audit() == ()


def test_the_events_and_their_words(place: Place) -> None:
    with place.open() as orchestrator:
        told: list[tuple[str, str, str | None]] = []
        for verb in VERBS:
            call = getattr(orchestrator, verb)
            if verb == "reboot":
                orchestrator.start("web-1")
            call("web-1", on_event=lambda event: told.append((event.type, event.vm_state, event.task_state)))
    assert told == [
        ("instance.power_off.start", "ACTIVE", "POWERING_OFF"),
        ("instance.power_off.end", "STOPPED", None),
        ("instance.power_on.start", "STOPPED", "POWERING_ON"),
        ("instance.power_on.end", "ACTIVE", None),
        ("instance.reboot.start", "ACTIVE", "REBOOTING"),
        ("instance.reboot.end", "ACTIVE", None),
    ]


def test_only_what_is_built_can_be_stopped(tmp_path: Path) -> None:
    place = Place(tmp_path / "state", ", simulate: {fail: [spawn]}")
    with place.open() as orchestrator:
        for verb in VERBS:
            with pytest.raises(
                errors.UnexpectedState, match=f"instance web-1 is ERROR, where no {verb} is possible, but delete"
            ):
                getattr(orchestrator, verb)("web-1")
        with pytest.raises(errors.InstanceNotFound, match="no instance web-2"):
            orchestrator.stop("web-2")


# --- asked, then ended ----------------------------------------------------------------------------------------------


class Watch:
    """The calls of a driver, and when they were made by the clock of the faults."""

    def __init__(self) -> None:
        self.stops: list[float] = []
        self.faults = Faults(on_call=self._see)
        self._began = datetime.now(UTC)

    def _see(self, call: Any) -> None:
        if call.name == "stop":
            self.stops.append(round((self.faults.clock() - self._began).total_seconds()))


@pytest.mark.parametrize(
    ("how", "asked_at"),
    [
        ({}, [0, 10, 20, 30, 40, 50, 60]),
        ({"timeout": 15.0}, [0, 10, 15]),
        ({"timeout": 0.0}, [0]),
        ({"force": True}, [0]),
    ],
    ids=["default", "timeout", "no time", "force"],
)
@pytest.mark.parametrize("verb", ["stop", "reboot"])
def test_a_guest_that_does_not_hear_is_ended_in_time(
    tmp_path: Path, verb: str, how: dict[str, Any], asked_at: list[float]
) -> None:
    """The last call is the one with force; a guest is asked every ten seconds, as Nova does."""
    place = Place(tmp_path / "state", DEAF)
    watch = Watch()
    with place.open(watch.faults) as orchestrator:
        getattr(orchestrator, verb)("web-1", **how)
    assert watch.stops == pytest.approx(asked_at, abs=1)
    assert place.domain() == ("shutdown" if verb == "stop" else "running")


def test_a_guest_that_is_just_ending_refuses_to_be_asked_again(tmp_path: Path) -> None:
    """It does what it was asked first: its QEMU is about to end, but libvirt still has it running."""
    place = Place(tmp_path / "state", DEAF)
    looks = 0

    def see(call: Call) -> None:
        nonlocal looks
        looks += call.name == "power_state" and faults.fired
        if looks == 3:
            place.set_domain("shutdown")

    faults = Faults(Fault("stop", Mode.ERROR, nth=1), on_call=see)
    with place.open(faults) as orchestrator:
        ended = orchestrator.stop("web-1")
        assert (ended.vm_state, ended.fault) == ("STOPPED", None)
        assert faults.fired
        assert orchestrator.audit() == ()


@pytest.mark.parametrize("seen", [True, False], ids=["it runs", "nobody knows"])
def test_an_ask_that_is_refused_by_a_guest_that_goes_on_fails(tmp_path: Path, seen: bool) -> None:
    """With the error of the ask, whatever comes of looking."""
    place = Place(tmp_path / "state", DEAF)
    silent = Fault("power_state", Mode.ERROR, last=9999, raises=partial(errors.HypervisorUnavailable, "gone"))

    def see(call: Call) -> None:
        if (call.name, call.nth) == ("stop", 1) and not seen:
            faults.arm(silent)

    faults = Faults(Fault("stop", Mode.ERROR, nth=1), on_call=see)
    with place.open(faults) as orchestrator:
        ended = orchestrator.stop("web-1")
    assert (ended.vm_state, place.domain()) == ("ACTIVE", "running")
    assert ended.fault is not None
    assert (ended.fault.type, ended.fault.message) == ("ComputeError", "injected")


def test_a_time_beyond_a_steps_own_is_refused(place: Place) -> None:
    """Another worker might take the stop over meanwhile."""
    with place.open() as orchestrator:
        for timeout in (120.5, -1.0, math.inf, math.nan):
            with pytest.raises(ValueError, match=r"must be from 0 s to a step's own \(120 s\), not"):
                orchestrator.stop("web-1", timeout=timeout)
        assert place.domain() == "running"


# --- failures -------------------------------------------------------------------------------------------------------


FAILURES: dict[tuple[str, str, Mode], tuple[str, str]] = {
    ("stop", "stop", Mode.ERROR): ("ACTIVE", "running"),
    ("stop", "stop", Mode.LOST_REPLY): ("STOPPED", "shutdown"),
    ("start", "start", Mode.ERROR): ("STOPPED", "shutdown"),
    ("start", "start", Mode.LOST_REPLY): ("ACTIVE", "running"),
    ("reboot", "stop", Mode.ERROR): ("ACTIVE", "running"),
    ("reboot", "stop", Mode.LOST_REPLY): ("STOPPED", "shutdown"),
    ("reboot", "start", Mode.ERROR): ("STOPPED", "shutdown"),
    ("reboot", "start", Mode.LOST_REPLY): ("ACTIVE", "running"),
    ("pause", "pause", Mode.ERROR): ("ACTIVE", "running"),
    ("pause", "pause", Mode.LOST_REPLY): ("PAUSED", "paused"),
    ("unpause", "resume", Mode.ERROR): ("PAUSED", "paused"),
    ("unpause", "resume", Mode.LOST_REPLY): ("ACTIVE", "running"),
}


@pytest.mark.parametrize(("verb", "call", "mode"), FAILURES)
def test_a_step_that_fails_leads_to_what_is_really_there(place: Place, verb: str, call: str, mode: Mode) -> None:
    with place.open() as orchestrator:
        prepare(orchestrator, verb)
    with place.open(Fault(call, mode)) as orchestrator:
        ended = getattr(orchestrator, verb)("web-1")
        assert (ended.vm_state, ended.task_state, place.domain()) == (
            *[FAILURES[verb, call, mode][0], None],
            place.domain(),
        )
        assert place.domain() == FAILURES[verb, call, mode][1]
        assert ended.fault is not None
        word = {"stop": "power_off", "start": "power_on"}.get(verb, verb)
        assert (ended.fault.type, ended.fault.message, ended.fault.step) == ("ComputeError", "injected", word)
        assert orchestrator.audit() == ()
        assert orchestrator.show("web-1").history[-1].detail == f"{word}: ComputeError: injected"
    with place.open() as orchestrator:
        again = orchestrator.stop("web-1") if ended.vm_state == "ACTIVE" else orchestrator.start("web-1")
        assert again.fault is None, "a success clears it"


def test_a_hypervisor_that_cannot_be_asked_changes_nothing(place: Place) -> None:
    """Nothing is known then; the first error is the one that counts."""
    silent = (Fault(call, Mode.ERROR, last=99, raises=partial(errors.HypervisorUnavailable, call))
              for call in ("stop", "power_state"))  # fmt: skip
    with place.open(*silent) as orchestrator:
        ended = orchestrator.stop("web-1")
    assert (ended.vm_state, ended.task_state) == ("ACTIVE", None)
    assert ended.fault is not None
    assert (ended.fault.type, ended.fault.message) == ("HypervisorUnavailable", "stop")


def test_a_domain_that_ended_by_itself_is_told_and_rebooted(place: Place) -> None:
    place.set_domain("crashed")
    with place.open() as orchestrator:
        (finding,) = orchestrator.audit()
        assert (finding.difference, finding.kind) == (Difference.DIFFERENT, "domain")
        orchestrator.reboot("web-1")
        assert place.domain() == "running"
        assert orchestrator.audit() == ()


def test_a_stopped_domain_that_somebody_started_is_told(place: Place) -> None:
    with place.open() as orchestrator:
        orchestrator.stop("web-1")
        place.set_domain("running")
        (finding,) = orchestrator.audit()
        assert finding.difference is Difference.DIFFERENT
        assert "its domain runs" in finding.detail
        assert orchestrator.start("web-1").vm_state == "ACTIVE"
        assert orchestrator.audit() == ()


# --- crashes --------------------------------------------------------------------------------------------------------


def change(place: Place, verb: str, fault: Fault | Faults) -> Instance:
    with place.open(fault) as orchestrator:
        ended: Instance = getattr(orchestrator, verb)("web-1")
        return ended


def points(place: Place, verb: str) -> Sequence[Fault]:
    seen = Faults()
    change(place, verb, seen)
    both = (Mode.CRASH_BEFORE, Mode.CRASH_AFTER)
    return [fault for mode in both for commits in (False, True) for fault in seen.possible(mode, commits=commits)]


RUNS, HALTED, FROZEN = ("ACTIVE", "running"), ("STOPPED", "shutdown"), ("PAUSED", "paused")
ENDS = {"stop": HALTED, "start": RUNS, "reboot": RUNS, "pause": FROZEN, "unpause": RUNS}
BEGINS = {"start": HALTED, "unpause": FROZEN}


def prepare(orchestrator: Orchestrator, verb: str) -> None:
    """Bring the instance into a state from which the verb does something."""
    if verb in BEGINS:
        {"start": orchestrator.stop, "unpause": orchestrator.pause}[verb]("web-1")


@pytest.mark.parametrize("then", ["resume", "again", "delete"])
@pytest.mark.parametrize("verb", ENDS)
def test_killed_at_every_point(tmp_path: Path, verb: str, then: str) -> None:
    """Before the first commit nothing was begun. After it `resume` finishes it, and so does the same command."""
    template = Place(tmp_path / "template")
    with template.open() as orchestrator:
        prepare(orchestrator, verb)
    old = BEGINS.get(verb, RUNS)
    record.copy(template.state, tmp_path / "seen")
    seen = Place.__new__(Place)
    seen.state = tmp_path / "seen"
    faults = points(seen, verb)
    assert len(faults) >= 8
    for number, fault in enumerate(faults):
        place = Place.__new__(Place)
        place.state = tmp_path / str(number)
        record.copy(template.state, place.state)
        assert crashed(partial(change, place, verb, fault)), fault
        with place.open() as orchestrator:
            begun = orchestrator.list()[0].task_state is not None
            if then == "delete":
                assert orchestrator.delete("web-1").vm_state == "DELETED", fault
                assert not list((place.state / "world").rglob("*/domains/*.json")), fault
            elif then == "again":
                getattr(orchestrator, verb)("web-1")
                assert (orchestrator.list()[0].vm_state, place.domain()) == ENDS[verb], fault
            else:
                ended = orchestrator.resume()
                assert [one.status for one in ended] == [Status.RESUMED] * begun, fault
                ends = (orchestrator.list()[0].vm_state, place.domain())
                assert ends in (ENDS[verb], *([] if begun else [old])), fault
            assert orchestrator.audit() == (), fault
        shutil.rmtree(place.state)


def test_a_failure_in_a_resume_is_told(place: Place) -> None:
    assert crashed(partial(change, place, "stop", Fault("stop", Mode.CRASH_BEFORE)))
    with place.open(Fault("stop", Mode.ERROR)) as orchestrator:
        (ended,) = orchestrator.resume()
        assert ended.status is Status.FAILED
        assert ended.instance is not None
        assert ended.instance.vm_state == "ACTIVE"
        assert ended.stuck == ()


# --- others at the same time ----------------------------------------------------------------------------------------


class Once:
    """Does something at the first call of a name."""

    def __init__(self, call: str, act: Callable[[], None]) -> None:
        self.call, self.act, self.left = call, act, True
        self.faults = Faults(on_call=self._see)

    def _see(self, call: Any) -> None:
        if self.left and call.name == self.call:
            self.left = False
            self.act()


@pytest.mark.parametrize("verb", ENDS)
@pytest.mark.parametrize("call", ["power_state", "its own"])
def test_delete_wins(place: Place, verb: str, call: str) -> None:
    """It is marked while the hypervisor is called; the worker sees it at its next step and takes all back."""
    with place.open() as orchestrator:
        prepare(orchestrator, verb)
    with Orchestrator(place.state) as other:

        def delete() -> None:
            with pytest.raises(errors.InstanceBusy):
                other.delete("web-1", timeout=0)

        once = Once(
            "power_state" if call == "power_state" else {"reboot": "stop", "unpause": "resume"}.get(verb, verb), delete
        )
        assert change(place, verb, once.faults).vm_state == "DELETED"
        assert not once.left
        assert other.list() == []
        assert other.audit() == ()
        assert not list((place.state / "world").rglob("*/domains/*.json"))


def test_delete_by_a_listener(place: Place) -> None:
    with place.open() as orchestrator:
        ended = orchestrator.stop("web-1", on_event=lambda event: _delete_at_start(orchestrator, event))
        assert ended.vm_state == "DELETED"
        assert orchestrator.audit() == ()


def _delete_at_start(orchestrator: Orchestrator, event: Event) -> None:
    if event.type == "instance.power_off.start":
        orchestrator.delete("web-1")


def test_another_worker_is_not_disturbed_before_its_time(place: Place) -> None:
    """One that cannot be seen, on another machine, has a step's time and the grace; then it is replaced and refused.

    That counts from the stop, however long ago the instance was built.
    """
    with closing(record.opened(place.state / "slipway.db")) as database, database:
        database.execute("UPDATE effects SET deadline = 0")
        database.execute("UPDATE instances SET created_at = 0")
    seen: list[Any] = []
    with Orchestrator(place.state) as other, Orchestrator(place.state, monotonic=later) as much_later:

        def look() -> None:
            with pytest.raises(errors.InstanceBusy, match="instance web-1 is ACTIVE/POWERING_OFF: another worker"):
                other.start("web-1")
            seen.extend(one.status for one in other.resume())
            seen.extend(one.status for one in much_later.resume())

        with pytest.raises(errors.NotFinished):
            change(place, "stop", Once("stop", look).faults)
        assert seen == [Status.BUSY, Status.RESUMED]
        assert other.list()[0].vm_state == "STOPPED"
        assert other.audit() == ()


def later() -> float:
    return time.monotonic() + 200


def test_a_wait_that_is_interrupted_can_be_resumed(tmp_path: Path) -> None:
    place = Place(tmp_path / "state", DEAF)

    def interrupt(_seconds: float) -> None:
        raise errors.BuildInterrupted("stopped while it waited")

    with place.open(sleep=interrupt) as orchestrator, pytest.raises(errors.NotFinished):
        orchestrator.stop("web-1")
    with place.open() as orchestrator:
        assert orchestrator.list()[0].task_state == "POWERING_OFF"
        (ended,) = orchestrator.resume()
        assert ended.status is Status.RESUMED
        assert place.domain() == "shutdown"
