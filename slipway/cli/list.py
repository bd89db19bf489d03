"""`slipway list`: the instances."""

from __future__ import annotations

import click

from slipway.cli.options import Options, common_options, example, orchestrator
from slipway.cli.say import say


@click.command("list", epilog=example("slipway list", "slipway list --project demo", "slipway list --output json"))
@click.option("--project", metavar="PROJECT", help="Only the instances of this project.")
@common_options()
@click.pass_obj
def command(options: Options, project: str | None) -> None:
    """List the instances, by project and name; deleted ones are left out."""
    from slipway.cli.output import (
        coloured,
        fault_text,
        instance_json,
        print_json,
        several,
        state_text,
        table,
        write,
    )

    with orchestrator(options) as slipway:
        found = slipway.list(project=project)
    if options.json:
        print_json([instance_json(instance) for instance in found])
    elif not found:
        say("no instances" + (f" in project {project}" if project else ""))
    else:
        columns = ("NAME", "PROJECT", "STATE", "HOST", "ADDRESSES", "FAULT")
        rows = [
            (
                instance.name,
                instance.project,
                coloured(state_text(instance)),
                instance.host or "-",
                several(instance.addresses),
                fault_text(instance),
            )
            for instance in found
        ]
        faults = any(instance.fault for instance in found)
        write(
            table(
                columns if faults else columns[:-1],
                rows if faults else [row[:-1] for row in rows],
                folded=("STATE", "FAULT"),
            )
        )
