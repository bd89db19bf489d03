"""Records of every version that was given out, with instances in every state, on both databases: brought up to date, as
new ones are, and gone on with; and the commands that say so."""

from __future__ import annotations

import json
import sqlite3
import warnings
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from slipway import Orchestrator, errors
from slipway.cli.main import main
from slipway.states.migrations import CHANGES
from slipway.states.schema import SCHEMA_VERSION
from slipway.states.store import Store
from slipway.states.urls import parsed_url
from tests import older

LATER = datetime(2030, 1, 1, tzinfo=UTC)
pytestmark = pytest.mark.sqlite("walks both databases by itself")


def moved(file: Path, url: str) -> None:
    """Have a record of SQLite's in PostgreSQL, as that version made it there."""
    source, target = sa.create_engine(f"sqlite:///{file}"), sa.create_engine(parsed_url(url))
    tables = sa.MetaData()
    with warnings.catch_warnings():
        # An index of an expression, which SQLAlchemy does not read.
        warnings.simplefilter("ignore", sa.exc.SAWarning)
        tables.reflect(source)
    indexes = {str(index.name) for table in tables.tables.values() for index in table.indexes}
    serial = {"events", "history", "effects"}
    for table in tables.tables.values():
        for column in table.columns:
            column.type = column.type.as_generic()
            if (table.name, column.name) == ("effects", "key"):
                column.type = sa.String(collation="C")
            column.autoincrement = table.name in serial and column.name == "seq"
        for index in table.indexes:
            if (where := index.dialect_options["sqlite"]["where"]) is not None:
                index.dialect_kwargs["postgresql_where"] = where
    tables.create_all(target)
    with source.connect() as read, target.begin() as write:
        for name, text in read.exec_driver_sql("SELECT name, sql FROM sqlite_schema WHERE type = 'index'").all():
            if text is not None and name not in indexes:
                write.exec_driver_sql(text)
        for table in tables.sorted_tables:
            if rows := [dict(row._mapping) for row in read.execute(table.select())]:
                write.execute(table.insert(), rows)
        for name in serial & tables.tables.keys():
            write.exec_driver_sql(
                f"SELECT setval(pg_get_serial_sequence('{name}', 'seq'), COALESCE(MAX(seq), 1)) FROM {name}"
            )
    source.dispose()
    target.dispose()


def shape(url: str) -> dict[str, Any]:
    """What each table is."""
    engine = sa.create_engine(parsed_url(url))
    looking = sa.inspect(engine)
    found = {
        name: (
            sorted((one["name"], str(one["type"]), one["nullable"]) for one in looking.get_columns(name)),
            looking.get_pk_constraint(name)["constrained_columns"],
            sorted((one["constrained_columns"], one["referred_table"]) for one in looking.get_foreign_keys(name)),
            sorted(
                (one["name"], one["column_names"], one["unique"])
                for one in looking.get_indexes(name)
                if not one.get("duplicates_constraint")
            ),
        )
        for name in looking.get_table_names()
    }
    engine.dispose()
    return found


@pytest.mark.parametrize("record", ["schema1", "schema3", "schema6"])
def test_every_revision_is_walked_on_postgresql(record: str, postgresql: Any, database: str, tmp_path: Path) -> None:
    state = older.put(record, tmp_path)
    moved(state / "slipway.db", database)
    with Orchestrator(state, db=database, clock=lambda: LATER) as slipway:
        assert slipway.network is not None
        before = {one.name: one.vm_state for one in slipway.list()}
        assert before.keys() == {"active", "stopped", "failed", "building", "powering", "deleting"}
        fresh = postgresql.empty()
        with Orchestrator(tmp_path / "new", db=fresh) as new:
            assert new.network is not None
        has, wanted = shape(database), shape(fresh)
        assert has.keys() == wanted.keys()
        assert [(name, has[name], wanted[name]) for name in has if has[name] != wanted[name]] == []
        ended = {one.name: one.status for one in slipway.resume()}
        assert ended == {"building": "resumed", "powering": "resumed", "deleting": "deleted"}
        assert slipway.audit() == ()
        for one in slipway.list():
            assert slipway.delete(one.name).vm_state == "DELETED"
        assert slipway.audit() == ()


@pytest.fixture
def slipway() -> Callable[..., Result]:
    """Calls the command line."""
    return lambda *words: CliRunner().invoke(main, list(words))


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_the_commands_upgrade_check_and_tell(
    kind: str, slipway: Callable[..., Result], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    state = older.put("schema6", tmp_path)
    place = ["--state", str(state)]
    if kind == "postgresql":
        url = request.getfixturevalue("database")
        moved(state / "slipway.db", url)
        place = ["--db", url]
    older_one = slipway("db", "check", *place)
    assert (older_one.exit_code, "`slipway db upgrade`" in older_one.output) == (5, True)
    listed = json.loads(slipway("db", "history", "--output", "json", *place).stdout)
    assert [one["applied"] for one in listed] == [number <= 6 for number in range(1, SCHEMA_VERSION + 1)]
    assert all(one["what"] for one in listed)
    done = json.loads(slipway("db", "upgrade", "--output", "json", *place).stdout)
    kept = f"{state}/slipway.db.schema-6" if kind == "sqlite" else None
    assert done == {"from": 6, "to": SCHEMA_VERSION, "kept": kept}
    if kept:
        assert Path(kept).stat().st_mode & 0o777 == 0o600
        with closing(sqlite3.connect(kept)) as copy:
            assert copy.execute("SELECT schema_version FROM meta").fetchall() == [(6,)]
            assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    with Orchestrator(state, db=None if kind == "sqlite" else url) as opened:
        assert opened.network is not None
    checked = slipway("db", "check", *place)
    assert (checked.exit_code, f"schema {SCHEMA_VERSION}, as this" in checked.stdout) == (0, True), checked.output
    assert "already" in slipway("db", "upgrade", *place).stdout
    engine = sa.create_engine(parsed_url(url) if kind == "postgresql" else f"sqlite:///{state}/slipway.db")
    with engine.begin() as tx:
        tx.exec_driver_sql("DROP INDEX instances_listed")
    assert "there is no index instances_listed" in slipway("db", "check", *place).stdout
    with engine.begin() as tx:
        tx.exec_driver_sql("UPDATE meta SET schema_version = 99")
    engine.dispose()
    refused = slipway("db", "upgrade", *place)
    assert refused.exit_code != 0
    assert "written by a newer Slipway (schema 99" in refused.stderr


def test_two_upgrades_at_once_are_one(database: str, tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    moved(older.put("schema3", tmp_path) / "slipway.db", database)
    with ThreadPoolExecutor(4) as pool:
        for store in pool.map(lambda _: Store(database), range(4)):
            store.close()
    engine = sa.create_engine(parsed_url(database))
    with engine.connect() as tx:
        assert tx.exec_driver_sql("SELECT schema_version FROM meta").fetchall() == [(SCHEMA_VERSION,)]
    engine.dispose()


def test_an_upgrade_that_fails_leaves_all_as_it_was(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved(older.put("schema3", tmp_path) / "slipway.db", database)
    before = shape(database)
    monkeypatch.setattr("slipway.states.migrations.CHANGES", {**CHANGES, 9: "no.such.module"})
    with pytest.raises(ModuleNotFoundError):
        Store(database)
    monkeypatch.undo()
    assert shape(database) == before
    with pytest.raises(errors.DatabaseUnavailable):
        Store(database.replace("/slipway_", "/nosuch_"), make=False)
    Store(database).close()
