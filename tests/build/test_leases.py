"""Until when a worker is left alone: leases that cover what it is about to do, by a clock that nobody sets."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from slipway import errors
from slipway.drivers.compute.sim import SimCompute
from slipway.drivers.disk.sim import SimDisk
from slipway.drivers.network.embedded.driver import EmbeddedNetwork
from slipway.flows.tasks.requirements import RequireVifs
from slipway.model.machine import Disk, DiskRequest
from slipway.model.record import Event
from slipway.model.request import Readiness, Sign
from slipway.operations.batch import Status
from slipway.orchestrator import Orchestrator
from slipway.states import hosts
from slipway.states.lease import Lease
from slipway.testing import COMMIT, Call, Fault, Faults, Mode
from tests import record
from tests.waiting import PATIENCE, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.build.conftest import Maker, World

STEP, GRACE = 120.0, 60.0


@pytest.fixture(params=[False, True], ids=["local", "remote"])
def world(request: pytest.FixtureRequest, make_world: Maker) -> World:
    return make_world(hosts=2, remote=request.param)


def held_until(world: World) -> float:
    """Until when the worker has the instance by the record, by its monotonic clock."""
    with closing(record.opened(world.state / "slipway.db")) as database:
        query = "SELECT worker, (SELECT max(deadline) FROM effects WHERE instance_id = i.id) FROM instances i"
        ((worker, last),) = database.execute(f"{query} WHERE vm_state != 'DELETED'").fetchall()
    lease = Lease.read(worker)
    assert lease is not None
    return max(lease.until, (last or 0) / 1e6) - lease.ahead


class Slow:
    """Every call takes long, but no longer than it may; the lease on record must cover each of them."""

    def __init__(self, world: World, *faults: Fault, seconds: float = 110.0) -> None:
        self.world, self.seconds = world, seconds
        self.faults = world.faults(*faults, on_call=self._on_call)
        self.calls: list[tuple[str, float]] = []
        """Each call, and how long after the beginning of its step the lease ends."""
        self._since = 0.0

    def on_event(self, _event: Event) -> None:
        self._since = self.faults.clock.monotonic()

    def _on_call(self, call: Call) -> None:
        if call.name == COMMIT:
            return
        self.calls.append((call.name, held_until(self.world) - self._since))
        self.faults.clock.sleep(self.seconds)

    def check(self, *least: str) -> None:
        assert set(least) <= {name for name, _ in self.calls}
        # Half of the grace is for what is between a commit and the next call.
        assert [(name, seconds) for name, seconds in self.calls if seconds < STEP - GRACE / 2] == []
        with self.world.open() as orchestrator:
            assert orchestrator.audit() == ()


def test_the_lease_covers_every_call_of_a_build_and_of_a_delete(world: World) -> None:
    slow = Slow(world)
    with world.open(slow.faults) as orchestrator:
        # More calls than one in a step would be over its deadline.
        slow.seconds = 20.0
        request = world.request(disks=(1 << 30,), user_data="#cloud-config\n")
        orchestrator.create(request, on_event=slow.on_event)
        slow.seconds = 110.0
        assert orchestrator.delete("web-1", on_event=slow.on_event).vm_state == "DELETED"
    slow.check("create_disk", "spawn", "power_state", "destroy", "delete_disk", "delete_definition")


def test_the_lease_covers_every_call_of_a_roll_back(world: World) -> None:
    """An undo may take as long as a step, and so may each time that it is tried again."""
    slow = Slow(world, Fault("spawn", Mode.ERROR), Fault("delete_disk", Mode.ERROR, raises=errors.TransientError))
    with world.open(slow.faults, sleep=slow.faults.clock.sleep) as orchestrator:
        slow.seconds = 20.0
        assert orchestrator.create(world.request(), on_event=slow.on_event).attempt == 2
    slow.check("create_disk", "delete_disk", "spawn")


@pytest.mark.parametrize("verb", ["stop", "start", "reboot"])
def test_the_lease_covers_every_call_of_a_power_change(make_world: Maker, verb: str) -> None:
    world = make_world(hosts=1, remote=True, host="vcpus: 8, memory: 16GiB, disk: 100GiB, simulate: {acpi: false}")
    slow = Slow(world, seconds=5.0)
    with world.open() as orchestrator:
        orchestrator.create(world.request())
        if verb == "start":
            orchestrator.stop("web-1", force=True)
    with world.open(slow.faults, sleep=slow.faults.clock.sleep) as orchestrator:
        assert getattr(orchestrator, verb)("web-1", on_event=slow.on_event).fault is None
    slow.check("power_state", "stop" if verb == "stop" else "start")


def test_a_long_wait_for_a_guest_is_covered_and_no_longer(
    make_world: Maker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The step has a day; its signs have a quarter of an hour, of which nothing is written."""
    world = make_world(hosts=1)
    monkeypatch.setattr(SimCompute, "console_log", lambda _self, _id: str(tmp_path / "console.log"))
    faults = world.faults()
    seen: list[tuple[int, Status]] = []

    def sleep(seconds: float) -> None:
        before = faults.clock.ahead
        faults.clock.sleep(seconds)
        for minutes in (1, 8, 15):
            moment = timedelta(minutes=minutes)
            if before < moment <= faults.clock.ahead:
                with world.open(monotonic=faults.clock.monotonic) as other:
                    seen.extend((minutes, ended.status) for ended in other.resume())

    (tmp_path / "console.log").write_text("up")
    signs = (Readiness(Sign.MARKER, 900.0, "up"), Readiness(Sign.MARKER, 1000.0, "never"))
    with world.open(faults, sleep=sleep) as orchestrator:
        failed = world.fail(orchestrator, world.request(wait_for=signs))
    assert failed.cause is not None
    assert failed.cause.message == "web-1: no text 'never' in the console log within 1000 s"
    assert seen == [(minutes, Status.BUSY) for minutes in (1, 8, 15)]


