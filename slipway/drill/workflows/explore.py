"""The dry runs of a workflow's drill: what each scenario does, how it ends without a fault, and its fault points."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from slipway import errors
from slipway.drill.cases import Point, Scenario
from slipway.drill.explore import CannotDrill
from slipway.drill.things import Things, look
from slipway.drill.trace import Line
from slipway.drill.workflows.bench import FlowBench, Hook, nothing, waits_for_a_word
from slipway.drill.workflows.checks import standing
from slipway.drill.workflows.plan import made
from slipway.flows.tasks.base import Work
from slipway.model.run import RunRecord
from slipway.states.run_machine import RunState
from slipway.testing import COMMIT
from slipway.testing.tasks import INSIDE, TASK, UNDO

BASE = "base"
"""The kind of line of a trace that tells what is done in every run of a scenario."""

Verb = Callable[[FlowBench], None]


@dataclass(frozen=True)
class Stage:
    """One scenario: what comes before it, what it is, what happens at a point in every run of it, and its ending.

    `cause`: what the fault on record says without another fault. `done`: the points of the effects that stand then.
    """

    scenario: Scenario
    lead_in: Verb
    verb: Verb
    at: str = ""
    """The point at which the scenario's own failure, or the cancel, happens."""
    ends: str = ""
    cause: str = ""
    done: frozenset[str] = frozenset()
    points: Sequence[Point] = ()

    def begin(self, bench: FlowBench, template: Path, name: str) -> None:
        """Come to where the scenario begins."""
        bench.begin_case(template, name)
        bench.trace.write("drill", f"{self.scenario} begins")
        bench.before = _hook(bench, self)
        self.lead_in(bench)

    def go(self, bench: FlowBench) -> None:
        """Do what it is about; done again it does nothing more."""
        self.verb(bench)


@dataclass(frozen=True)
class Exploration:
    """All that is known before the first fault. `most` and `least`: how many things a run that succeeds makes outside,
    with those of its last steps and without them; `lasting`: the points of what nobody takes back."""

    stages: Sequence[Stage]
    template: Path
    before: Things
    most: int
    least: int
    lasting: frozenset[str]

    @property
    def points(self) -> list[Point]:
        """All of them, scenario by scenario."""
        return [point for stage in self.stages for point in stage.points]


def none(_bench: FlowBench) -> None:
    """Nothing comes before."""


def begin(bench: FlowBench) -> None:
    """The run begins."""
    bench.begin()


def approve(bench: FlowBench) -> None:
    """It goes on to its end."""
    bench.approve()


def finish(bench: FlowBench) -> None:
    """It begins and goes on to its end."""
    bench.begin()
    bench.approve()


def _tell(verb: str) -> Verb:
    return lambda bench: bench.tell(verb)


def explore(bench: FlowBench, template: Path) -> Exploration:
    """Make the template and find the points. Raises `CannotDrill` where the workflow fails by itself."""
    bench.load(None)
    if bench.flow.world is not None:
        bench.run()
    bench.save(template)
    return _Explorer(bench, template).explore()


