"""`slipway workers`: who takes work from the job board."""

from __future__ import annotations

import click

from slipway.cli.options import Options, board_option, common_options, example, orchestrator
from slipway.cli.say import say, shown


@click.command("workers", epilog=example("slipway workers", "slipway workers --board redis://board:6379"))
@board_option
@common_options()
@click.pass_obj
def command(options: Options) -> None:
    """Show the workers, what each takes and has in hand, and what waits for a worker that is not there.

    A worker that was not heard of in time is silent: others have what it had in hand. What the record says is
    unfinished and nobody is at waits; the worker that takes what is for no host posts it again. With --board it is said
    how many jobs hang there.
    """
    from slipway.cli.output import print_json, table, write

    with orchestrator(options) as slipway:
        seen = slipway.workers()
    if options.json:
        print_json(seen)
        return
    rows = [
        (
            one.name,
            ", ".join(one.hosts) or "-",
            "yes" if one.anything else "no",
            one.state,
            "; ".join(one.at_work) or "-",
        )
        for one in seen.workers
    ]
    write(table(("NAME", "HOSTS", "ANY", "STATE", "IN HAND"), rows)) if rows else say("No worker is known.")
    for one in seen.waiting:
        say(f"{shown(one.name)} waits for {'a worker of ' + one.host if one.host else 'a worker that takes --any'}")
    if seen.posted is not None:
        say(f"{seen.posted} jobs hang on the board")