@pytest.mark.parametrize("how", ["deleted", "stopped"])
def test_a_long_wait_for_a_guest_ends_when_it_is_no_longer_wanted(
    make_world: Maker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, how: str
) -> None:
    world = make_world(hosts=1)
    monkeypatch.setattr(SimCompute, "console_log", lambda _self, _id: str(tmp_path / "console.log"))
    request = world.request(wait_for=(Readiness(Sign.MARKER, 900.0, "never"),))
    stop = threading.Event()
    faults = world.faults()

    def sleep(seconds: float) -> None:
        faults.clock.sleep(seconds)
        if how == "stopped":
            stop.set()
            return
        with world.open() as other, pytest.raises(errors.InstanceBusy):
            other.delete("web-1", timeout=0.0)

    with world.open(faults, sleep=sleep) as orchestrator:
        ended = _bring(orchestrator, request, stop.is_set)
        assert ended.status is (Status.INTERRUPTED if how == "stopped" else Status.DELETED)
        assert faults.clock.ahead <= timedelta(seconds=1)


# --- the time of day ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("jump", [timedelta(minutes=3), timedelta(hours=5), -timedelta(days=30)], ids=str)
def test_a_step_of_the_clock_within_any_call_or_commit_changes_nothing(world: World, jump: timedelta) -> None:
    step = timedelta()

    def clock() -> datetime:
        return datetime.now(UTC) + step

    def on_call(call: Call) -> None:
        nonlocal step
        step += jump
        if call.name != COMMIT and not call.in_transaction:
            seen.extend(ended.status for ended in other.resume())

    seen: list[Status] = []
    faults = world.faults(Fault("spawn", Mode.ERROR), on_call=on_call)
    with world.open(clock=clock) as other, world.open(faults, clock=clock) as orchestrator:
        built = orchestrator.create(world.request())
        assert (built.vm_state, built.attempt) == ("ACTIVE", 2)
        assert [orchestrator.reboot("web-1").fault, orchestrator.stop("web-1").fault] == [None, None]
        assert orchestrator.delete("web-1").vm_state == "DELETED"
        assert set(seen) == {Status.BUSY}
        assert orchestrator.audit() == ()


def test_the_waits_of_retries_are_no_part_of_a_steps_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    real, left = EmbeddedNetwork.create_port, [None] * 8

    def create_port(self: EmbeddedNetwork, *args: Any, **more: Any) -> Any:
        if left:
            left.pop()
            raise errors.TransientNetworkError("not now")
        return real(self, *args, **more)

    monkeypatch.setattr(EmbeddedNetwork, "create_port", create_port)
    world.settings = type(world.settings)(network_allocate_retries=10)
    faults = world.faults()

    def sleep(seconds: float) -> None:
        assert held_until(world) > faults.clock.monotonic() + seconds
        world.slept.append(seconds)
        faults.clock.sleep(seconds)

    with world.open(faults, sleep=sleep) as orchestrator:
        assert orchestrator.create(world.request()).vm_state == "ACTIVE"
    assert sum(world.slept) > STEP


