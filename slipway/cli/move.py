"""`slipway move`: to another host."""

from __future__ import annotations

from functools import partial

import click

from slipway.cli import power
from slipway.cli.completing import Names
from slipway.cli.options import Options, Seconds, common_options, example
from slipway.cli.selecting import Chosen, selectors


@click.command("move", epilog=example("slipway move web-1", "slipway move web-1 --to node-2 --live"))
@power.names
@power.project
@click.option(
    "--to", metavar="HOST", shell_complete=Names("host"), help="The host. [default: the one that the scheduler chooses]"
)
@click.option("--live", is_flag=True, help="While its guest runs: it is not shut down.")
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=Seconds(),
    help="How long a guest may take to go there while it runs. [default: 1800]",
)
@selectors(changes=True)
@common_options(selects=True)
@click.pass_obj
def command(options: Options, chosen: Chosen, to: str | None, live: bool, timeout: float | None) -> int:
    """Have the instances called NAME (or with this id) on another host, with their ports, addresses, disks and volumes.

    A guest that runs is shut down first and started there; with --live it goes on meanwhile. Until all is there the old
    stands, and what fails is taken back: the guest runs on where it was.
    """
    if timeout is not None and not live:
        raise click.UsageError("--timeout is how long a guest may take with --live")
    said = (
        *(("--to", to) if to is not None else ()),
        *(("--live",) if live else ()),
        *(("--timeout", f"{timeout:g}") if timeout is not None else ()),
    )
    return power.change_all(
        "move",
        options,
        chosen,
        by=lambda slipway: partial(slipway.changes.move, to=to, live=live, timeout=timeout),
        said=said,
        shuts_down=not live,
    )
