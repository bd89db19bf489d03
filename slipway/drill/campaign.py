"""A whole drill: the dry runs, every case in as many processes as wanted, and the results in their order."""

from __future__ import annotations

import gc
import multiprocessing
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from msgspec.structs import replace

from slipway.drill.bench import Bench, Plan
from slipway.drill.cases import CALL_MODES, COMMIT_MODES, CRASHES, Case, Scenario, Selection, cases_of, drawn_pairs
from slipway.drill.explore import CannotDrill, Exploration, explore
from slipway.drill.records import drop
from slipway.drill.runner import Outcome, Result, Run, Runner
from slipway.drill.verbs.explore import explore as explore_verb
from slipway.drill.verbs.runner import VerbRun
from slipway.testing import Mode

ALL_MODES = frozenset({*CALL_MODES, *COMMIT_MODES})


@dataclass(frozen=True)
class Wanted:
    """Which cases are to be run: `only` those that one of the selections names, of these modes, and so many pairs.

    `sample`: so many of them, from all over; by default all.
    """

    only: Sequence[Selection] = ()
    modes: frozenset[Mode] = ALL_MODES
    pairs: int = 0
    jobs: int = 1
    fail_fast: bool = False
    sample: int | None = None


class Drilled(Protocol):
    """What a report is of: a file, the seed, and the words of a command line that mean the same drill."""

    @property
    def path(self) -> Path:
        """The file."""

    @property
    def seed(self) -> int:
        """What draws all chance."""

    @property
    def options(self) -> Sequence[str]:
        """The words besides the file and the seed."""


@dataclass(frozen=True)
class Report:
    """What a drill came to. `planned` cases were to be run; there are fewer results after `fail_fast`.

    `neighbour`: whether there was room for one; None where none was wanted.
    """

    plan: Drilled
    points: int
    planned: int
    results: Sequence[Result]
    seconds: float
    neighbour: bool | None

    @property
    def leaks(self) -> Sequence[Result]:
        """The runs that broke an invariant."""
        return [result for result in self.results if result.outcome is Outcome.LEAK]

    @property
    def totals(self) -> Counter[Outcome]:
        """How many runs ended in each way."""
        return Counter(result.outcome for result in self.results)


Progress = Callable[[int, int, Result], None]
"""Told after each run: how many are done, of how many, and the result."""


class Drill(NamedTuple):
    """Something that can be drilled: its cases, and the report of those that are wanted."""

    points: Callable[[Wanted], Sequence[Case]]
    run: Callable[[Wanted, Progress], Report]


def drill(
    plan: Plan, wanted: Wanted | None = None, *, on_result: Progress = lambda _done, _planned, _result: None
) -> Report:
    """Find the fault points of a run file and let each go wrong in each way.

    Raises `CannotDrill` where the file fails by itself, has no instance, or nothing of it was selected.
    """
    wanted = wanted or Wanted()
    began = time.perf_counter()
    if not plan.file.instances:
        raise CannotDrill(f"{plan.file.path} has no instance: there is nothing to drill")
    with directory(plan.database) as place:
        bench = Bench(plan, place / "explorer")
        try:
            exploration = _explore(bench, place / "templates")
        finally:
            bench.close()
        cases = select(exploration, wanted, plan.seed)
        if not cases:
            raise CannotDrill("no fault point was selected; 'slipway drill FILE --list' names all of them")
        results = _results(_Work(plan, exploration, place), cases, wanted, on_result)
    ordered = [results[case] for case in cases if case in results]
    seconds = time.perf_counter() - began
    return Report(plan, len(exploration.points), len(cases), ordered, seconds, exploration.neighbour)


def points(plan: Plan, wanted: Wanted) -> list[Case]:
    """The cases that a drill would run. Raises as `drill`."""
    with directory(plan.database) as place:
        bench = Bench(plan, place / "explorer")
        try:
            return select(_explore(bench, place / "templates"), wanted, plan.seed)
        finally:
            bench.close()


