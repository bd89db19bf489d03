"""`slipway resize`: another size."""

from __future__ import annotations

import sys
from functools import partial

import click

from slipway.cli import power
from slipway.cli.options import Options, Size, board_option, common_options, example
from slipway.cli.selecting import Chosen, selectors


@click.command(
    "resize",
    epilog=example(
        "slipway resize web-1 --disk 20GiB",
        "slipway resize web-1 --vcpus 4 --memory 8GiB --yes",
        "slipway resize --name 'web-*' --flavor large --yes",
    ),
)
@power.names
@power.project
@click.option("--flavor", metavar="FLAVOR", help="The sizes of the flavor that instances on record have by this name.")
@click.option("--vcpus", metavar="N", type=click.IntRange(min=1), help="In place of a flavor: so many vCPUs.")
@click.option("--memory", metavar="SIZE", type=Size(), help="In place of a flavor: so much memory, as in 2GiB.")
@click.option("--disk", metavar="SIZE", type=Size(), help="In place of a flavor: the root disk; it never shrinks.")
@selectors(changes=True)
@board_option
@common_options(selects=True)
@click.pass_obj
def command(
    options: Options, chosen: Chosen, flavor: str | None, vcpus: int | None, memory: int | None, disk: int | None
) -> int:
    """Give the instances called NAME (or with this id) another size.

    A disk grows while its guest runs. For other vCPUs or memory a guest that runs is stopped, which is asked unless
    there is --yes, and started; where it does not start with them it is started as it was.
    """
    sizes = [(word, value) for word, value in (("vcpus", vcpus), ("memory", memory), ("disk", disk)) if value]
    if bool(flavor) == bool(sizes):
        raise click.UsageError("say --flavor, or some of --vcpus, --memory and --disk")
    chosen.check()
    told = ((f"--{word}", str(value) if word == "vcpus" else f"{value}B") for word, value in sizes)
    stops = chosen.yes or (bool(flavor or vcpus or memory) and _agreed(options))
    return power.change_all(
        "resize",
        options,
        chosen,
        by=lambda slipway: partial(
            slipway.changes.resize,
            flavor=slipway.changes.flavor(flavor) if flavor else None,
            vcpus=vcpus,
            memory=memory,
            disk=disk,
            stops=stops,
        ),
        said=("--flavor", flavor) if flavor else tuple(word for pair in told for word in pair),
    )


def _agreed(options: Options) -> bool:
    """Whether somebody at a terminal lets guests be stopped; without one nobody does."""
    if options.json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    return click.confirm("Guests that run are stopped for it and started again. Go on?", err=True, abort=True)
