"""`slipway runs`: runs of workflows and of what is done to instances, looked at and told what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from slipway.cli.completing import Names
from slipway.cli.options import Options, common_options, example, orchestrator, tasks_option

if TYPE_CHECKING:
    from slipway.cli.interrupt import Stop
    from slipway.cli.runprogress import RunProgress
    from slipway.model.run import RunRecord
    from slipway.operations.runs import Runs
    from slipway.states.run_machine import RunState

RUN = click.argument("run", metavar="RUN", shell_complete=Names("run"))
ALLOW_COMMANDS = click.option("--allow-commands", is_flag=True, help="Let steps run commands on this machine.")


@click.group("runs", epilog=example("slipway runs list", "slipway runs show 1c9e6679", "slipway runs retry 1c9e6679"))
@common_options()
def command() -> None:
    """Runs, of workflows and of what is done to instances: list, show, approve, reject, retry, cancel, undo, prune.

    RUN is a run's id or the beginning of it.
    """


@command.command("list", epilog=example("slipway runs list", "slipway runs list --unfinished --output json"))
@click.option("--project", metavar="PROJECT", help="Only the runs of this project. [default: all]")
@click.option("--unfinished", is_flag=True, help="Only those that have not ended.")
@common_options()
@click.pass_obj
def list_(options: Options, project: str | None, *, unfinished: bool) -> None:
    """List the runs, oldest first; those that are parts of another one are indented."""
    from slipway.cli.output import coloured, print_json, table, write
    from slipway.cli.runtext import SHORT, doing, run_json
    from slipway.cli.say import say

    with orchestrator(options) as slipway:
        found = slipway.runs.list(project=project, unfinished=unfinished)
    if options.json:
        print_json([run_json(run) for run in found])
    elif not found:
        say("no runs" + (f" in project {project}" if project else ""))
    else:
        rows = [
            (
                run.id[:SHORT],
                f"  {doing(run)}" if run.parent_id else doing(run),
                coloured(run.state),
                f"{run.created_at:%Y-%m-%d %H:%M:%S}",
                run.waits_for or (run.fault.message if run.fault else ""),
            )
            for run in found
        ]
        write(table(("RUN", "WORKFLOW", "STATE", "BEGAN", "ABOUT"), rows, folded=("ABOUT",)))


@command.command("show", epilog=example("slipway runs show 1c9e6679", "slipway runs show 1c9e6679 --output json"))
@RUN
@common_options()
@click.pass_obj
def show(options: Options, run: str) -> None:
    """Show one run with what its steps did."""
    from slipway.cli.advice import write_advice
    from slipway.cli.asked import options_of
    from slipway.cli.output import effect_json, labelled, print_json, table, write
    from slipway.cli.runtext import after_run, described, effect_row, ending, run_json
    from slipway.cli.say import say, shown

    with orchestrator(options) as slipway:
        found = slipway.runs.get(run)
        effects = slipway.runs.effects(found.id)
    if options.json:
        print_json({**run_json(found), "effects": [effect_json(effect) for effect in effects]})
        return
    for line in ending(found):
        say(shown(line))
    write(labelled(described(found)))
    if effects:
        columns = ("STEP", "STATE", "EFFECT", "TOOK", "ERROR")
        rows = [effect_row(effect) for effect in effects]
        errors = any(effect.error for effect in effects)
        kept = len(columns) if errors else len(columns) - 1
        write("", table(columns[:kept], [row[:kept] for row in rows], folded=("STEP", "ERROR")))
    write_advice(options, list(after_run(found, options_of(found.asked_by))))


def _carry_out(
    options: Options,
    verb: Callable[[Runs, Stop, RunProgress], RunRecord],
    *wanted: RunState,
    allow_commands: bool = False,
) -> int:
    from slipway.cli.runwork import carry_out

    return carry_out(options, verb, wanted=wanted, allow_commands=allow_commands)


@command.command("cancel", epilog=example("slipway runs cancel 1c9e6679"))
@RUN
@ALLOW_COMMANDS
@tasks_option
@common_options()
@click.pass_obj
def cancel(options: Options, run: str, *, allow_commands: bool) -> int:
    """Undo what a run did that has not ended, and end it."""
    from slipway.states.run_machine import RunState

    return _carry_out(
        options,
        lambda runs, stop, progress: runs.cancel(run, on_event=progress, stopping=stop),
        RunState.CANCELLED,
        allow_commands=allow_commands,
    )


@command.command("undo", epilog=example("slipway runs undo 1c9e6679", "slipway runs undo 1c9e6679 --inputs key.yaml"))
@RUN
@click.option(
    "--input", "given", metavar="NAME=VALUE", multiple=True, help="A secret that it takes; may be given often."
)
@click.option("--inputs", "file_of_inputs", metavar="FILE", type=click.Path(path_type=Path), help="Those of a file.")
@ALLOW_COMMANDS
@tasks_option
@common_options()
@click.pass_obj
def undo(
    options: Options, run: str, given: tuple[str, ...], file_of_inputs: Path | None, *, allow_commands: bool
) -> int:
    """Take back what a run left standing that succeeded, or try again what was stuck.

    Secret inputs are kept no longer than a run goes on: those that this takes are given once more.
    """
    from slipway.cli.run import given_by
    from slipway.states.run_machine import RunState

    secrets = given_by(given, file_of_inputs)

    return _carry_out(
        options,
        lambda runs, stop, progress: runs.undo(run, secrets, on_event=progress, stopping=stop),
        RunState.CANCELLED,
        allow_commands=allow_commands,
    )


@command.command("approve", epilog=example("slipway runs approve 1c9e6679"))
@RUN
@ALLOW_COMMANDS
@tasks_option
@common_options()
@click.pass_obj
def approve(options: Options, run: str, *, allow_commands: bool) -> int:
    """Have a run go on that waits for somebody's word."""
    return _carry_out(
        options,
        lambda runs, stop, progress: runs.approve(run, on_event=progress, stopping=stop),
        allow_commands=allow_commands,
    )