def _explore(bench: Bench, templates: Path) -> Exploration:
    return explore(bench, templates) if bench.plan.verb is None else explore_verb(bench, templates)


def select(exploration: Exploration, wanted: Wanted, seed: int) -> list[Case]:
    """The cases that are wanted, in the order of the runs; pairs that were named or drawn come last."""
    return chosen(list(cases_of(exploration.points, wanted.modes)), wanted, seed)


def chosen(cases: list[Case], wanted: Wanted, seed: int) -> list[Case]:
    """Those of the cases that are wanted, then the pairs."""
    found = _wanted(cases, wanted, seed)
    if wanted.sample is None or wanted.sample >= len(found):
        return found
    return [found[(2 * n + 1) * len(found) // (2 * wanted.sample)] for n in range(wanted.sample)]


def _wanted(cases: list[Case], wanted: Wanted, seed: int) -> list[Case]:
    if not wanted.only:
        return cases + drawn_pairs(cases, wanted.pairs, seed)
    some = [case for case in cases if any(one.holds(case) for one in wanted.only if not one.second)]
    named = [replace(case, second=one.second) for one in wanted.only if one.second for case in cases if one.holds(case)]
    return some + named + drawn_pairs(some, wanted.pairs, seed)


@contextmanager
def directory(database: str | None = None) -> Iterator[Path]:
    """A directory in memory where there is one: nothing of a drill is to last, nor what is on the database's server."""
    memory = Path("/dev/shm")
    within = memory if memory.is_dir() and os.access(memory, os.W_OK) else None
    path = Path(tempfile.mkdtemp(prefix="slipway-drill-", dir=within))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        if database is not None:
            drop(database, path.name)


# --- processes ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Work:
    plan: Plan
    exploration: Exploration
    directory: Path

    def begin(self) -> None:
        """Become a worker: a bench of its own, warm before its first case."""
        global _runner
        bench = Bench(self.plan, self.directory / f"worker-{os.getpid()}")
        _runner = Runner(bench, self.exploration, Run if self.plan.verb is None else VerbRun)
        _runner.warm()
        # What is there by now stays: no later collection need look at it.
        gc.freeze()


_runner: Runner | None = None


def _some(cases: Sequence[Case], fail_fast: bool) -> list[Result]:
    assert _runner is not None
    results: list[Result] = []
    for result in _runner.run(cases):
        results.append(result)
        if result.outcome is Outcome.LEAK and fail_fast:
            break
    return results


DEATHS_AT_ONCE = 40
"""How many cases share one process that dies for them; each has its own copy of the state directory meanwhile."""


def _batches(cases: Sequence[Case]) -> Iterator[Sequence[Case]]:
    """Those that begin with a death in batches of one scenario; then the others one by one, so that all workers end
    at the same time."""
    for scenario in Scenario:
        dying = [case for case in cases if case.mode in CRASHES and case.point.scenario is scenario]
        yield from (dying[start : start + DEATHS_AT_ONCE] for start in range(0, len(dying), DEATHS_AT_ONCE))
    yield from ([case] for case in cases if case.mode not in CRASHES)


def _results(work: _Work, cases: Sequence[Case], wanted: Wanted, on_result: Progress) -> dict[Case, Result]:
    """The results by case as it was planned, as they come in."""
    results: dict[Case, Result] = {}
    forked = multiprocessing.get_context("fork")
    waiting = list(_batches(cases))[::-1]
    jobs = max(1, min(wanted.jobs, len(waiting)))
    with ProcessPoolExecutor(jobs, mp_context=forked, initializer=work.begin) as pool:
        running: dict[Future[list[Result]], Sequence[Case]] = {}
        while waiting or running:
            while waiting and len(running) < 2 * jobs:
                batch = waiting.pop()
                running[pool.submit(_some, batch, wanted.fail_fast)] = batch
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                for case, result in zip(running.pop(future), future.result(), strict=False):
                    results[case] = result
                    on_result(len(results), len(cases), result)
                    if result.outcome is Outcome.LEAK and wanted.fail_fast:
                        waiting.clear()
    return results
