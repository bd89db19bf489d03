"""The dry runs of a drill: what each scenario starts from, where it ends without a fault, and all its fault points."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from slipway import errors
from slipway.drill.bench import NEIGHBOUR, Bench
from slipway.drill.cases import Point, Scenario, raiser
from slipway.drill.things import Things, look
from slipway.drill.trace import Line
from slipway.model.record import Instance
from slipway.model.request import NetworkRequest
from slipway.testing import Fault, Mode
from slipway.testing.tasks import TASK

FOREVER = 1 << 30
EMPTY, ALONE, READY, BUILT = "empty", "alone", "ready", "built"


class CannotDrill(errors.SlipwayError):
    """The file cannot be drilled, and why."""


class Base(Struct, frozen=True):
    """What goes wrong in every run of a scenario: the `call` of each host, or of the first one alone."""

    call: str
    nth: int
    every_host: bool

    @property
    def fault(self) -> Fault:
        """The fault itself."""
        raises = raiser("compute", "reschedule", f"{self.call} in every run of this scenario")
        return Fault(self.call, Mode.ERROR, self.nth, raises, FOREVER if self.every_host else None)


@dataclass(frozen=True)
class Stage:
    """What one scenario starts from, how it ends when nothing else goes wrong, and its points."""

    scenario: Scenario
    template: Path
    ends: Mapping[str, str]
    """The `vm_state` of each instance."""
    points: Sequence[Point]
    base: Base | None = None

    def begin(self, bench: Bench, *faults: Fault) -> None:
        """Put everything where it starts from, with these faults beside the one of every run."""
        bench.load(self.template)
        bench.trace.write("drill", f"{self.scenario} begins from {self.template.name}")
        bench.arm(*([self.base.fault] if self.base else ()), *faults)

    def go(self, bench: Bench) -> None:
        """Do what it is about."""
        if self.scenario is Scenario.DESTROY:
            bench.destroy()
        elif self.scenario is Scenario.DELETE:
            bench.delete()
        else:
            bench.run()


@dataclass(frozen=True)
class Exploration:
    """All that is known before the first fault."""

    stages: Mapping[Scenario, Stage]
    before: Things
    """The world in which the drilled instances are not yet there: every run must come back to it."""
    neighbour: bool

    @property
    def points(self) -> list[Point]:
        """All of them, scenario by scenario."""
        return [point for stage in self.stages.values() for point in stage.points]


def explore(bench: Bench, templates: Path) -> Exploration:
    """Make the templates and find the points. Raises `CannotDrill` where the file does not even begin."""
    bench.load(None)
    bench.save(templates / EMPTY)
    stages: dict[Scenario, Stage] = {}

    def add(scenario: Scenario, template: str, lines: Sequence[Line], base: Base | None = None) -> None:
        points = [replace(point, scenario=scenario) for point in points_of(lines)]
        stages[scenario] = Stage(scenario, templates / template, _ends(bench), points, base)

    bench.load(templates / EMPTY)
    alone = _dry_run(bench)
    begun = _index(alone, "event", "instance.create.start")
    add(Scenario.PREPARE, EMPTY, alone[: begun + 1])
    bench.save(templates / ALONE)
    neighbour = _prepare(bench, templates, stages[Scenario.PREPARE].ends)

    bench.load(templates / READY)
    lines = _dry_run(bench)
    begun = _index(lines, "event", "instance.create.start")
    add(Scenario.BUILD, READY, lines[begun:])
    built = stages[Scenario.BUILD]
    if set(built.ends.values()) != {"ACTIVE"}:
        return Exploration(stages, look(templates / READY), neighbour)
    bench.save(templates / BUILT)

    last = _last_call(built.points, len(built.ends))
    first_only = Base(last.call, last.nth if len(built.ends) == 1 else 0, every_host=False)
    lines = _with_base(bench, templates / READY, first_only)
    if any("reschedule " in text for _, kind, text in lines if kind == "event") and _ends(bench) == built.ends:
        add(Scenario.RESCHEDULE, READY, lines[_index(lines, "fault") :], first_only)
    everywhere = replace(first_only, every_host=True)
    lines = _with_base(bench, templates / READY, everywhere)
    done = Scenario.RESCHEDULE in stages
    add(Scenario.ROLLBACK, READY, lines[_index(lines, "fault", last=done) :], everywhere)

    bench.load(templates / BUILT)
    bench.delete()
    add(Scenario.DELETE, BUILT, bench.trace.lines)

    bench.load(templates / ALONE)
    bench.destroy()
    add(Scenario.DESTROY, ALONE, bench.trace.lines)
    return Exploration(stages, look(templates / READY), neighbour)


def _dry_run(bench: Bench) -> list[Line]:
    try:
        bench.run()
    except errors.SlipwayError as error:
        raise CannotDrill(f"{bench.file.path}: it fails before any fault: {error}") from error
    return bench.trace.lines


def _with_base(bench: Bench, template: Path, base: Base) -> list[Line]:
    bench.load(template)
    bench.arm(base.fault)
    return _dry_run(bench)


def _ends(bench: Bench) -> dict[str, str]:
    there = {instance.name: instance.vm_state for instance in bench.orchestrator.list(project=bench.file.project)}
    return {name: there.get(name, "DELETED") for name in bench.names}


def _index(lines: Sequence[Line], kind: str, text: str = "", *, last: bool = False) -> int:
    """The first (or last) line of this kind; the end where there is none."""
    found = [number for number, line in enumerate(lines) if line[1] == kind and line[2].startswith(text)]
    return len(lines) if not found else found[-1 if last else 0]


# --- what the runs start from -------------------------------------------------------------------------------------


def _prepare(bench: Bench, templates: Path, ends: Mapping[str, str]) -> bool:
    """Save the template with all but the instances, with a neighbour where there is room for one; whether there is."""
    for neighbour in (True, False):
        bench.load(templates / EMPTY)
        bench.orchestrator.run(bench.file, stopping=lambda: True)
        if neighbour and build_neighbour(bench) is None:
            continue
        put_strangers(bench)
        ready = templates / READY if not neighbour else templates / f"{READY}-tried"
        bench.save(ready)
        bench.load(ready)
        _dry_run(bench)
        if not neighbour or _ends(bench) == ends:
            ready.rename(templates / READY) if neighbour else None
            return neighbour
    raise AssertionError("the last turn returns")


def build_neighbour(bench: Bench) -> Instance | None:
    """Somebody else's instance on the same host and the first network."""
    request = bench.file.instances[0].request
    networks = [name for name in (nic.network for nic in request.networks or ()) if name is not None]
    wanted = tuple(NetworkRequest(network=name) for name in networks[:1])
    try:
        return bench.orchestrator.create(
            replace(request, name=NEIGHBOUR, networks=wanted, group=None, disks=(), idempotency_key=None)
        )
    except errors.SlipwayError:
        return None


