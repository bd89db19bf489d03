"""A run file, or a plan that was saved, carried out: planned, agreed to where need be, and told of."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from slipway.cli.failures import Code
from slipway.cli.interrupt import Stop, interruptible
from slipway.cli.options import Options, orchestrator
from slipway.cli.output import write
from slipway.cli.plantext import lines_of
from slipway.cli.progress import progress_for
from slipway.cli.summary import conclude
from slipway.errors import NotConfirmed
from slipway.runfile import FaultEntry, RunFile
from slipway.stacks.plan import ACTS, Plan, Wish

if TYPE_CHECKING:
    from slipway.orchestrator import Orchestrator
    from slipway.stacks.changes import RunResult


class Planned(Struct, frozen=True):
    """What is to be carried out: a run file, as it is or as a saved plan has it, and what is wished besides."""

    path: Path
    file: RunFile
    wish: Wish
    saved: bool

    def plan(self, slipway: Orchestrator) -> Plan:
        """Made now, or as it was saved. Raises `PlanUnusable`."""
        if self.saved:
            return slipway.load_plan(self.path)
        wish = self.wish
        return slipway.plan(self.file, prune=wish.prune, replace_failed=wish.replace_failed, repair=wish.repair)


def run_planned(
    options: Options, planned: Planned, *, threads: int, faults: Sequence[FaultEntry] = (), yes: bool = False
) -> Code:
    """Carry it out; gives the exit code. `threads`: how many instances are built at once."""
    again = ("run", str(planned.path))
    stop = Stop(options.command("resume"))
    with orchestrator(options, planned.file, sleep=stop.sleep, faults=faults, new=True) as slipway:
        at_rest = {i.name for i in slipway.list(project=planned.file.project) if i.task_state is None}
        names = {entry.request.name for entry in planned.file.instances}
        progress = progress_for(options, names if planned.wish.replace_failed else names - at_rest)

        def carry_out(plan: Plan, *, checked: bool) -> RunResult:
            # A thread has a connection to the database of its own, and one instance needs but one.
            several = min(threads, len(plan.file.instances))
            with ThreadPoolExecutor(several) if several > 1 else nullcontext() as executor:
                return slipway.apply(
                    plan, on_event=progress, executor=executor, stopping=stop, yes=True, checked=checked
                )

        def work() -> tuple[Plan, RunResult | None]:
            """What it came to, None where somebody has to agree first."""
            plan = planned.plan(slipway)
            ask = plan.asked and not yes
            return plan, None if ask else carry_out(plan, checked=not planned.saved)

        later = whole = None
        # What others had left unfinished may be otherwise than the file says once it is finished.
        while later is None or (later.finished and not planned.saved and not stop()):
            with progress:
                plan, done = interruptible(work, stop, progress)
            if done is None:
                _agree(plan, options, finished=later is not None)
                # Whoever was asked may have taken a while.
                progress = progress_for(options, names | {change.name for change in plan.asked})
                with progress:
                    done = interruptible(partial(carry_out, plan, checked=False), stop, progress)
            later, whole = done, done if whole is None else whole.then(done)
    assert whole is not None
    return conclude(
        whole.ended,
        options,
        progress,
        again=again,
        stopped=stop(),
        changes=whole.changes,
        replace=() if planned.saved else (*again, "--replace-failed"),
        nothing=f"Nothing to do: all is as {planned.path} says.",
    )


def _agree(plan: Plan, options: Options, *, finished: bool) -> None:
    """Have somebody say that what the plan stops, replaces and prunes may go. Raises `NotConfirmed`.

    `finished`: what others had begun has been done.
    """
    names = ", ".join(f"{change.how} {change.label}" for change in plan.asked)
    done = "what others had begun is finished, and nothing else was done" if finished else "nothing was done"
    if options.json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise NotConfirmed(f"{done}: --yes has to agree to this: {names}")
    write(*(line for change in plan.asked for line in lines_of(change)))
    others = sum(change.how in ACTS for change in plan.changes) - len(plan.asked)
    beside = f" (and {others} other changes)" if others else ""
    if not click.confirm(f"Do this{beside}?", default=False):
        raise NotConfirmed(f"{done}: you have not agreed to this: {names}")
