"""`slipway start`: start instances that are stopped."""

from __future__ import annotations

import click

from slipway.cli import power
from slipway.cli.options import Options, board_option, common_options, example
from slipway.cli.selecting import Chosen, selectors


@click.command(
    "start",
    epilog=example(
        "slipway start web-1", "slipway start web-1 web-2 --project demo", "slipway start --status STOPPED --stack shop"
    ),
)
@power.names
@power.project
@selectors(changes=True)
@board_option
@common_options(selects=True)
@click.pass_obj
def command(options: Options, chosen: Chosen) -> int:
    """Start the instances called NAME (or with this id) that are STOPPED, and have those that are PAUSED go on.

    One that is ACTIVE is left as it is, unless its domain has ended by itself. What a start needs and is gone is said.
    Instead of names there may be selectors: all that is said has to be true of an instance.
    """
    return power.change_all("start", options, chosen)
