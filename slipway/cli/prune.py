"""`slipway prune`: take off the record what was deleted long ago."""

from __future__ import annotations

import click

from slipway.cli.options import Age, Options, common_options, example, orchestrator


@click.command("prune", epilog=example("slipway prune --older-than 30d", "slipway prune --older-than 1d --dry-run"))
@click.option("--older-than", metavar="DURATION", type=Age(), required=True, help="How long ago: 30d, 12h.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be taken off.")
@common_options()
@click.pass_obj
def command(options: Options, older_than: float, *, dry_run: bool) -> None:
    """Take off the record the instances that were deleted so long ago, with their runs, effects and events.

    And the runs that ended so long ago and left nothing that could be undone. Nothing that is there is touched. Events
    that no receiver has been sent by then are gone as well.
    """
    from slipway.cli.output import counted, print_json
    from slipway.cli.say import say

    with orchestrator(options) as slipway:
        gone = slipway.prune(older_than=older_than, only_look=dry_run)
    if options.json:
        print_json(gone)
        return
    what = ", ".join(
        counted(getattr(gone, kind), kind.removesuffix("s")) for kind in ("instances", "runs", "effects", "events")
    )
    say(f"{what} {'would be' if dry_run else 'were'} taken off the record")
