"""Where runs of a workflow are drilled: a bench with an orchestrator whose tasks are fault points."""

from __future__ import annotations

import logging
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TextIO, cast

from slipway import errors
from slipway.drill.bench import Bench, Plan, Wrapping
from slipway.drill.simulated import simulated_drivers
from slipway.drill.workflows.plan import FlowPlan
from slipway.drivers.registry import Drivers
from slipway.flows.tasks.base import Work
from slipway.model.run import RunRecord
from slipway.operations.runs import Runs
from slipway.orchestrator import Orchestrator
from slipway.settings import Settings
from slipway.states.run_machine import RunState
from slipway.states.store import Store
from slipway.testing import Faults
from slipway.testing.tasks import faulty_tasks

KEY = "drill"
"""The idempotency key of the run that is drilled: beginning it again finds it."""

Hook = Callable[[Work, str], None]
"""What is done at a call of a task; the text is the name of the fault point."""


def nothing(_work: Work, _point: str) -> None:
    """Does nothing."""


class FlowBench(Bench):
    """A bench for runs of one workflow. Nobody waits in it: who sleeps is taken to the time that is waited for."""

    orchestrator: Wrapping

    def __init__(self, flow: FlowPlan, directory: Path) -> None:
        self.flow = flow
        self.before: Hook = nothing
        self.after: Hook = nothing
        self.watching: Hook = nothing
        self._drill = uuid.uuid4().hex
        super().__init__(Plan(flow.before, seed=flow.seed, database=flow.database), directory)

    def _make(self) -> Orchestrator:
        parts = self._parts(self.faults, self._rng)
        made = Wrapping(self.state, allow_commands=self.flow.allow_commands, **parts)
        whole = self.flow.name
        made.wrap = lambda tasks: faulty_tasks(tasks, self.faults, whole=whole, around=self._around)
        return made

    @cached_property
    def _quiet(self) -> Faults:
        return Faults(drivers=simulated_drivers(self._rng, self._sleep))

    def _make_drivers(self, faults: Faults, store: Store, settings: Settings, state: Path) -> Drivers:
        # What the build of an instance calls is drilled by the drill of a run file.
        return super()._make_drivers(self._quiet, store, settings, state)

    @contextmanager
    def _around(self, work: Work, point: str) -> Iterator[None]:
        self.before(work, point)
        yield
        self.after(work, point)

    def _sleep(self, seconds: float) -> None:
        """Put the clock forward, to when the next run goes on where all of them sleep."""
        ahead = seconds
        if (wake_at := self._next()) is not None:
            ahead = max(seconds, (wake_at - self._now()).total_seconds() + 0.001)
        super()._sleep(ahead)

    def _next(self) -> datetime | None:
        unfinished = self.orchestrator.unfinished_runs()
        times = [run.wake_at for run in unfinished if run.wake_at is not None]
        return min(times) if times and all(run.state == RunState.PAUSED for run in unfinished) else None

    def begin_case(self, template: Path | None, name: str) -> None:
        """Begin anew from a template. Ids are those of this case in this drill: what an earlier one has left outside,
        or a service remembers by a key, is not taken for this one's."""
        self.load(template)
        self.reseed(f"{self._drill} {name}")

    # --- what is done -------------------------------------------------------------------------------------------

    @property
    def runs(self) -> Runs:
        """The verbs."""
        return self.orchestrator.runs

    @property
    def run_drilled(self) -> RunRecord | None:
        """The run, None while it is not on record."""
        return next((run for run in self.runs.list() if run.idempotency_key == KEY), None)

    def begin(self) -> None:
        """Begin the run, or go on with the one that was begun."""
        self.runs.run(str(self.flow.workflow), self.flow.inputs, idempotency_key=KEY, on_event=self.trace.event)

    def resume(self) -> None:
        """Go on with what was left, as the command does."""
        super().resume()
        self.runs.resume(on_event=self.trace.event)

    def tell(self, verb: str) -> None:
        """Tell the run something; where it was told already it is gone on with."""
        run = self._there
        try:
            getattr(self.runs, verb)(run.id, on_event=self.trace.event)
        except errors.RunRefused:
            self.runs.wait(run.id, on_event=self.trace.event)

    def approve(self) -> None:
        """Have it go on from every pause, to its end."""
        run = self.runs.wait(self._there.id, on_event=self.trace.event)
        while waits_for_a_word(run):
            run = self.runs.approve(run.id, on_event=self.trace.event)

    def take_back(self) -> None:
        """Have all undone that the run did, whatever became of it."""
        run = self.run_drilled
        if run is not None and run.state == RunState.PAUSED:
            self.runs.cancel(run.id, on_event=self.trace.event)
        elif run is not None and run.state in (RunState.SUCCEEDED, RunState.STUCK):
            self.runs.undo(run.id, on_event=self.trace.event)

    @property
    def _there(self) -> RunRecord:
        run = self.run_drilled
        if run is None:
            raise LookupError("the run is not on record any more")
        return run

    @contextmanager
    def logged(self) -> Iterator[None]:
        """Keep everything that is logged or printed meanwhile, by anybody."""
        root, paper = logging.getLogger(), cast("TextIO", _Printed(self))
        root.addHandler(self._handler)
        try:
            with super().logged(), redirect_stdout(paper), redirect_stderr(paper):
                yield
        finally:
            root.removeHandler(self._handler)


class _Printed:
    """What is printed goes on the log."""

    def __init__(self, bench: FlowBench) -> None:
        self._bench = bench
        self.encoding = sys.stdout.encoding

    def write(self, text: str) -> int:
        """Add a text."""
        self._bench.log.write(text)
        return len(text)

    def flush(self) -> None:
        """Do nothing: it is kept with the rest."""

    def isatty(self) -> bool:
        """It is none."""
        return False


def waits_for_a_word(run: RunRecord) -> bool:
    """Whether it is paused until somebody approves or rejects."""
    return run.state == RunState.PAUSED and run.waits_at is not None and run.wake_at is None
