"""`slipway restore`: a backup of the record put back, and looked at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from slipway.cli.options import Options, common_options, default_state, example, orchestrator
from slipway.cli.say import say

if TYPE_CHECKING:
    from slipway.operations.backup import Restored


@click.command("restore", epilog=example("slipway restore slipway-monday.db"))
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Forget what the record that is there has not at rest, or whose it is.")
@common_options()
@click.pass_obj
def command(options: Options, file: Path, *, force: bool) -> int:
    """Put a backup in the place of the record, and compare it with what is there.

    FILE is checked first. The record that is there is kept beside the database. Refused while another process has it
    open, and while instances of its are not at rest. Then an audit: exit code 5 if there are differences, and `run`
    builds nothing until machines that are not on record are gone.
    """
    from datetime import UTC, datetime

    from slipway.cli.audit import findings_json, write_findings
    from slipway.cli.failures import Code
    from slipway.cli.output import print_json
    from slipway.errors import DatabaseUnavailable
    from slipway.operations.backup import check_backup, put_back
    from slipway.states.sqlitefile import make_state
    from slipway.states.urls import sqlite_url

    state = Path(options.state or default_state())
    check_backup(file)
    if options.db is None:
        try:
            make_state(state)
        except OSError as error:
            text = f"the state directory {state} cannot be used: {error.strerror or error}; name another with --state"
            raise DatabaseUnavailable(text) from error
    url = options.db or sqlite_url(state / "slipway.db")
    restored = put_back(file, url, now=datetime.now(UTC), force=force)
    if not options.json:
        for line in _lines(restored, file, options):
            say(line)
    with orchestrator(options) as slipway:
        findings = slipway.audit()
        known = {instance.id: instance for instance in slipway.list()}
    if options.json:
        about = {"database": restored.database, "kept": restored.kept, "instances": restored.instances}
        print_json({**about, "unfinished": restored.unfinished, "findings": findings_json(findings, known, options)})
    else:
        write_findings(findings, known, options)
    return Code.DIFFERENT if findings else Code.DONE


def _lines(restored: Restored, file: Path, options: Options) -> Iterator[str]:
    """What was done, and what to do next."""
    count = restored.instances
    yield f"restored {file}: {count} instance{'' if count == 1 else 's'} on record"
    if restored.kept:
        yield f"the record that was there is in {restored.kept}"
    if restored.unfinished:
        yield f"not at rest when it was made: {', '.join(restored.unfinished)}; next: {options.command('resume')}"
