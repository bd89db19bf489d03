"""An error, or a lost reply, at every driver call of a build, of its roll-back and of a delete, one at a time.

The instance brings a port and a volume along, gets another port, two disks and user data; its neighbour must not be
touched. One call of three is tried every time, others with each kind of error; `-m slow` tries all.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from slipway import errors
from slipway.model.record import Effect, EffectState, Event, Instance
from slipway.model.request import InstanceRequest, NetworkRequest, Volume
from slipway.operations.lifecycle import Listener
from slipway.orchestrator import BuildFailed, Orchestrator
from slipway.testing import Fault, Mode
from tests import record

if TYPE_CHECKING:
    from tests.build.conftest import Maker, Things, World

Record = Callable[[str, object], None]
some_and_all = pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.slow)], ids=["some", "every"])

MODES = (Mode.ERROR, Mode.LOST_REPLY)
HELD_BY = {
    "domain": ("claim", "port", "binding", "disk", "seed", "definition", "vif", "filter", "dhcp"),
    "dhcp": ("port", "binding"),
    "filter": ("port", "binding"),
    "vif": ("port", "binding"),
    "binding": ("port",),
    "disk": ("claim",),
    "seed": ("claim",),
}
"""What must stay while an effect of this kind may still be there."""

FOUND_AS = {
    "domain": "domains",
    "definition": "instances",
    "disk": "disks",
    "seed": "disks",
    "vif": "taps",
    "filter": "filters",
    "dhcp": "dhcp",
    "binding": "ports",
    "port": "ports",
    "claim": "claims",
}
"""Where the world has what an effect of this kind made."""

PER_SLOT = ("vif", "binding", "filter", "dhcp")
"""These hold what has their own slot only."""


@dataclass(frozen=True)
class Stage:
    """A world with a neighbour in it, from which each trial begins anew."""

    template: World
    before: Things
    neighbour: Things
    request: InstanceRequest

    @contextmanager
    def world(self) -> Iterator[World]:
        """A copy of the template, for one trial."""
        with tempfile.TemporaryDirectory(dir=self.template.state.parent) as directory:
            state = Path(directory) / "state"
            record.copy(self.template.state, state)
            yield dataclasses.replace(self.template, state=state, broken=set(), slept=[])


@pytest.fixture(params=[False, True], ids=["local", "remote"])
def stage(request: pytest.FixtureRequest, make_world: Maker) -> Stage:
    return make_stage(make_world(hosts=2, remote=request.param))


@pytest.fixture
def remote_stage(make_world: Maker) -> Stage:
    return make_stage(make_world(hosts=2, remote=True))


def make_stage(world: World) -> Stage:
    with world.open() as orchestrator:
        neighbour = orchestrator.create(world.request("neighbour"))
    things = world.reality()
    disks = (1 << 30, Volume(str(world.state / "data.raw"), "raw"))
    wanted = world.request("web-1", NetworkRequest(port="brought"), "net", disks=disks, user_data="#cloud-config\n{}\n")
    return Stage(world, things, world.things_of(neighbour), wanted)


def faults_at(points: Sequence[tuple[str, int]], kind: type[Exception], every: int, first: int) -> Sequence[Fault]:
    """At one of so many calls, from the `first` on."""
    chosen = points[first % every :: every]
    return [Fault(call, mode, nth, lambda: kind("injected")) for call, nth in chosen for mode in MODES]


# --- doing --------------------------------------------------------------------------------------------------------


KINDS: list[tuple[type[Exception], int]] = [
    (errors.BadRequest, 0),
    (errors.ComputeError, 0),
    (errors.ComputeError, 2),
    (errors.TransientNetworkError, 0),
]


@some_and_all
@pytest.mark.parametrize(("kind", "threads"), KINDS)
def test_every_call_of_a_build(
    kind: type[Exception], threads: int, every: int, stage: Stage, record_property: Record
) -> None:
    """It ends as the error's class says, and leaves neither a thing too many nor one too few."""
    with stage.world() as world:
        seen = world.faults()
        with world.open(seen) as orchestrator:
            whole = world.count(orchestrator.create(stage.request))
    points = world.driver_calls(seen)
    chosen = faults_at(points, kind, every, KINDS.index((kind, threads)))
    problems: list[str] = []
    with ThreadPoolExecutor(threads) if threads else nullcontext() as executor:
        for fault in chosen:
            with stage.world() as world:
                faults = world.faults(fault)
                with world.open(faults, executor=executor) as orchestrator:
                    found = build_with(fault, kind, stage, world, orchestrator, whole)
                    problems += (f"{fault}: {problem}" for problem in found)
                assert faults.fired, fault
    assert len(points) > 15
    assert problems == []
    record_property("faults", len(chosen))


