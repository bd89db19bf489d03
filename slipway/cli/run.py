"""`slipway run`: bring about what a run file says, or carry out a workflow."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from slipway.cli.options import Options, board_option, common_options, example, tasks_option
from slipway.cli.say import say

if TYPE_CHECKING:
    from slipway.flows.runs.prepared import Given
    from slipway.stacks.plan import Wish

MOST_BUILDS = 8


@click.command(
    "run",
    epilog=example(
        "slipway run demo.yaml",
        "slipway run demo.yaml --parallel 4",
        "slipway run demo.yaml --replace-failed",
        "slipway run demo.yaml --prune --yes",
        "slipway run demo.plan",
        "slipway run demo.yaml --output json | jq .event",
        "slipway run deploy.yaml --input zone=example.org --inputs more.yaml",
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
@click.option("--prune", is_flag=True, help="Take away what has left FILE.")
@click.option(
    "--no-repair", "repair", is_flag=True, default=True, flag_value=False, help="Do not look at what is real."
)
@click.option("--yes", is_flag=True, help="Stop, replace and prune without a question.")
@click.option("--input", "given", metavar="NAME=VALUE", multiple=True, help="A workflow's input; may be given often.")
@click.option(
    "--inputs",
    "file_of_inputs",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="A workflow's inputs, a YAML mapping; --input counts more.",
)
@click.option("--idempotency-key", metavar="KEY", help="A workflow is run once under this key.")
@click.option("--project", metavar="PROJECT", help="Whose a workflow's run is. [default: default]")
@click.option("--allow-commands", is_flag=True, help="Let steps of a workflow run commands on this machine.")
@board_option
@tasks_option
@common_options()
@click.pass_obj
def command(
    options: Options,
    file: Path,
    parallel: int | None,
    fault_file: Path | None,
    given: tuple[str, ...],
    file_of_inputs: Path | None,
    idempotency_key: str | None,
    project: str | None,
    *,
    allow_faults: bool,
    replace_failed: bool,
    prune: bool,
    repair: bool,
    yes: bool,
    allow_commands: bool,
) -> int:
    """Do what `slipway plan` says of FILE, a run file or a plan that was saved; or carry out the workflow in FILE.

    Running a run file again changes nothing. Before anything is stopped, replaced or taken away you are asked, and
    where nobody can be asked nothing is done without --yes. What failed before is left alone, unless --replace-failed
    is given; what has left FILE is named, and goes with --prune.
    A workflow is carried out anew each time, under an --idempotency-key once. Ctrl-C finishes the running steps;
    `slipway resume` goes on.
    """
    if is_workflow(file):
        from slipway.cli.runworkflow import run_workflow

        inputs = given_by(given, file_of_inputs)
        return run_workflow(
            options,
            file,
            inputs,
            parallel=parallel,
            key=idempotency_key,
            project=project,
            allow_commands=allow_commands,
        )
    if given or file_of_inputs or idempotency_key or project or allow_commands:
        raise click.UsageError(f"{file} is no workflow: it takes no inputs, key, project or commands")
    from slipway.stacks.plan import Wish

    wish = Wish(prune=prune, replace_failed=replace_failed, repair=repair)
    return _run_file(options, file, wish, parallel, fault_file, allow_faults=allow_faults, yes=yes)


def is_workflow(file: Path) -> bool:
    """Whether a file that can be read has steps; what is wrong with another one is said where it is read."""
    from slipway.errors import InvalidFile
    from slipway.yamlfile.document import parse, read_text

    try:
        text = read_text(file)
        return "steps" in text and isinstance(value := parse(text, str(file)).value, dict) and "steps" in value
    except InvalidFile:
        return False


def given_by(texts: tuple[str, ...], file: Path | None) -> Given:
    """The inputs of a file and those of the command line, which count more."""
    from slipway.flows.runs.prepared import Given

    return Given(texts=texts, file=file)


def _run_file(
    options: Options,
    file: Path,
    wish: Wish,
    parallel: int | None,
    fault_file: Path | None,
    *,
    allow_faults: bool,
    yes: bool,
) -> int:
    from slipway.cli.runplan import Planned, run_planned
    from slipway.runfile import load
    from slipway.stacks.plan import Wish
    from slipway.stacks.saved import is_saved, read

    saved = is_saved(file)
    if saved and wish != Wish():
        raise click.UsageError(f"{file} is a plan, which says by itself what is replaced, pruned and looked at")
    run_file = read(file).file if saved else load(file, here=True, state=options.directory)
    faults = load(fault_file).faults if fault_file is not None else ()
    if allow_faults:
        faults += run_file.faults
    elif run_file.faults:
        say(f"slipway: the faults of {file} do not go off without --allow-faults", err=True)
    threads = parallel or min(MOST_BUILDS, 2 * (os.cpu_count() or 1))
    planned = Planned(file, run_file, wish, saved=saved)
    return run_planned(options, planned, threads=threads, faults=faults, yes=yes)
