"""`slipway unpause`: let frozen guests go on."""

from __future__ import annotations

import click

from slipway.cli import power
from slipway.cli.options import Options, board_option, common_options, example
from slipway.cli.selecting import Chosen, selectors


@click.command(
    "unpause",
    epilog=example("slipway unpause web-1", "slipway unpause --status PAUSED --stack shop"),
)
@power.names
@power.project
@selectors(changes=True)
@board_option
@common_options(selects=True)
@click.pass_obj
def command(options: Options, chosen: Chosen) -> int:
    """Let the guests of the instances called NAME (or with this id) that are PAUSED go on where they were frozen.

    One that is ACTIVE is left as it is. `slipway resume` is another thing: it finishes what was begun.
    Instead of names there may be selectors: all that is said has to be true of an instance.
    """
    return power.change_all("unpause", options, chosen)
