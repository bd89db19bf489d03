"""`slipway restore`: put a copy of the record back."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from slipway.cli.options import Options, common_options, default_state, example, orchestrator
from slipway.cli.say import say


@click.command("restore", epilog=example("slipway restore slipway.bak", "slipway restore slipway.bak --force"))
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--force", is_flag=True, help="Give up what is going on with instances.")
@common_options()
@click.pass_obj
def command(options: Options, file: Path, force: bool) -> int:
    """Put the copy FILE in the record's place, and compare it with what is there.

    The record that was there is kept beside it. What was built since FILE was made is not on record then: `slipway run`
    refuses to build on a host that has such things. The exit code is 5 if there are differences.
    """
    from slipway.cli.failures import Code
    from slipway.cli.output import counted, print_json
    from slipway.states import backup
    from slipway.states.sqlitefile import make_state
    from slipway.states.urls import sqlite_url

    state = Path(options.state or default_state())
    if options.db is None:
        make_state(state)
    path = backup.path_of(options.db or sqlite_url(state / "slipway.db"))
    kept = backup.restore(file, path, at=datetime.now(UTC), force=force)
    with orchestrator(options) as slipway:
        differences = len(slipway.audit())
    if options.json:
        print_json({"file": str(file), "kept": None if kept is None else str(kept), "differences": differences})
        return Code.DIFFERENT if differences else Code.DONE
    say(f"the record is that of {file}" + (f"; the one before is in {kept}" if kept else ""))
    if differences:
        say(f"{counted(differences, 'difference')} to what is there: {options.command('audit')}")
    return Code.DIFFERENT if differences else Code.DONE
