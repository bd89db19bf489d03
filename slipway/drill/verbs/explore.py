"""The dry runs of a verb's drill: the instances without it and with it, and its fault points forward and back."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from dataclasses import replace as replace_fields
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from slipway import errors
from slipway.drill.auditor import audit
from slipway.drill.bench import Bench
from slipway.drill.cases import Point, Scenario
from slipway.drill.explore import (
    EMPTY,
    READY,
    Base,
    CannotDrill,
    Exploration,
    Stage,
    build_neighbour,
    points_of,
    put_strangers,
)
from slipway.drill.problem import Problem
from slipway.drill.promises import lasting_kinds
from slipway.drill.things import Things, look
from slipway.drill.trace import Line
from slipway.drill.verbs.restart import restart_hosts
from slipway.drill.verbs.shape import Shape, powerless, shape
from slipway.testing import COMMIT

BEGUN = "begun"


@dataclass(frozen=True, kw_only=True)
class VerbStage(Stage):
    """What the instances are like before the verb and after it; `runs` are on record before it.

    `damaged`: something is wrong before it, which it mends: what fails is for the next one to mend.

    `several`: it changes more than one, each on its own, so that between them is much that it may stop at.
    """

    was: Shape
    becomes: Shape
    runs: Collection[str]
    several: bool
    damaged: bool

    @property
    def in_between(self) -> bool:
        """Whether it has guests run or not, and changes nothing else: they may be left as they were seen last."""
        return powerless(self.was) == powerless(self.becomes)

    def go(self, bench: Bench) -> None:
        """Do it."""
        bench.do()


def explore(bench: Bench, templates: Path) -> Exploration:
    """Make the templates and find the points. Raises `CannotDrill` where something fails before any fault."""
    bench.load(None)
    bench.save(templates / EMPTY)
    for neighbour in (True, False):
        found = _Explorer(bench, templates / ("beside" if neighbour else "alone")).explore(neighbour=neighbour)
        if found is not None:
            return found
    raise AssertionError("without a neighbour nothing happens to it")


class _Explorer:
    def __init__(self, bench: Bench, templates: Path) -> None:
        self._bench, self._templates = bench, templates

    def explore(self, *, neighbour: bool) -> Exploration | None:
        """None: there is no room for a neighbour, or the verb is about it as well."""
        bench = self._bench
        try:
            if not self._begin(neighbour=neighbour):
                return None
        except errors.SlipwayError as error:
            raise CannotDrill(f"{bench.file.path}: it fails before any fault: {error}") from error
        before, begun = look(self._templates / READY), bench.look()
        if any(row["vm_state"] == "ERROR" for row in begun.rows["instances"]):
            raise CannotDrill(f"{bench.file.path}: its instances are not built without a fault")
        lines = self._dry_run()
        now = bench.look()
        if now.rows["events"] == begun.rows["events"]:
            raise CannotDrill(f"{bench.file.path}: the verb changes nothing: there is nothing to drill")
        if neighbour and any(problem.invariant == "A8" for problem in _audit(now, before)):
            return None
        runs = {row["id"] for row in begun.rows["runs"]}
        changed = {row["instance_id"] for row in now.rows["runs"] if row["id"] not in runs}
        known: dict[str, Any] = {"was": shape(begun, before), "becomes": shape(now, before), "runs": runs}
        known["several"] = len(changed) > 1
        known["damaged"] = any(problem.invariant in ("A2", "A3") for problem in _audit(begun, before))
        ends = {row["name"]: row["vm_state"] for row in now.rows["instances"]}
        points = _points(lines, Scenario.FORWARD)
        forward = VerbStage(
            scenario=Scenario.FORWARD, template=self._templates / BEGUN, ends=ends, points=points, **known
        )
        stages = {Scenario.FORWARD: forward}
        if back := self._back(forward, before):
            stages[Scenario.BACK] = back
        return Exploration(stages, before, neighbour)

    def _begin(self, *, neighbour: bool) -> bool:
        """Come to where the verb begins; whether there was room for a neighbour, where one is wanted."""
        bench = self._bench
        bench.load(self._templates.parent / EMPTY)
        bench.orchestrator.run(bench.file, stopping=lambda: True)
        if neighbour and build_neighbour(bench) is None:
            return False
        put_strangers(bench)
        bench.save(self._templates / READY)
        bench.run()
        bench.verb.before(bench.orchestrator, bench.trace.event)
        if bench.verb.restarted:
            restart_hosts(bench)
        bench.save(self._templates / BEGUN)
        return True

    def _dry_run(self, *faults: Base) -> Sequence[Line]:
        """Do it; what is stuck where it ends is told, and tried again."""
        bench = self._bench
        bench.load(self._templates / BEGUN)
        bench.arm(*(base.fault for base in faults))
        try:
            bench.do()
        except errors.SlipwayError as error:
            if not faults:
                raise CannotDrill(f"{bench.file.path}: the verb fails before any fault: {error}") from error
        lines = bench.trace.lines
        if bench.look().stuck:
            bench.arm()
            bench.mend()
        return lines

    def _back(self, forward: VerbStage, before: Things) -> VerbStage | None:
        """A failure of the last call that brings all back; None where no failure does."""
        calls = [point for point in forward.points if point.call != COMMIT and not point.undoing]
        for point in reversed(calls):
            base = Base(point.call, point.nth, every_host=False)
            lines = self._dry_run(base)
            at = next((n for n, line in enumerate(lines) if line[1] == "fault"), len(lines))
            points = _points(lines[at:], Scenario.BACK)
            if points and shape(self._bench.look(), before) == forward.was != forward.becomes:
                return replace_fields(forward, scenario=Scenario.BACK, points=points, base=base)
        return None


def _audit(now: Things, before: Things) -> Sequence[Problem]:
    return audit(now, before, lasting=lasting_kinds())


def _points(lines: Sequence[Line], scenario: Scenario) -> list[Point]:
    return [replace(point, scenario=scenario) for point in points_of(lines)]