def put_strangers(bench: Bench) -> None:
    """On each host a domain and a disk that are not ours."""
    for host in bench.file.hosts:
        stranger = str(uuid.uuid5(uuid.NAMESPACE_DNS, host.name))
        common = {"instance_id": stranger, "owner": "somebody else"}
        domain = {"name": stranger, "state": "running", "vcpus": 1, "memory": 0, "generation": 1}
        disk = {"slot": 0, "role": "data", "size": 1, "image": None, "user_data_sha256": None}
        for folder, name, content in (
            ("domains", stranger, {**common, **domain, "macs": [], "taps": [], "disks": []}),
            ("disks", f"{stranger}-0", {**common, **disk}),
        ):
            directory = bench.state / "world" / host.name / folder
            directory.mkdir(parents=True, exist_ok=True)
            (directory / f"{name}.json").write_text(json.dumps(content))


# --- points -------------------------------------------------------------------------------------------------------


def points_of(lines: Sequence[Line]) -> list[Point]:
    """The points of a trace, each with the step that it belongs to: the one of the next announcement after it."""
    found: list[Point] = []
    step, undoing = "conclude", False
    for _, kind, text in reversed(lines):
        if kind == "event" and not text.startswith("state "):
            step, undoing = _step(text)
        elif kind in ("call", "commit"):
            call, nth, family, writing = text.split(":")
            found.append(Point(Scenario.BUILD, call, int(nth), family, step, undoing, writing == "1"))
    return found[::-1]


_BESIDES_STEPS = {"instance.create.start": "begin", "instance.delete.start": "begin", "reschedule": "reschedule"}
"""What is going on before announcements that are no step's."""


def _step(event: str) -> tuple[str, bool]:
    """Which step was going on before an announcement, and whether it was being undone."""
    kind, where, *_ = event.split(" ")
    if kind.startswith("step."):
        return where.partition("[")[0], kind == "step.undo"
    return _BESIDES_STEPS.get(kind, "conclude"), False


def _last_call(points: Sequence[Point], instances: int) -> Point:
    """The last call of a driver that each instance makes once: where it fails, all else was done and must be undone."""
    calls = [point for point in points if point.family not in ("", TASK) and not point.undoing]
    often = {point.call: sum(one.call == point.call for one in calls) for point in calls}
    once = [point for point in calls if often[point.call] <= instances]
    if not calls:
        raise CannotDrill("the file's instances call no driver: there is nothing to drill")
    return (once or calls)[-1]