def test_a_call_that_is_over_its_deadline_fails_before_its_state_changes(world: World) -> None:
    """Also where it is the last step: an ACTIVE instance has not failed."""
    faults = world.faults()
    real = hosts.build_succeeded
    with pytest.MonkeyPatch.context() as patch, world.open(faults) as orchestrator:

        def succeeded(*args: Any) -> None:
            faults.clock.sleep(STEP + 1)
            real(*args)

        patch.setattr(hosts, "build_succeeded", succeeded)
        failed = world.fail(orchestrator, world.request())
    assert failed.cause is not None
    assert (failed.cause.type, failed.instance.vm_state) == ("StepTimeout", "ERROR")


# --- those that are taken over ------------------------------------------------------------------------------------


def test_a_worker_that_lives_keeps_its_build_until_its_lease_has_passed(make_world: Maker) -> None:
    world = make_world(hosts=1)
    seen: list[tuple[float, list[Status]]] = []

    def look(call: Call) -> None:
        if call.name == "create_disk":
            for later in (0.0, STEP, STEP + GRACE - 5, STEP + GRACE + 5):
                with world.open(monotonic=lambda later=later: time.monotonic() + later) as other:
                    seen.append((later, [ended.status for ended in other.resume()]))

    with world.open(world.faults(on_call=look)) as orchestrator, pytest.raises(errors.NotFinished):
        orchestrator.create(world.request())
    assert [statuses for _, statuses in seen] == [[Status.BUSY]] * 3 + [[Status.RESUMED]]


def test_who_has_just_taken_over_is_not_replaced_at_once(world: World) -> None:
    """Its lease is on record before it has done anything."""
    seen: list[Status] = []
    with world.open(Fault(COMMIT, Mode.LOCKED, 3, last=100)) as first, pytest.raises(errors.NotFinished):
        first.create(world.request())
    later = partial(_plus, 3600.0)
    with world.open(monotonic=later) as second, world.open(monotonic=later) as third:

        def look(event: Event) -> None:
            if not seen:
                seen.extend(ended.status for ended in third.resume())

        assert [ended.status for ended in second.resume(on_event=look)] == [Status.RESUMED]
    assert seen == [Status.BUSY]


def _plus(seconds: float) -> float:
    return time.monotonic() + seconds


@pytest.mark.parametrize("worker", ["node-1/4711/1700000000.25", "nobody knows", '{"worker": {}}'])
def test_an_older_slipways_worker_cannot_be_seen_and_its_lease_decides(make_world: Maker, worker: str) -> None:
    world = make_world(hosts=1)
    with world.open(Fault(COMMIT, Mode.LOCKED, 5, last=100)) as first, pytest.raises(errors.NotFinished):
        first.create(world.request())
    with closing(record.opened(world.state / "slipway.db")) as database, database:
        database.execute("UPDATE instances SET worker = ? WHERE name = 'web-1'", (worker,))
    later = datetime.now(UTC) + timedelta(seconds=STEP + GRACE + 1)
    with world.open() as now:
        (ended,) = now.resume()
        assert (ended.status, ended.message) == (Status.BUSY, f"worker {worker} is at it")
        assert [one.task_state for one in now.list()] == [ended.instance.task_state if ended.instance else ""]
    with world.open(clock=lambda: later) as afterwards:
        assert [ended.status for ended in afterwards.resume()] == [Status.RESUMED]


