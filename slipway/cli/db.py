"""`slipway db`: the tables of the record, brought up to date and looked at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from slipway.cli.options import Options, default_state
from slipway.cli.resources import group, subcommand
from slipway.cli.say import say

if TYPE_CHECKING:
    from slipway.states.store import Store

command = group(
    "db",
    "Upgrade and check the tables of the record.",
    "slipway db check",
    "slipway db upgrade --db postgresql://slipway@db/slipway",
    "slipway db history",
)


@contextmanager
def _opened(options: Options, *, upgrades: bool) -> Iterator[Store]:
    """The record alone, without an orchestrator. Raises a `StoreError`."""
    from pathlib import Path

    from slipway.errors import StoreError
    from slipway.states.store import Store
    from slipway.states.urls import sqlite_url

    url = options.db or sqlite_url(Path(options.state or default_state()) / "slipway.db")
    try:
        store = Store(url, make=False, upgrades=upgrades)
    except StoreError as error:
        error.of_option = options.db is not None
        raise
    try:
        yield store
    finally:
        store.close()


@subcommand(command, "upgrade", "slipway db upgrade")
def upgrade(options: Options) -> None:
    """Bring the tables of an older record to those of this Slipway.

    So does whatever opens the record first. A file of SQLite's is copied first, beside itself; on PostgreSQL all of it
    is one transaction, which no other process's upgrade goes beside. A newer record is refused.
    """
    from slipway.cli.output import print_json
    from slipway.states.revisions import state_of

    with _opened(options, upgrades=False) as store:
        before = state_of(store).schema
    with _opened(options, upgrades=True) as store:
        now, kept = state_of(store).schema, store.kept
    if options.json:
        print_json({"from": before, "to": now, "kept": kept})
    elif before == now:
        say(f"the record is of schema {now} already")
    else:
        say(f"the record is of schema {now} now, before it was of {before}" + (f", which {kept} has" if kept else ""))


@subcommand(command, "check", "slipway db check")
def check(options: Options) -> None:
    """Say whether the tables are as this Slipway makes them; change nothing. Exit code 5 where they are not."""
    from slipway.cli.failures import Code
    from slipway.cli.output import print_json
    from slipway.drivers.registry import driver_class
    from slipway.states.revisions import state_of

    # Its tables are among them.
    driver_class("network", "embedded")
    with _opened(options, upgrades=False) as store:
        found = state_of(store)
    if options.json:
        print_json({"schema": found.schema, "known": found.known, "differences": list(found.differences)})
    elif found.schema < found.known:
        say(f"the record is of schema {found.schema}, this Slipway's is {found.known}: `slipway db upgrade`")
    else:
        say("\n".join(found.differences) or f"the record is of schema {found.schema}, as this Slipway makes it")
    if not found.is_right:
        raise click.exceptions.Exit(Code.DIFFERENT)


@subcommand(command, "history", "slipway db history")
def history(options: Options) -> None:
    """List the versions of the tables, and which the record has."""
    from slipway.cli.output import print_json, table, write
    from slipway.states.revisions import revisions

    with _opened(options, upgrades=False) as store:
        found = revisions(store)
    if options.json:
        print_json([{"schema": one.number, "what": one.what, "applied": one.applied} for one in found])
    else:
        rows = [(str(one.number), "yes" if one.applied else "no", one.what) for one in found]
        write(table(("SCHEMA", "APPLIED", "WHAT"), rows))