def build_with(
    fault: Fault, kind: type[Exception], stage: Stage, world: World, orchestrator: Orchestrator, whole: Counter[str]
) -> Iterator[str]:
    """What is wrong after a build with this fault, and after a delete."""
    try:
        instance = orchestrator.create(stage.request)
    except BuildFailed as failed:
        instance = failed.instance
    there = world.reality()
    yield from (f"audit: {finding}" for finding in orchestrator.audit())
    if not stage.neighbour <= there:
        yield f"the neighbour changed: {stage.neighbour - there}"
    failures = [entry for entry in orchestrator.show(instance.id).history if entry.event == "fail"]
    if failures and not failures[0].detail.endswith(f"{kind.__name__}: injected"):
        yield f"the first cause on record is {failures[0].detail}"
    if kind is errors.BadRequest:
        if (instance.vm_state, instance.attempt) != ("ERROR", 1):
            yield f"{instance.vm_state} after attempt {instance.attempt}"
        if instance.fault is None or (instance.fault.type, instance.fault.message) != (kind.__name__, "injected"):
            yield f"the fault is {instance.fault}"
        if there != stage.before:
            yield f"left: {there - stage.before}, lost: {stage.before - there}"
    else:
        if (instance.vm_state, instance.attempt) != ("ACTIVE", 1 + len(failures)) or len(failures) > 1:
            yield f"{instance.vm_state} after attempt {instance.attempt}"
        if failures and kind is errors.TransientNetworkError and "port" in fault.call:
            yield "what passes was not tried again on the spot"
        if world.count(instance) != whole:
            yield f"there is {world.count(instance)} instead of {whole}"
    orchestrator.delete(instance.id)
    yield from (f"audit after delete: {finding}" for finding in orchestrator.audit())
    if world.reality() != stage.before:
        yield f"left by delete: {world.reality() - stage.before}, lost: {stage.before - world.reality()}"


# --- undoing ------------------------------------------------------------------------------------------------------


@some_and_all
@pytest.mark.parametrize("kind", [errors.BadRequest, errors.ComputeError], ids=["abort", "reschedule"])
def test_every_call_of_a_roll_back(kind: type[Exception], every: int, stage: Stage, record_property: Record) -> None:
    """A roll-back goes on past what fails, and a host that keeps something is not left for the next one."""
    first = Fault("power_state", Mode.ERROR, raises=lambda: kind("first"))

    def fail(orchestrator: Orchestrator, listen: Listener) -> Instance:
        with pytest.raises(BuildFailed) as caught:
            orchestrator.create(stage.request, on_event=listen)
        return caught.value.instance

    def look(orchestrator: Orchestrator, listen: Listener) -> None:
        try:
            orchestrator.create(stage.request, on_event=listen)
        except BuildFailed:
            return

    with stage.world() as world:
        points = calls_between(world, look, (first,), "step.error", ("reschedule", "instance.create.error"))
    problems: list[str] = []
    chosen = faults_at(points, RuntimeError, every, int(kind is errors.ComputeError))
    for fault in chosen:
        with stage.world() as world:
            problems += (f"{fault}: {problem}" for problem in stuck_after(world, fail, (first, fault), stage))
    assert (len(points) > 8, problems) == (True, [])
    record_property("faults", len(chosen))


@some_and_all
def test_every_call_of_a_delete(stage: Stage, every: int, record_property: Record) -> None:
    """A delete goes on past what fails, says what is stuck, and can be repeated."""
    problems: list[str] = []
    points = calls_of_a_delete(stage)
    chosen = faults_at(points, RuntimeError, every, int(stage.template.remote))
    for fault in chosen:
        with built(stage) as world:
            problems += (f"{fault}: {problem}" for problem in stuck_after(world, delete, (fault,), stage))
    assert (len(points) > 8, problems) == (True, [])
    record_property("faults", len(chosen))


