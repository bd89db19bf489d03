"""`slipway grow-disk`: a larger disk."""

from __future__ import annotations

from functools import partial

import click

from slipway.cli import power
from slipway.cli.options import Options, Size, common_options, example
from slipway.cli.selecting import Chosen, selectors


@click.command("grow-disk", epilog=example("slipway grow-disk web-1 --disk vdb --size 20GiB"))
@power.names
@power.project
@click.option("--disk", metavar="DISK", required=True, help="Its device, such as vdb, or its slot.")
@click.option("--size", metavar="SIZE", required=True, type=Size(), help="How large it is to be, as in 20GiB.")
@selectors(changes=True)
@common_options(selects=True)
@click.pass_obj
def command(options: Options, chosen: Chosen, disk: str, size: int) -> int:
    """Make a disk of the instances called NAME (or with this id) larger, with all that is on it.

    A guest that runs sees it at once; its file system is the guest's affair. A disk never shrinks. The root disk grows
    by `slipway resize`.
    """
    return power.change_all(
        "grow-disk",
        options,
        chosen,
        by=lambda slipway: partial(slipway.changes.grow_disk, disk=disk, size=size),
        said=("--disk", disk, "--size", f"{size}B"),
    )
