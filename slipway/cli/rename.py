"""`slipway rename`: another name."""

from __future__ import annotations

from functools import partial

import click

from slipway.cli import power
from slipway.cli.completing import Names
from slipway.cli.options import Options, board_option, common_options, example
from slipway.cli.selecting import Chosen


@click.command("rename", epilog=example("slipway rename web-1 shop-1", "slipway rename web-1 shop-1 --project demo"))
@click.argument("name", shell_complete=Names("instance"))
@click.argument("new", metavar="NEW")
@power.project
@board_option
@common_options()
@click.pass_obj
def command(options: Options, name: str, new: str, project: str | None) -> int:
    """Have the instance called NAME (or with this id) be called NEW: on record, in DNS and in its domain's title.

    Its domain keeps the name with which it was made, and its guest the host name that it has.
    """
    return power.change_all(
        "rename",
        options,
        Chosen((name,), project),
        by=lambda slipway: partial(slipway.changes.rename, new=new),
        said=(new,),
    )
