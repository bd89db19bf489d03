"""`slipway resume`: finish what a crash left unfinished."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from slipway.cli.options import Options, common_options, example, orchestrator, tasks_option

if TYPE_CHECKING:
    from slipway.cli.interrupt import Stop
    from slipway.model.run import RunRecord
    from slipway.operations.batch import Ended
    from slipway.orchestrator import Orchestrator


@click.command("resume", epilog=example("slipway resume"))
@click.option("--allow-commands", is_flag=True, help="Let steps of workflows run commands on this machine.")
@tasks_option
@common_options()
@click.pass_obj
def command(options: Options, *, allow_commands: bool) -> int:
    """Finish, forward or back, what a crash or Ctrl-C left unfinished.

    Instances come first, then runs of workflows, also those whose time to go on has come. What another worker is at is
    left to it, until it is gone or its deadline has passed.
    """
    from slipway.cli.interrupt import Stop, interruptible
    from slipway.cli.progress import progress_for
    from slipway.cli.summary import conclude

    stop = Stop(options.command("resume"))
    with orchestrator(options, sleep=stop.sleep, allow_commands=allow_commands) as slipway:
        progress = progress_for(options, {i.name for i in slipway.list() if i.task_state is not None})

        def work() -> tuple[Ended, ...]:
            return slipway.resume(on_event=progress, stopping=stop)

        with progress:
            ended = interruptible(work, stop, progress)
        runs = _resume_runs(slipway, options, stop)
    code = conclude(
        ended,
        options,
        progress,
        again=("resume",),
        stopped=stop(),
        nothing="" if runs else "Nothing to do: no instance or run is unfinished.",
    )
    if not runs:
        return code
    from slipway.cli.failures import Code
    from slipway.cli.runtext import conclude as conclude_runs

    return max(
        code,
        conclude_runs(runs, options, interrupted=stop(), allow_commands=allow_commands),
        key=list(Code).index,
    )


def _resume_runs(slipway: Orchestrator, options: Options, stop: Stop) -> tuple[RunRecord, ...]:
    """How the runs stand then that were gone on with; what they need is loaded where there are any."""
    from slipway.cli.interrupt import interruptible
    from slipway.errors import BuildInterrupted

    if stop() or not slipway.unfinished_runs():
        return ()
    from slipway.cli.runprogress import progress_of_runs

    progress = progress_of_runs(options)
    try:
        with progress:
            return interruptible(lambda: slipway.runs.resume(on_event=progress, stopping=stop), stop, progress)
    except BuildInterrupted as error:
        if not progress.whole:
            raise
        progress.announce(str(error))
        return (slipway.runs.get(progress.whole),)