@some_and_all
def test_what_passes_is_undone_all_the_same(remote_stage: Stage, every: int) -> None:
    """An undo that fails in passing is tried again (Nova: three times) and leaves nothing stuck."""
    for fault in faults_at(calls_of_a_delete(remote_stage), errors.TransientNetworkError, every, 2):
        with built(remote_stage) as world:
            faults = world.faults(fault)
            with world.open(faults) as orchestrator:
                assert orchestrator.delete("web-1").vm_state == "DELETED", fault
                assert faults.fired
                assert orchestrator.audit() == ()
            assert world.reality() == remote_stage.before
            assert world.slept == [1.0]


def delete(orchestrator: Orchestrator, listen: Listener) -> Instance:
    return orchestrator.delete("web-1", on_event=listen)


@contextmanager
def built(stage: Stage) -> Iterator[World]:
    """A world in which the instance runs."""
    with stage.world() as world:
        with world.open() as orchestrator:
            orchestrator.create(stage.request)
        yield world


def calls_of_a_delete(stage: Stage) -> Sequence[tuple[str, int]]:
    with built(stage) as world:
        return calls_between(world, delete, (), "instance.delete.start", ("instance.delete.end",))


def calls_between(
    world: World,
    act: Callable[[Orchestrator, Listener], object],
    given: Sequence[Fault],
    start: str,
    ends: Sequence[str],
) -> Sequence[tuple[str, int]]:
    """The driver calls from the event `start` to the first of `ends`."""
    seen = world.faults(*given)
    marks: dict[str, int] = {}

    def mark(event: Event) -> None:
        marks.setdefault(event.type, len(seen.calls))

    with world.open(seen) as orchestrator:
        act(orchestrator, mark)
    end = min(marks[name] for name in ends if name in marks)
    return world.driver_calls(seen, marks[start], end)


def stuck_after(
    world: World, act: Callable[[Orchestrator, Listener], Instance], given: Sequence[Fault], stage: Stage
) -> Iterator[str]:
    """What is wrong with what is left after an undo failed, and after a delete once the fault is gone."""
    faults = world.faults(*given)
    with world.open(faults) as orchestrator:
        instance = act(orchestrator, lambda _event: None)
        effects = orchestrator.show(instance.id).effects
        found = {(f.difference.value, f.kind, f.name) for f in orchestrator.audit()}
    there = world.reality()
    stuck = [effect for effect in effects if effect.state is EffectState.STUCK]
    if not faults.fired:
        yield "the fault did not go off"
    if (instance.vm_state, instance.task_state, instance.attempt) != ("ERROR", None, 1):
        yield f"{instance.vm_state}/{instance.task_state} after attempt {instance.attempt}"
    if len(given) > 1 and (instance.fault is None or instance.fault.message != "first"):
        yield f"the first cause is lost: {instance.fault}"
    yield from wrongly_stuck(effects, stuck)
    if found != {("stuck", effect.kind, effect.key) for effect in stuck}:
        yield f"audit: {found}"
    if not stage.neighbour <= there:
        yield f"the neighbour changed: {stage.neighbour - there}"
    if loose := set(world.count(instance)) - {FOUND_AS[effect.kind] for effect in stuck}:
        yield f"left without being on record: {loose}"
    with world.open() as orchestrator:
        if orchestrator.delete(instance.id).vm_state != "DELETED":
            yield f"delete left {orchestrator.show(instance.id).effects}"
        yield from (f"audit after delete: {finding}" for finding in orchestrator.audit())
    if world.reality() != stage.before:
        yield f"left by delete: {world.reality() - stage.before}, lost: {stage.before - world.reality()}"


def wrongly_stuck(effects: Sequence[Effect], stuck: Sequence[Effect]) -> Iterator[str]:
    """One undo failed; what that effect uses is held by it, and all else is undone."""
    roots = [effect for effect in stuck if effect.held_by is None]
    if len(roots) != 1 or roots[0].error != "RuntimeError: injected":
        yield f"stuck are {[(effect.key, effect.error) for effect in roots]}"
        return
    (root,) = roots
    used = HELD_BY.get(root.kind, ())
    for effect in effects:
        if effect.kind not in FOUND_AS or effect is root:
            continue
        held = effect.kind in used and (root.kind not in PER_SLOT or root.slot == effect.slot)
        if (effect.state is EffectState.STUCK) is not held:
            yield f"{effect.key} is {effect.state}, {root.key} is stuck"
        if held and effect.error != f"held by {effect.held_by}":
            yield f"{effect.key} says {effect.error}"
