"""`slipway up`: after a restart of a host, have everything run that should."""

from __future__ import annotations

from typing import Any

import click

from slipway.cli.options import Options, common_options, example, orchestrator


@click.command("up", epilog=example("slipway up"))
@common_options()
@click.pass_obj
def command(options: Options) -> int:
    """Have every instance run that is ACTIVE on record, with its networks, after a host was started anew.

    What a crash left behind is finished, and what hosts have lost is made again; nothing is taken away, and no disk
    made anew (`slipway repair` does that). An instance with `autostart: false` that has ended is STOPPED then. The exit
    code is 5 if anything is left that differs.
    """
    from slipway.cli.interrupt import Stop, heeding
    from slipway.cli.repair import conclude

    stop = Stop(options.command("up"))
    with orchestrator(options, sleep=stop.sleep) as slipway, heeding(stop):
        how: dict[str, Any] = {"on_event": options.told} if options.told else {}
        return conclude(slipway.up(stopping=stop, **how), slipway, options)
