"""`slipway clone`: another instance like this one."""

from __future__ import annotations

from functools import partial

import click

from slipway.cli import power
from slipway.cli.completing import Names
from slipway.cli.options import Options, common_options, example
from slipway.cli.selecting import Chosen


@click.command("clone", epilog=example("slipway clone web-1 web-2", "slipway clone web-1 web-2 --project demo"))
@click.argument("name", shell_complete=Names("instance"))
@click.argument("new", metavar="NEW")
@power.project
@common_options()
@click.pass_obj
def command(options: Options, name: str, new: str, project: str | None) -> int:
    """Build another instance called NEW like the one called NAME (or with this id), its disks being copies.

    It is on the same host, and has addresses, MACs and ports of its own. A guest that runs stands still while its disks
    are copied; what fails is taken back.
    """
    return power.change_all(
        "clone",
        options,
        Chosen((name,), project),
        by=lambda slipway: partial(slipway.changes.clone, new=new),
        said=(new,),
    )
