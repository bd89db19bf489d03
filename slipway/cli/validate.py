"""`slipway validate`: check a run file and change nothing."""

from __future__ import annotations

import os
from pathlib import Path

import click

from slipway.cli.options import Options, common_options, example, tasks_option
from slipway.cli.say import say


@click.command("validate", epilog=example("slipway validate demo.yaml", "slipway validate demo.yaml --output json"))
@click.argument("file", type=click.Path(path_type=Path))
@tasks_option
@common_options()
@click.pass_obj
def command(options: Options, file: Path) -> None:
    """Check FILE and change nothing.

    All mistakes are shown at once, each as file:line:column: what is wrong. The exit code is 2 if there are any. So are
    drivers that are not installed here, and images and volumes that are not there where a host would open them.
    """
    from slipway.cli.output import counted, print_json
    from slipway.runfile import load

    run_file = load(file, here=True)
    _check_workflow(run_file.workflow)
    counts = {kind: len(getattr(run_file, kind)) for kind in ("hosts", "networks", "instances")}
    if options.json:
        print_json({"file": str(file), "valid": True, "project": run_file.project, **counts})
    else:
        things = ", ".join(counted(number, kind.removesuffix("s")) for kind, number in counts.items())
        say(f"{file} is valid: {things}")


def _check_workflow(workflow: str) -> None:
    """Raise `InvalidFile` for a user's workflow with mistakes; ours has none and costs the import of TaskFlow."""
    if os.path.isabs(workflow):
        from slipway.flows.loader import load_definition
        from slipway.flows.tasks.catalog import SIGNATURES

        load_definition(Path(workflow), SIGNATURES)
