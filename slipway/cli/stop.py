"""`slipway stop`: stop instances."""

from __future__ import annotations

import click

from slipway.cli import power
from slipway.cli.options import Options, board_option, common_options, example
from slipway.cli.selecting import Chosen, selectors


@click.command(
    "stop",
    epilog=example(
        "slipway stop web-1",
        "slipway stop web-1 web-2 --project demo --timeout 30",
        "slipway stop --name 'web-*' --host node-1 --yes",
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
    """Stop the instances called NAME (or with this id); they keep their disks, ports and claims.

    A guest is asked to shut down (ACPI) and ended when it does not in time. One that is STOPPED is left as it is.
    Instead of names there may be selectors: all that is said has to be true of an instance.
    """
    return power.change_all("stop", options, chosen, force=force, timeout=timeout)
