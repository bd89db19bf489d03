"""`slipway resume`: finish what a crash left unfinished."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from slipway.cli.options import Options, common_options, example, orchestrator

if TYPE_CHECKING:
    from slipway.operations.batch import Ended


@click.command("resume", epilog=example("slipway resume"))
@common_options()
@click.pass_obj
def command(options: Options) -> int:
    """Finish, forward or back, what a crash or Ctrl-C left unfinished.

    What another worker is at is left to it, until it is gone or its deadline has passed.
    """
    from slipway.cli.interrupt import Stop, interruptible
    from slipway.cli.progress import progress_for
    from slipway.cli.summary import conclude

    stop = Stop(options.command("resume"))
    with orchestrator(options, sleep=stop.sleep) as slipway:
        progress = progress_for(options, {i.name for i in slipway.list() if i.task_state is not None})

        def work() -> tuple[Ended, ...]:
            return slipway.resume(on_event=progress, stopping=stop)

        with progress:
            ended = interruptible(work, stop, progress)
    return conclude(
        ended, options, progress, again=("resume",), stopped=stop(), nothing="Nothing to do: no instance is unfinished."
    )
