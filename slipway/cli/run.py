"""`slipway run`: bring about what a run file says."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from slipway.cli.options import Options, common_options, example, orchestrator
from slipway.cli.say import say

if TYPE_CHECKING:
    from slipway.stacks.changes import RunResult

MOST_BUILDS = 8


@click.command(
    "run",
    epilog=example(
        "slipway run demo.yaml",
        "slipway run demo.yaml --parallel 4",
        "slipway run demo.yaml --replace-failed",
        "slipway run demo.yaml --output json | jq .event",
    ),
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--parallel",
    metavar="N",
    type=click.IntRange(1, 256),
    help=f"Build N instances at the same time. [default: two a core, at most {MOST_BUILDS}]",
)
@click.option("--allow-faults", is_flag=True, help="Let the faults of FILE go off.")
@click.option(
    "--faults",
    "fault_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Let the faults of another file go off (schema: 1, faults: [...]).",
)
@click.option("--replace-failed", is_flag=True, help="Delete instances in ERROR and build them anew.")
@common_options()
@click.pass_obj
def command(
    options: Options,
    file: Path,
    parallel: int | None,
    fault_file: Path | None,
    *,
    allow_faults: bool,
    replace_failed: bool,
) -> int:
    """Bring the record in line with FILE and build what is missing.

    Running it again changes nothing. What failed before is left alone, unless --replace-failed is given. Ctrl-C
    finishes the running steps; run it again to go on.
    """
    from concurrent.futures import ThreadPoolExecutor

    from slipway.cli.interrupt import Stop, interruptible
    from slipway.cli.progress import progress_for
    from slipway.cli.summary import conclude
    from slipway.runfile import load

    run_file = load(file, here=True)
    faults = load(fault_file).faults if fault_file is not None else ()
    if allow_faults:
        faults += run_file.faults
    elif run_file.faults:
        say(f"slipway: the faults of {file} do not go off without --allow-faults", err=True)
    stop = Stop(options.command("resume"))
    with orchestrator(options, run_file, sleep=stop.sleep, faults=faults, new=True) as slipway:
        at_rest = {i.name for i in slipway.list(project=run_file.project) if i.task_state is None}
        names = {entry.request.name for entry in run_file.instances}
        progress = progress_for(options, names if replace_failed else names - at_rest)
        threads = parallel or min(MOST_BUILDS, 2 * (os.cpu_count() or 1))

        def work() -> RunResult:
            with ThreadPoolExecutor(threads) if threads > 1 else nullcontext() as executor:
                return slipway.run(
                    run_file, on_event=progress, executor=executor, stopping=stop, replace_failed=replace_failed
                )

        with progress:
            result = interruptible(work, stop, progress)
    again = ("run", str(file))
    return conclude(
        result.ended,
        options,
        progress,
        again=again,
        stopped=stop(),
        changes=result.changes,
        replace=(*again, "--replace-failed"),
        nothing=f"Nothing to do: all is as {file} says.",
    )
