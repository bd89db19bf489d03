"""`slipway delete`: delete instances."""

from __future__ import annotations

import click

from slipway.cli import power
from slipway.cli.options import Options, Seconds, board_option, common_options, example, tasks_option
from slipway.cli.selecting import Chosen, selectors


@click.command(
    "delete",
    epilog=example(
        "slipway delete web-1",
        "slipway delete web-1 web-2 --project demo --timeout 30",
        "slipway delete --status ERROR --yes",
    ),
)
@power.names
@power.project
@selectors(changes=True)
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=Seconds(),
    help="How long to wait for the worker that is at an instance. [default: until it has ended or its lease passes]",
)
@board_option
@tasks_option
@common_options(selects=True)
@click.pass_obj
def command(options: Options, chosen: Chosen, timeout: float | None) -> int:
    """Delete the instances called NAME (or with this id), whatever is going on with them.

    All that was made for them is undone: domains, disks, ports, claims. Ports that were brought along are given back.
    What cannot be undone is told, stays on record, and delete can be repeated.
    Instead of names there may be selectors: all that is said has to be true of an instance.
    """
    return power.change_all("delete", options, chosen, timeout=timeout)
