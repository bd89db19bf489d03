"""`slipway backup`: copy the record."""

from __future__ import annotations

from pathlib import Path

import click

from slipway.cli.options import Options, common_options, example, orchestrator
from slipway.cli.say import say


@click.command("backup", epilog=example("slipway backup slipway.bak", "slipway backup slipway.bak --overwrite"))
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--overwrite", is_flag=True, help="Replace FILE where it is there already.")
@common_options()
@click.pass_obj
def command(options: Options, file: Path, overwrite: bool) -> None:
    """Copy the record to FILE as it is at one moment, also while it is worked with.

    FILE may be read by you alone. It has what is on record, and not the disks, images and machines themselves.
    """
    from slipway.cli.output import print_json

    try:
        with orchestrator(options) as slipway:
            slipway.backup(file, overwrite=overwrite)
    except FileExistsError as error:
        raise click.BadParameter(f"{file} is there already; --overwrite replaces it", param_hint="FILE") from error
    except OSError as error:
        raise click.BadParameter(f"{file} cannot be written: {error.strerror or error}", param_hint="FILE") from error
    if options.json:
        print_json({"file": str(file)})
    else:
        say(f"the record is in {file}")
