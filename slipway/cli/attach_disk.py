"""`slipway attach-disk`: one more disk."""

from __future__ import annotations

from functools import partial

import click

from slipway.cli import power
from slipway.cli.options import Options, Size, board_option, common_options, example
from slipway.cli.selecting import Chosen, selectors


@click.command(
    "attach-disk",
    epilog=example(
        "slipway attach-disk web-1 --size 10GiB", "slipway attach-disk web-1 --volume /srv/data.qcow2 --format qcow2"
    ),
)
@power.names
@power.project
@click.option("--size", metavar="SIZE", type=Size(), help="A new, empty disk, as in 10GiB.")
@click.option("--volume", metavar="PATH", help="In place of a size: a file that is attached as it is.")
@click.option("--format", "form", type=click.Choice(("qcow2", "raw")), help="The format of the volume.")
@selectors(changes=True)
@board_option
@common_options(selects=True)
@click.pass_obj
def command(options: Options, chosen: Chosen, size: int | None, volume: str | None, form: str | None) -> int:
    """Give the instances called NAME (or with this id) one more disk, behind those that they have.

    A guest that runs sees it at once. Its room is claimed of the host and of the project's quota. What fails is taken
    back.
    """
    from pathlib import Path

    from slipway.model.request import Volume

    if (size is None) == (volume is None):
        raise click.UsageError("say --size or --volume: one of the two")
    if (volume is None) != (form is None):
        raise click.UsageError("--volume and --format go together")
    if volume is None:
        assert size is not None
        disk: int | Volume = size
        said: tuple[str, ...] = ("--size", f"{size}B")
    else:
        assert form is not None
        disk = Volume(str(Path(volume).absolute()), form)
        said = ("--volume", disk.path, "--format", form)
    return power.change_all(
        "attach-disk", options, chosen, by=lambda slipway: partial(slipway.changes.attach_disk, disk=disk), said=said
    )
