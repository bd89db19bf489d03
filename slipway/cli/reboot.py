"""`slipway reboot`: stop instances and start them again."""

from __future__ import annotations

import click

from slipway.cli import power
from slipway.cli.options import Options, common_options, example


@click.command("reboot", epilog=example("slipway reboot web-1", "slipway reboot web-1 --force"))
@power.names
@power.project
@power.shutdown_options
@common_options()
@click.pass_obj
def command(options: Options, names: tuple[str, ...], project: str | None, force: bool, timeout: float | None) -> int:
    """Reboot the instances called NAME (or with this id): stop each as `slipway stop` does, and start it.

    One whose domain ended by itself is started. A guest that could not be started again is not stopped.
    """
    return power.change_power("reboot", options, names, project, force=force, timeout=timeout)
