"""A run that a command begins or goes on with: worked on until it is at rest, told of meanwhile and at the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from slipway.cli.interrupt import Stop, interruptible
from slipway.cli.options import Options, orchestrator
from slipway.cli.runprogress import RunProgress, progress_of_runs
from slipway.cli.runtext import conclude
from slipway.errors import BuildInterrupted
from slipway.model.run import RunRecord
from slipway.operations.runs import Runs
from slipway.states.run_machine import RunState


def carry_out(
    options: Options,
    verb: Callable[[Runs, Stop, RunProgress], RunRecord],
    *,
    wanted: Sequence[RunState] = (),
    allow_commands: bool = False,
    **more: Any,
) -> int:
    """Do what the verb says to a run; gives the exit code. `wanted`: the states that are success; `more`: of the
    orchestrator."""
    stop = Stop(options.command("resume"))
    progress = progress_of_runs(options)
    with orchestrator(options, sleep=stop.sleep, allow_commands=allow_commands, **more) as slipway:
        runs, interrupted = slipway.runs, False
        try:
            with progress:
                run = interruptible(lambda: verb(runs, stop, progress), stop, progress)
        except BuildInterrupted as error:
            if not progress.whole:
                raise
            progress.announce(str(error))
            run, interrupted = runs.get(progress.whole), True
    return conclude([run], options, wanted=wanted, interrupted=interrupted, allow_commands=allow_commands)
