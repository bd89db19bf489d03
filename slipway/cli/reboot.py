"""`slipway reboot`: stop instances and start them again."""

from __future__ import annotations

import click

from slipway.cli import power
from slipway.cli.options import Options, board_option, common_options, example
from slipway.cli.selecting import Chosen, selectors


@click.command(
    "reboot",
    epilog=example(
        "slipway reboot web-1", "slipway reboot web-1 --force", "slipway reboot --label tier=web --parallel 2"
    ),
)
@power.names
@power.project
@selectors(changes=True)
@power.shutdown_options
@board_option
@common_options(selects=True)
@click.pass_obj
def command(options: Options, chosen: Chosen, force: bool, timeout: float | None) -> int:
    """Reboot the instances called NAME (or with this id): stop each as `slipway stop` does, and start it.

    One whose domain ended by itself is started. A guest that could not be started again is not stopped.
    Instead of names there may be selectors: all that is said has to be true of an instance.
    """
    return power.change_all("reboot", options, chosen, force=force, timeout=timeout)
