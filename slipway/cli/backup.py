"""`slipway backup`: the record as one file."""

from __future__ import annotations

from pathlib import Path

import click

from slipway.cli.options import Options, common_options, example, orchestrator
from slipway.cli.say import say


@click.command("backup", epilog=example("slipway backup slipway-monday.db", "slipway backup latest.db --force"))
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace FILE where it is there already.")
@common_options()
@click.pass_obj
def command(options: Options, file: Path, *, force: bool) -> None:
    """Copy the record to FILE, as it is at one moment.

    Safe at any time, whoever works on it meanwhile. FILE has mode 0600; of instances that are being built it has the
    user data. Disks and images are not in it.
    """
    from slipway.cli.output import print_json

    with orchestrator(options) as slipway:
        slipway.backup(file, force=force)
    if options.json:
        print_json({"file": str(file), "size": file.stat().st_size})
    else:
        say(f"the record is in {file}")
