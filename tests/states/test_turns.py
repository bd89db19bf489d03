"""The threads of one process that write to SQLite take turns: none waits in SQLite, which sleeps in no order.

So they need no more connections than have transactions open at once. PostgreSQL's write beside each other.
"""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from slipway import errors
from slipway.states import store as module
from slipway.states.store import Store

turns = pytest.mark.sqlite("writers take turns on SQLite alone")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(module, "BUSY_TIMEOUT", 2.0)
    made = Store(f"sqlite:///{tmp_path / 'slipway.db'}")
    yield made
    made.close()


def opened(store: Store) -> list[Any]:
    """The connections to SQLite that are opened from now on."""
    found: list[Any] = []
    sa.event.listen(store.engine, "connect", lambda connection, _record: found.append(connection))
    return found


def write(store: Store) -> None:
    with store.write():
        pass


@turns
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


@turns
def test_who_waited_too_long_leaves_it_to_the_database_to_say_why(store: Store) -> None:
    with ThreadPoolExecutor(1) as executor, store.write():
        waiting = executor.submit(write, store)
        with pytest.raises(errors.DatabaseLocked):
            waiting.result(20)


@turns
def test_threads_that_write_one_after_the_other_have_one_connection(store: Store) -> None:
    connections = opened(store)
    together = threading.Barrier(8)

    def write_beside_others() -> None:
        together.wait(10)
        write(store)

    with ThreadPoolExecutor(8) as executor:
        for done in [executor.submit(write_beside_others) for _ in range(8)]:
            done.result(20)
    assert connections == []


def test_those_of_threads_that_ended_are_closed(store: Store) -> None:
    """This thread has one, and one more is kept for transactions within others."""
    connections, closed = opened(store), list[Any]()
    sa.event.listen(store.engine, "close", lambda connection, _record: closed.append(connection))
    together = threading.Barrier(8)

    def look() -> None:
        with store.read():
            together.wait(10)

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(connections) == 7
    assert len(closed) == 6


def test_a_transaction_within_another_has_a_connection_of_its_own_which_is_kept(store: Store) -> None:
    connections = opened(store)
    for _ in range(3):
        with store.write() as outer, store.read() as inner:
            assert outer is not inner
    assert len(connections) == 1


def test_what_is_in_use_when_a_store_is_closed_is_closed_when_its_transaction_ends(store: Store) -> None:
    with store.write() as tx:
        store.close()
        assert tx.scalar(sa.text("SELECT 1")) == 1
    assert tx.closed
    write(store)


def test_a_process_that_was_forked_has_connections_of_its_own(store: Store) -> None:
    with store.read() as parents:
        pass

    def look() -> None:
        with store.read() as tx:
            assert tx is not parents
        store.close()
        assert not parents.closed

    child = multiprocessing.get_context("fork").Process(target=look)
    child.start()
    child.join(20)
    assert child.exitcode == 0
    with store.read() as tx:
        assert tx is parents