@command.command("reject", epilog=example("slipway runs reject 1c9e6679 --reason 'not on a Friday'"))
@RUN
@click.option("--reason", metavar="TEXT", default="", help="Why; it is on record as the run's fault.")
@ALLOW_COMMANDS
@tasks_option
@common_options()
@click.pass_obj
def reject(options: Options, run: str, reason: str, *, allow_commands: bool) -> int:
    """Have a run undone that waits for somebody's word."""
    from slipway.states.run_machine import RunState

    return _carry_out(
        options,
        lambda runs, stop, progress: runs.reject(run, reason, on_event=progress, stopping=stop),
        RunState.FAILED,
        allow_commands=allow_commands,
    )


@command.command(
    "retry",
    epilog=example(
        "slipway runs retry 1c9e6679", "slipway runs retry 1c9e6679 --input zone=example.net --file dns.yaml"
    ),
)
@RUN
@click.option("--input", "given", metavar="NAME=VALUE", multiple=True, help="A corrected input; may be given often.")
@click.option("--inputs", "file_of_inputs", metavar="FILE", type=click.Path(path_type=Path), help="Those of a file.")
@click.option("--file", "workflow", metavar="FILE", type=click.Path(), help="A corrected text of the workflow.")
@ALLOW_COMMANDS
@tasks_option
@common_options()
@click.pass_obj
def retry(
    options: Options,
    run: str,
    given: tuple[str, ...],
    file_of_inputs: Path | None,
    workflow: str | None,
    *,
    allow_commands: bool,
) -> int:
    """Have a run go on that failed, from the step that failed, with corrected inputs or text.

    What is done by then must be in a new text as it was.
    """
    from slipway.cli.run import given_by

    inputs = given_by(given, file_of_inputs)
    return _carry_out(
        options,
        lambda runs, stop, progress: runs.retry(run, inputs, workflow=workflow, on_event=progress, stopping=stop),
        allow_commands=allow_commands,
    )


@command.command("prune", epilog=example("slipway runs prune", "slipway runs prune --older-than 7d"))
@click.option("--older-than", metavar="DURATION", default="30d", show_default=True, help="How long ago they ended.")
@common_options()
@click.pass_obj
def prune(options: Options, older_than: str) -> None:
    """Take runs off the record that ended long ago and left nothing standing that could be undone."""
    from slipway.cli.output import counted, print_json
    from slipway.cli.runtext import run_json
    from slipway.cli.say import say
    from slipway.yamlfile.units import parse_duration

    try:
        seconds = parse_duration(older_than)
    except ValueError as error:
        raise click.BadParameter(f"{error}", param_hint="--older-than") from error
    with orchestrator(options) as slipway:
        gone = slipway.runs.prune(older_than=seconds)
    if options.json:
        print_json([run_json(run) for run in gone])
    else:
        say(f"{counted(len(gone), 'run')} taken off the record")
