"""The drill of a workflow as a whole: the dry runs, every case, and the report."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from slipway.drill.campaign import ALL_MODES, Progress, Report, Wanted, chosen, directory
from slipway.drill.cases import Case, Selection
from slipway.drill.explore import CannotDrill
from slipway.drill.runner import Outcome, Result
from slipway.drill.workflows.bench import FlowBench
from slipway.drill.workflows.cases import cases_of
from slipway.drill.workflows.explore import Exploration, explore
from slipway.drill.workflows.plan import FlowPlan
from slipway.drill.workflows.runner import FlowRunner
from slipway.flows.runs.prepared import Given
from slipway.runfile import RunFile
from slipway.testing import Mode


def drill(
    plan: FlowPlan, wanted: Wanted | None = None, *, on_result: Progress = lambda _done, _planned, _result: None
) -> Report:
    """Find the fault points of a workflow and let each go wrong in each way, one after the other.

    Raises `InvalidFile`, `InvalidRequest` for its inputs, and `CannotDrill` where it fails by itself, or nothing of it
    was selected.
    """
    wanted, began = wanted or Wanted(), time.perf_counter()
    with _explored(plan) as (bench, exploration):
        cases = _select(exploration, wanted, plan.seed)
        if not cases:
            raise CannotDrill("no fault point was selected; 'slipway drill FILE --list' names all of them")
        results: list[Result] = []
        for result in FlowRunner(bench, exploration).run(cases):
            results.append(result)
            on_result(len(results), len(cases), result)
            if result.outcome is Outcome.LEAK and wanted.fail_fast:
                break
    return Report(plan, len(exploration.points), len(cases), results, time.perf_counter() - began, neighbour=None)


def points(plan: FlowPlan, wanted: Wanted) -> list[Case]:
    """The cases that a drill would run. Raises as `drill`."""
    with _explored(plan) as (_, exploration):
        return _select(exploration, wanted, plan.seed)


def drill_workflow(
    workflow: str | Path,
    inputs: Mapping[str, Any] | None = None,
    *,
    look: Callable[[], Collection[str]] = lambda: (),
    world: RunFile | None = None,
    allow_commands: bool = False,
    only: Sequence[str] = (),
    modes: Collection[str] = ALL_MODES,
) -> Report:
    """Drill a workflow, for a test of one's own: `assert not drill_workflow("deploy.yaml", look=things).leaks`.

    `look` gives the names of all that its tasks have made, wherever that is: it must outlast this process, which is
    forked and killed. `world`: a run file that is brought about before, simulated. `only`: names of points, `modes`:
    names of modes, as the command has them. Raises as `drill`, and `ValueError` for a name that means nothing.
    """
    plan = FlowPlan(Path(workflow), Given(inputs or {}), look, world, allow_commands)
    wanted = Wanted(tuple(map(Selection.parse, only)), frozenset(map(Mode, modes)))
    return drill(plan, wanted)


@contextmanager
def _explored(plan: FlowPlan) -> Iterator[tuple[FlowBench, Exploration]]:
    plan.prepared  # noqa: B018 - what is wrong with it is said before anything is done
    with directory(plan.database) as place:
        bench = FlowBench(plan, place / "bench")
        try:
            with bench.logged():
                exploration = explore(bench, place / "template")
            yield bench, exploration
        finally:
            bench.close()


def _select(exploration: Exploration, wanted: Wanted, seed: int) -> list[Case]:
    return chosen(list(cases_of(exploration.points, wanted.modes)), wanted, seed)
