"""`slipway pause`: freeze guests."""

from __future__ import annotations

import click

from slipway.cli import power
from slipway.cli.options import Options, board_option, common_options, example
from slipway.cli.selecting import Chosen, selectors


@click.command(
    "pause",
    epilog=example("slipway pause web-1", "slipway pause --name 'web-*' --host node-1 --yes"),
)
@power.names
@power.project
@selectors(changes=True)
@board_option
@common_options(selects=True)
@click.pass_obj
def command(options: Options, chosen: Chosen) -> int:
    """Freeze the guests of the instances called NAME (or with this id): they keep their memory and all that they hold.

    A guest that is PAUSED is left as it is, by `repair` as well, until `unpause`, `start`, `stop` or `reboot`.
    Instead of names there may be selectors: all that is said has to be true of an instance.
    """
    return power.change_all("pause", options, chosen)
