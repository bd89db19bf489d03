"""`slipway stop`: stop instances."""

from __future__ import annotations

import click

from slipway.cli import power
from slipway.cli.options import Options, common_options, example


@click.command("stop", epilog=example("slipway stop web-1", "slipway stop web-1 web-2 --project demo --timeout 30"))
@power.names
@power.project
@power.shutdown_options
@common_options()
@click.pass_obj
def command(options: Options, names: tuple[str, ...], project: str | None, force: bool, timeout: float | None) -> int:
    """Stop the instances called NAME (or with this id); they keep their disks, ports and claims.

    A guest is asked to shut down (ACPI) and ended when it does not in time. One that is STOPPED is left as it is.
    """
    return power.change_power("stop", options, names, project, force=force, timeout=timeout)