def test_what_one_thread_let_go_is_no_other_threads_for_ever(
    make_world: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database was locked. Whoever takes it up then has it, also against the other threads of its process."""
    world = make_world(hosts=1)
    faults = world.faults(Fault(COMMIT, Mode.LOCKED, 3, last=4))
    begun, go_on = threading.Event(), threading.Event()
    real = SimCompute.spawn

    def spawn(self: SimCompute, domain: Any) -> None:
        begun.set()
        assert go_on.wait(PATIENCE)
        real(self, domain)

    monkeypatch.setattr(SimCompute, "spawn", spawn)
    with world.open(faults) as orchestrator, ThreadPoolExecutor(1) as pool:
        with pytest.raises(errors.NotFinished):
            orchestrator.create(world.request())
        resumed = pool.submit(orchestrator.resume)
        assert begun.wait(PATIENCE)
        assert [ended.status for ended in orchestrator.resume()] == [Status.BUSY]
        with pytest.raises(errors.InstanceBusy, match=r"is marked for deletion: worker .* is at it"):
            orchestrator.delete("web-1", timeout=0.0)
        go_on.set()
        assert [ended.status for ended in resumed.result(PATIENCE)] == [Status.DELETED]
        assert orchestrator.audit() == ()


# --- branches -----------------------------------------------------------------------------------------------------


class Branches:
    """A build whose two branches wait for each other's word: that of the disks and that of the network."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.disk, self.network = threading.Event(), threading.Event()
        self.at_disk, self.at_network = threading.Event(), threading.Event()
        self.fail: dict[str, BaseException] = {}
        create_disk, require = SimDisk.create_disk, RequireVifs.do

        def slow_disk(driver: SimDisk, request: DiskRequest) -> Disk:
            made = self._wait("disk", self.at_disk, self.disk)
            return made or create_disk(driver, request)

        def slow_network(task: RequireVifs, work: Any) -> Any:
            return self._wait("network", self.at_network, self.network) or require(task, work)

        # Its annotations say what it gives.
        slow_network.__annotations__ = require.__annotations__
        monkeypatch.setattr(SimDisk, "create_disk", slow_disk)
        monkeypatch.setattr(RequireVifs, "do", slow_network)

    def _wait(self, name: str, here: threading.Event, go_on: threading.Event) -> Any:
        here.set()
        assert go_on.wait(PATIENCE)
        if name in self.fail:
            raise self.fail[name]
        return None


BRANCH_ENDS: Sequence[tuple[str, str]] = [("disk", "network"), ("network", "disk")]


@pytest.mark.parametrize(("first", "last"), BRANCH_ENDS, ids=["disk first", "network first"])
@pytest.mark.parametrize("how", ["interrupted", "failed", "exit"])
def test_a_build_is_not_let_go_before_its_branches_have_ended(
    make_world: Maker, monkeypatch: pytest.MonkeyPatch, first: str, last: str, how: str
) -> None:
    world = make_world(hosts=1)
    branches = Branches(monkeypatch)
    stop = threading.Event()
    if how != "interrupted":
        branches.fail[first] = errors.ImageUnacceptable("no") if how == "failed" else SystemExit(3)
    with (
        ThreadPoolExecutor(2) as pool,
        ThreadPoolExecutor(1) as callers,
        world.open(executor=pool) as orchestrator,
        world.open() as other,
    ):
        request = world.request()
        began = callers.submit(partial(_bring, orchestrator, request, stop.is_set))
        assert branches.at_disk.wait(PATIENCE)
        assert branches.at_network.wait(PATIENCE)
        stop.set() if how == "interrupted" else None
        getattr(branches, first).set()
        time.sleep(0.3)
        assert not began.done(), "the other branch is in its call"
        assert [ended.status for ended in other.resume()] == [Status.BUSY]
        assert {effect.state for effect in other.show("web-1").effects} <= {"done", "intended"}, "nothing is undone yet"
        getattr(branches, last).set()
        _ended(began)
        branches.fail.clear()
        other.delete("web-1")
        assert other.audit() == ()
    assert not list(world.state.glob("world/*/disks/*.json"))


def _bring(orchestrator: Orchestrator, request: Any, stopping: Callable[[], bool]) -> Any:
    return orchestrator._builder.bring(request, lambda _event: None, stopping, workflow="build-instance")


def _ended(future: Future[Any]) -> None:
    with suppress(SystemExit):
        assert future.result(PATIENCE).status in (Status.INTERRUPTED, Status.FAILED)


# --- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("timeout", [float("inf"), float("nan"), -1.0, -0.001, 1e12, "5", [5]], ids=str)
def test_a_time_that_is_none_is_refused_before_anything_is_marked(world: World, timeout: Any) -> None:
    with world.open() as orchestrator:
        orchestrator.create(world.request())
        before = orchestrator.show("web-1")
        for verb in ("delete", "stop", "reboot"):
            with pytest.raises((ValueError, TypeError)):
                getattr(orchestrator, verb)("web-1", timeout=timeout)
        assert orchestrator.show("web-1") == before
        assert orchestrator.stop("web-1").vm_state == "STOPPED"


def test_delete_waits_for_a_worker_no_longer_than_it_is_told_to(make_world: Maker) -> None:
    world = make_world(hosts=1)
    faults: Faults = world.faults(on_call=lambda call: deleted.append(_delete()) if call.name == "spawn" else None)
    deleted: list[str] = []

    def _delete() -> str:
        began = time.monotonic()
        with world.open(sleep=time.sleep) as other, pytest.raises(errors.InstanceBusy):
            other.delete("web-1", timeout=0.2)
        assert time.monotonic() - began < 60
        return "busy"

    with world.open(faults) as orchestrator:
        assert orchestrator.create(world.request()).vm_state == "DELETED"
        until(lambda: deleted == ["busy"], "a delete that gave up")
