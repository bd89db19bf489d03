"""The threads of one process that write to SQLite take turns: none waits in SQLite, which sleeps in no order."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from slipway import errors
from slipway.states import store as module
from slipway.states.store import Store


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(module, "BUSY_TIMEOUT", 2.0)
    made = Store(f"sqlite:///{tmp_path / 'slipway.db'}")
    yield made
    made.close()


def write(store: Store) -> None:
    with store.write():
        pass


def test_a_thread_that_writes_is_waited_for_though_sqlite_waits_for_nobody(store: Store) -> None:
    @sa.event.listens_for(store.engine, "connect")
    def _no_patience(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA busy_timeout = 0")

    with ThreadPoolExecutor(1) as executor:
        with store.write():
            other = executor.submit(write, store)
            with pytest.raises(TimeoutError):
                other.result(timeout=0.5)
        other.result(10)


def test_an_error_within_a_write_gives_the_turn_to_the_next(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.write():
        raise ZeroDivisionError
    with ThreadPoolExecutor(1) as executor:
        executor.submit(write, store).result(10)


def test_who_waited_too_long_leaves_it_to_the_database_to_say_why(store: Store) -> None:
    with ThreadPoolExecutor(1) as executor, store.write():
        waiting = executor.submit(write, store)
        with pytest.raises(errors.DatabaseLocked):
            waiting.result(20)
