"""A record and a world that were damaged by hand: each command says so in one line, none in Python's words."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from click.testing import Result

from slipway.states.schema import metadata
from tests import record

Call = Callable[..., Result]
FileWriter = Callable[..., str]

LOOKING = (
    *(("list",), ("show", "web"), ("audit",), ("console", "web")),
    *(("network", "list"), ("subnet", "list"), ("port", "list"), ("security-group", "list"), ("quota", "list")),
)
CHANGING = (("stop", "web"), ("reboot", "web", "--force"), ("resume",), ("run", "{file}"), ("delete", "web"))
PYTHONS = "--verbose shows where"
"""How an error ends of which nobody has thought."""
VALUES: tuple[object, ...] = (b"\xff\xfe", "typed by hand", 2**62, -1, "", "{")


def columns(db: Path) -> list[tuple[str, str]]:
    """Every column of every table that has a row."""
    with closing(record.opened(db)) as connection:
        return [
            (table.name, column.name)
            for table in metadata.sorted_tables
            if connection.execute(f"SELECT count(*) FROM {table.name}").fetchone()[0]
            for column in table.columns
        ]


@pytest.fixture
def built(slipway: Call, run_file: FileWriter, tmp_path: Path) -> tuple[Path, str]:
    """A state directory with two instances, and their file; who has lost its worker's name is waited for briefly."""
    file = run_file()
    with open(file, "a", encoding="utf-8") as more:
        more.write("settings: {step_timeout: 4s, takeover_grace: 1s}\n")
    assert slipway("run", file).exit_code == 0
    return tmp_path / "state", file


def assert_said(done: Result, about: object) -> None:
    assert done.exit_code in (0, 1, 2, 3, 4, 5), (about, done.output)
    assert PYTHONS not in done.stderr, (about, done.output)
    assert done.exit_code in (0, 3, 4, 5) or done.stderr.count("\n") <= 1, (about, done.output)


def damage(state: Path, table: str, column: str, value: object) -> bool:
    """Whether the schema lets it be put into the first row."""
    row = "ctid" if record.on_postgresql() else "rowid"
    with closing(record.opened(state / "slipway.db")) as connection:
        try:
            connection.execute(
                f"UPDATE {table} SET {column} = ? WHERE {row} = (SELECT min({row}) FROM {table})", (value,)
            )
            connection.commit()
        except (sqlite3.Error, psycopg.Error):
            return False
    return True


@pytest.mark.parametrize("part", range(4))
def test_no_column_that_was_damaged_is_an_unexpected_error(
    part: int, built: tuple[Path, str], slipway: Call, tmp_path: Path
) -> None:
    state, file = built
    whole = tmp_path / "whole"
    record.copy(state, whole)
    places = columns(state / "slipway.db")
    assert len(places) > 80
    for number, (table, column) in list(enumerate(places))[part::4]:
        shutil.rmtree(state)
        record.copy(whole, state)
        value = VALUES[(number // 4) % len(VALUES)]
        if damage(state, table, column, value):
            for command in (LOOKING[number % len(LOOKING)], ("show", "web"), CHANGING[number % len(CHANGING)]):
                done = slipway(*(word.format(file=file) for word in command))
                assert_said(done, (table, column, value, command))


def world_files(state: Path) -> Iterator[Path]:
    yield from (path for path in state.rglob("*.json") if "world" in path.parts)
    yield from (path for path in state.rglob("*.xml"))


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"", b"{", b"[]", b'{"a": "\xe9"}'], ids=repr)
def test_no_file_that_was_damaged_is_an_unexpected_error(
    content: bytes, built: tuple[Path, str], slipway: Call, tmp_path: Path
) -> None:
    state, file = built
    whole = tmp_path / "whole"
    record.copy(state, whole)
    relative = [path.relative_to(state) for path in world_files(state)]
    assert len(relative) >= 5
    for one in relative:
        shutil.rmtree(state)
        record.copy(whole, state)
        (state / one).write_bytes(content)
        for command in (*LOOKING[:4], *CHANGING):
            done = slipway(*(word.format(file=file) for word in command))
            assert_said(done, (one, command))
        audited = slipway("audit", "--output", "json")
        json.loads(audited.stdout)
