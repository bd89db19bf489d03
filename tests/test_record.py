"""The record of a test is where the run of the tests is to have it."""

from __future__ import annotations

from pathlib import Path

from slipway.states.store import Store
from slipway.states.urls import sqlite_url
from tests import record


def test_a_record_is_in_the_database_that_was_asked_for(tmp_path: Path) -> None:
    store = Store(sqlite_url(tmp_path / "slipway.db"))
    with store.read() as tx:
        assert tx.dialect.name == ("postgresql" if record.on_postgresql() else "sqlite")
    store.close()
