"""`slipway move`: to another host."""

from __future__ import annotations

from functools import partial

import click

from slipway.cli import power
from slipway.cli.completing import Names
from slipway.cli.options import Options, common_options, example
from slipway.cli.selecting import Chosen, selectors


@click.command("move", epilog=example("slipway move web-1", "slipway move web-1 --to node-2 --yes"))
@power.names
@power.project
@click.option(
    "--to", metavar="HOST", shell_complete=Names("host"), help="The host. [default: the one that the scheduler chooses]"
)
@selectors(changes=True)
@common_options(selects=True)
@click.pass_obj
def command(options: Options, chosen: Chosen, to: str | None) -> int:
    """Have the instances called NAME (or with this id) on another host, with their ports, addresses, disks and volumes.

    A guest that runs is shut down first and started there. Until all is there the old stands, and what fails is taken
    back: the guest runs on where it was.
    """
    return power.change_all(
        "move",
        options,
        chosen,
        by=lambda slipway: partial(slipway.changes.move, to=to),
        said=("--to", to) if to is not None else (),
        shuts_down=True,
    )
