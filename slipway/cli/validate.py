"""`slipway validate`: check a run file or a workflow and change nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from slipway.cli.options import Options, common_options, example, tasks_option
from slipway.cli.say import say, shown

if TYPE_CHECKING:
    from slipway.flows.workflows.loading import Workflow


@click.command(
    "validate",
    epilog=example(
        "slipway validate demo.yaml", "slipway validate deploy.yaml", "slipway validate demo.yaml --output json"
    ),
)
@click.argument("file", type=click.Path(path_type=Path))
@tasks_option
@common_options()
@click.pass_obj
def command(options: Options, file: Path) -> None:
    """Check FILE, a run file or a workflow, and change nothing.

    All mistakes are shown at once, each as file:line:column: what is wrong. The exit code is 2 if there are any. So are
    drivers that are not installed here, and images and volumes that are not there where a host would open them.
    What cannot be undone in a workflow is a warning, and no mistake.
    """
    from slipway.cli.run import is_workflow

    if is_workflow(file):
        _tell_workflow(options, file)
    else:
        _tell_run_file(options, file)


def _tell_run_file(options: Options, file: Path) -> None:
    from slipway.cli.output import counted, print_json
    from slipway.runfile import load

    run_file = load(file, here=True, state=options.directory)
    if os.path.isabs(run_file.workflow):
        # Ours has no mistakes, and costs the import of all tasks.
        _warn(_read(Path(run_file.workflow)), json=options.json)
    counts = {kind: len(getattr(run_file, kind)) for kind in ("hosts", "networks", "instances")}
    if options.json:
        print_json({"file": str(file), "valid": True, "project": run_file.project, **counts})
    else:
        things = ", ".join(counted(number, kind.removesuffix("s")) for kind, number in counts.items())
        say(f"{file} is valid: {things}")


def _tell_workflow(options: Options, file: Path) -> None:
    from slipway.cli.output import counted, print_json

    workflow = _read(file)
    definition = workflow.definition
    counts = {"inputs": len(definition.inputs), "steps": len(definition.steps) + len(definition.finals)}
    if options.json:
        said = {"file": str(file), "valid": True, "workflow": definition.name, **counts, "warnings": workflow.warnings}
        print_json(said)
        return
    _warn(workflow, json=False)
    things = ", ".join(counted(number, kind.removesuffix("s")) for kind, number in counts.items())
    say(f"{file} is valid: workflow {definition.name}, {things}")


def _read(path: Path) -> Workflow:
    """Raises `InvalidFile`."""
    from slipway.flows.loader import load_workflow
    from slipway.flows.tasks.catalog import SIGNATURES

    return load_workflow(path, SIGNATURES)


def _warn(workflow: Workflow, *, json: bool) -> None:
    for warning in () if json else workflow.warnings:
        say(f"{shown(warning)} (a warning)", err=True)
