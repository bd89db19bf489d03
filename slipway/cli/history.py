"""`slipway history`: who did what, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from slipway.cli.completing import Names
from slipway.cli.options import Options, common_options, example, orchestrator
from slipway.cli.say import say

if TYPE_CHECKING:
    from slipway.cli.output import Cell
    from slipway.model.deed import Deed

_USUAL = 200


@click.command(
    "history",
    epilog=example("slipway history", "slipway history web-1 --project demo", "slipway history --limit 20"),
)
@click.argument("name", required=False, shell_complete=Names("instance"))
@click.option("--project", metavar="PROJECT", shell_complete=Names("project"), help="Only what is of this project.")
@click.option(
    "--limit", metavar="N", type=click.IntRange(min=1), default=_USUAL, help=f"The newest N. [default: {_USUAL}]"
)
@common_options()
@click.pass_obj
def command(options: Options, name: str | None, project: str | None, limit: int) -> None:
    """Tell who did what, when and by which command, and what became of it; of the instance called NAME alone, if given.

    All instances that were ever called so count, and those with this id, deleted ones as well.
    What a domain did by itself is told too: nobody did that.
    """
    from slipway.cli.output import print_json, table, write

    with orchestrator(options) as slipway:
        found = slipway.history(name, project=project, limit=limit)
    if options.json:
        print_json(found)
    elif not found:
        say("nothing is on record" + (f" in project {project}" if project else ""))
    else:
        columns = ("TIME", "WHAT", "INSTANCE", "STATE", "TOOK>", "WHO")
        write(table(columns, [_row(deed) for deed in found], folded=("WHO",)))


def _row(deed: Deed) -> tuple[Cell, ...]:
    from slipway.cli.output import coloured, seconds_text, time_text

    by_itself = deed.run_id is None
    ended = None if by_itself else deed.ended_at
    took = "-" if ended is None else seconds_text((ended - deed.at).total_seconds())
    who = deed.who or ("by itself" if by_itself else "-")
    return time_text(deed.at), deed.what, deed.instance or "-", coloured(deed.state), took, who