class _Explorer:
    def __init__(self, bench: FlowBench, template: Path) -> None:
        self._bench, self._template = bench, template
        self._stages: list[Stage] = []
        self._last = 0
        """How many things the last steps make."""

    def explore(self) -> Exploration:
        bench, template = self._bench, self._template
        there = bench.flow.seen()
        self._look_at_last_steps()
        run, forward = self._dry(Stage(Scenario.FORWARD, none, begin))
        bench.after = nothing
        if pauses := waits_for_a_word(run):
            bench.take_back()
            there = bench.flow.seen()
            run, forward = self._dry(Stage(Scenario.APPROVE, begin, approve))
        if run.state != RunState.SUCCEEDED:
            why = f"{run.fault.type}: {run.fault.message}" if run.fault else run.waits_for
            raise CannotDrill(f"{bench.flow.path}: it ends {run.state} before any fault: {why}")
        number = made(there, bench.flow.seen()).total()
        bench.take_back()
        lasting = {point for point, state in standing(bench.look()) if state == "done"}
        if pauses:
            self._dry(Stage(Scenario.REJECT, begin, _tell("reject")))
            self._dry(Stage(Scenario.CANCEL, begin, _tell("cancel")))
        self._back(forward, pauses=pauses)
        if not pauses:
            self._cancel(forward)
        self._dry(Stage(Scenario.UNDO, finish, _tell("undo")))
        return Exploration(self._stages, template, look(template), number, number - self._last, frozenset(lasting))

    def _dry(self, stage: Stage, *, keep: bool = True) -> tuple[RunRecord, Stage]:
        """Carry a scenario out and see how it ends."""
        bench = self._bench
        try:
            stage.begin(bench, self._template, f"dry {stage.scenario} {stage.at}")
            bench.arm()
            before = len(bench.trace.lines)
            stage.go(bench)
        except errors.SlipwayError as error:
            raise CannotDrill(f"{bench.flow.path}: it fails before any fault: {error}") from error
        lines = bench.trace.lines[before:]
        if stage.at:
            lines = lines[next((n for n, line in enumerate(lines) if line[1] == BASE), len(lines)) :]
        run = bench.run_drilled
        assert run is not None
        found = bench.look()
        stage = Stage(
            stage.scenario,
            stage.lead_in,
            stage.verb,
            stage.at,
            run.state,
            _cause(stage),
            frozenset(point for point, state in standing(found) if state == "done"),
            [replace(point, scenario=stage.scenario) for point in points_of(lines, bench.flow.name)],
        )
        if keep:
            self._stages.append(stage)
        return run, stage

    def _back(self, forward: Stage, *, pauses: bool) -> None:
        """A failure at the last step that brings the run down."""
        last = self._bench.flow.last
        calls = [p.call for p in forward.points if p.call not in last and _is_do(p)]
        verb, lead_in = (approve, begin) if pauses else (begin, none)
        for at in reversed(list(dict.fromkeys(calls))):
            run, stage = self._dry(Stage(Scenario.BACK, lead_in, verb, at), keep=False)
            self._bench.take_back()
            if run.state == RunState.FAILED:
                self._stages.append(stage)
                return

    def _cancel(self, forward: Stage) -> None:
        """A cancel while a step in the middle is at work that has no transaction open."""
        last = self._bench.flow.last
        calls = [p.call for p in forward.points if p.call not in last and _is_do(p) and not p.in_transaction]
        for at in calls[len(calls) // 2 :][:1]:
            self._dry(Stage(Scenario.CANCEL, none, begin, at))
            self._bench.take_back()

    def _look_at_last_steps(self) -> None:
        """Count what the last steps make: it stays when all else is undone."""
        flow, before = self._bench.flow, Counter[str]()

        def begins(_work: Work, point: str) -> None:
            if point in flow.last:
                before.clear()
                before.update(flow.seen())

        def ended(_work: Work, point: str) -> None:
            if point in flow.last:
                self._last += made(before, flow.seen()).total()

        if flow.last:
            self._bench.watching = begins
            self._bench.after = ended


def _hook(bench: FlowBench, stage: Stage) -> Hook:
    """What happens at the scenario's point."""

    def before(work: Work, point: str) -> None:
        bench.watching(work, point)
        if point != stage.at:
            return
        bench.trace.write(BASE, f"{stage.scenario} at {point}")
        if stage.scenario is Scenario.BACK:
            # What was refused has had no effect: of a step's inverse nothing more is asked then.
            raise errors.UnexpectedAnswer(_cause(stage))
        run = bench.run_drilled
        if run is not None and run.state == RunState.RUNNING:
            bench.another.runs.ask_to_cancel(run.id)

    return before


def _cause(stage: Stage) -> str:
    """What the scenario itself has put on record as the fault."""
    if stage.scenario is Scenario.BACK:
        return f"injected {stage.at} in every run of {stage.scenario}"
    return "it was rejected" if stage.scenario is Scenario.REJECT else ""


def _is_do(point: Point) -> bool:
    return point.family == TASK and not point.undoing


# --- points -------------------------------------------------------------------------------------------------------


def points_of(lines: Sequence[Line], whole: str) -> list[Point]:
    """The points of a trace. A commit belongs to the step of the next call or announcement after it, with the name of
    its workflow before it where that is not the `whole`."""
    return list(_points(lines, whole))[::-1]


def _points(lines: Sequence[Line], whole: str) -> Iterator[Point]:
    step, undoing, back = "end", False, False
    for _, kind, text in reversed(lines):
        if kind == "event":
            if (found := _step(text, whole)) is not None:
                step, undoing = found
                # What a `revert` of the whole's does, an instance's build, say, has steps of its own.
                back = undoing if whole in (word.removesuffix(":") for word in text.split(" ")[1:3]) else back
        elif kind in ("call", COMMIT):
            call, nth, family, writing = text.split(":")
            if kind == "call":
                call_of = call.removesuffix(INSIDE)
                step, undoing = call_of.removesuffix(UNDO), back or call_of.endswith(UNDO)
            yield Point(Scenario.FORWARD, call, int(nth), family, step, undoing, writing == "1")


def _step(event: str, whole: str) -> tuple[str, bool] | None:
    """The step that an announcement is of, and whether it was being undone; None where it is of none."""
    kind, where, *more = event.split(" ")
    if kind in ("step.end", "step.undo", "step.error"):
        name = more[0].removesuffix(":")
        step = where.partition("[")[0]
        return step if name == whole else f"{name}.{step}", kind == "step.undo"
    return {f"run.start {whole}": ("begin", False), f"run.end {whole}": ("end", False)}.get(event)
