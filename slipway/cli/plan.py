"""`slipway plan`: what a run of a file would do, and what it would not; nothing is changed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from slipway.cli.options import Options, common_options, default_state, example, orchestrator, tasks_option
from slipway.cli.say import say

if TYPE_CHECKING:
    from slipway.orchestrator import Orchestrator
    from slipway.runfile import RunFile


@click.command(
    "plan",
    epilog=example(
        "slipway plan demo.yaml",
        "slipway plan demo.yaml --check",
        "slipway plan demo.yaml --save demo.plan",
        "slipway plan demo.yaml --prune --json | jq .totals",
    ),
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--check", is_flag=True, help="End with 5 where a run would do anything.")
@click.option(
    "--save",
    metavar="PLAN",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the plan to a file, which `slipway run PLAN` carries out.",
)
@click.option("--prune", is_flag=True, help="Plan to take away what has left FILE.")
@click.option("--replace-failed", is_flag=True, help="Plan to build anew what is in ERROR.")
@click.option(
    "--no-repair", "repair", is_flag=True, default=True, flag_value=False, help="Do not look at what is real."
)
@click.option("--json", "as_json", is_flag=True, help="As --output json.")
@tasks_option
@common_options()
@click.pass_obj
def command(
    options: Options,
    file: Path,
    save: Path | None,
    *,
    check: bool,
    prune: bool,
    replace_failed: bool,
    repair: bool,
    as_json: bool,
) -> int:
    """Show what `slipway run FILE` would do, and change nothing.

    Each change with what it is now and what it will be, in place, by a stop or by a replacement; each effect of a build
    with its host, its addresses and what would undo it; what nothing brings back, and what stays as it is.
    """
    from slipway.cli.failures import Code
    from slipway.cli.output import print_json
    from slipway.cli.plantext import plan_json, write_plan
    from slipway.cli.run import is_workflow
    from slipway.runfile import load
    from slipway.stacks.saved import is_saved

    if as_json:
        options.output = "json"
    if is_saved(file):
        raise click.UsageError(f"{file} is a plan already: slipway run {file}")
    if is_workflow(file):
        raise click.UsageError(
            f"{file} is a workflow, whose steps `slipway graph {file}` shows: plans are of run files"
        )
    run_file = load(file, here=True, state=options.directory)
    with _looking(options, run_file) as slipway:
        plan = slipway.plan(run_file, prune=prune, replace_failed=replace_failed, repair=repair)
        if save is not None:
            slipway.save_plan(plan, save)
    if options.json:
        print_json(plan_json(plan))
    else:
        write_plan(plan)
        if save is not None:
            say(f"\nSaved; carry it out with: {options.command('run', str(save))}")
    return Code.DIFFERENT if check and plan.acts else Code.DONE


@contextmanager
def _looking(options: Options, file: RunFile) -> Iterator[Orchestrator]:
    """An orchestrator that makes no state: where there is none yet the plan is made on an empty record."""
    state = options.state or default_state()
    if options.db is not None or os.path.exists(os.path.join(state, "slipway.db")):
        with orchestrator(options, file) as slipway:
            yield slipway
        return
    from slipway.states.urls import sqlite_url

    with tempfile.TemporaryDirectory(prefix="slipway-plan-") as directory:
        empty = replace(options, state=state, db=sqlite_url(Path(directory) / "slipway.db"))
        with orchestrator(empty, file, new=True) as slipway:
            yield slipway
