"""`slipway destroy`: take back the stack that a run file brought about."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from slipway.cli.options import Options, board_option, common_options, example, orchestrator, tasks_option

if TYPE_CHECKING:
    from slipway.operations.batch import Ended
    from slipway.stacks.changes import Changes


@click.command("destroy", epilog=example("slipway destroy demo.yaml"))
@click.argument("file", type=click.Path(path_type=Path))
@board_option
@tasks_option
@common_options()
@click.pass_obj
def command(options: Options, file: Path) -> int:
    """Take back the stack that `slipway run FILE` brought about.

    Its instances are deleted, those that depend on others first; then its ports, networks, security groups and hosts,
    where nothing else uses them. What was there before the stack, or is another one's, stays and is named, also where
    FILE names it; what has left FILE since goes.
    """
    from slipway.cli.interrupt import Stop, interruptible
    from slipway.cli.progress import progress_for
    from slipway.cli.summary import conclude
    from slipway.errors import BuildInterrupted
    from slipway.runfile import load

    run_file = load(file, state=options.directory)
    again = ("destroy", str(file))
    stop = Stop(options.command("resume"))
    with orchestrator(options, run_file, sleep=stop.sleep) as slipway:
        names = {one.name for one in slipway.list(project=run_file.project) if one.stack == run_file.name}
        progress = progress_for(options, names | {entry.request.name for entry in run_file.instances})

        def work() -> tuple[tuple[Ended, ...], Changes]:
            return slipway.destroy(run_file, on_event=progress, stopping=stop)

        try:
            with progress:
                ended, changes = interruptible(work, stop, progress)
        except BuildInterrupted as stopped:
            raise BuildInterrupted(f"{stopped}; go on with: {options.command(*again)}") from stopped
    return conclude(
        ended, options, progress, again=again, stopped=stop(), changes=changes, nothing=f"Nothing of {file} is there."
    )
