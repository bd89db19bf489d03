"""`slipway detach-interface`: one NIC less."""

from __future__ import annotations

from functools import partial

import click

from slipway.cli import power
from slipway.cli.options import Options, board_option, common_options, example
from slipway.cli.selecting import Chosen, selectors


@click.command(
    "detach-interface",
    epilog=example(
        "slipway detach-interface web-1 --nic 192.168.0.30", "slipway detach-interface web-1 --nic fa:16:3e:12:34:56"
    ),
)
@power.names
@power.project
@click.option("--nic", metavar="NIC", required=True, help="Its MAC, one of its addresses, or its port (name or id).")
@selectors(changes=True)
@board_option
@common_options(selects=True)
@click.pass_obj
def command(options: Options, chosen: Chosen, nic: str) -> int:
    """Take a NIC away from the instances called NAME (or with this id), and its port with it.

    A guest that runs lets go of it first: where it does not, nothing is changed. A port that was brought along stays.
    """
    return power.change_all(
        "detach-interface",
        options,
        chosen,
        by=lambda slipway: partial(slipway.changes.detach_interface, nic=nic),
        said=("--nic", nic),
    )
