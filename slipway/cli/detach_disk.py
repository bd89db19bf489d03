"""`slipway detach-disk`: one disk less."""

from __future__ import annotations

from functools import partial

import click

from slipway.cli import power
from slipway.cli.options import Options, board_option, common_options, example
from slipway.cli.selecting import Chosen, selectors


@click.command(
    "detach-disk",
    epilog=example("slipway detach-disk web-1 --disk vdb", "slipway detach-disk web-1 --disk /srv/data.qcow2"),
)
@power.names
@power.project
@click.option("--disk", metavar="DISK", required=True, help="Its device, such as vdb, its slot, or its volume's path.")
@selectors(changes=True)
@board_option
@common_options(selects=True)
@click.pass_obj
def command(options: Options, chosen: Chosen, disk: str) -> int:
    """Take a disk away from the instances called NAME (or with this id), with all that is on it; a volume stays.

    A guest that runs lets go of it first: where it does not, nothing is changed. The root disk and the seed stay.
    """
    return power.change_all(
        "detach-disk",
        options,
        chosen,
        by=lambda slipway: partial(slipway.changes.detach_disk, disk=disk),
        said=("--disk", disk),
    )
