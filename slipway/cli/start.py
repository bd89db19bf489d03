"""`slipway start`: start instances that are stopped."""

from __future__ import annotations

import click

from slipway.cli import power
from slipway.cli.options import Options, common_options, example


@click.command("start", epilog=example("slipway start web-1", "slipway start web-1 web-2 --project demo"))
@power.names
@power.project
@common_options()
@click.pass_obj
def command(options: Options, names: tuple[str, ...], project: str | None) -> int:
    """Start the instances called NAME (or with this id) that are STOPPED, and have those that are PAUSED go on.

    One that is ACTIVE is left as it is, unless its domain has ended by itself. What a start needs and is gone is said.
    """
    return power.change_power("start", options, names, project)
