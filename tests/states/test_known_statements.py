"""What comes again is told to SQLite by itself, and gives what SQLAlchemy gives."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError

from slipway import errors
from slipway.states import known_statements
from slipway.states.schema import events, hosts
from slipway.states.store import Store, Transaction

pytestmark = pytest.mark.sqlite("is of what is told to SQLite by itself")
THEN = datetime(2026, 5, 4, 3, 2, 1, 7, tzinfo=UTC)
HOST = {"spec": b"{}", "enabled": True, "vcpus_limit": 4, "memory_limit": 1 << 40, "disk_limit": 9}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(f"sqlite:///{tmp_path / 'slipway.db'}")
    with made.write() as tx:
        tx.execute(hosts.insert(), [{"name": f"node-{number}", **HOST} for number in range(3)])
    yield made
    made.close()


def each_time(tx: Transaction, statement: Any, values: dict[str, Any] | None = None) -> list[Any]:
    """What it gives the first time, the time when it is learnt, and when it is known."""
    return [tx.execute(statement, values).all() for _ in range(3)]


def known(statement: Any) -> bool:
    return any(known_statements._KNOWN.get(statement, {}).values())


def test_rows_are_the_same_when_their_statement_is_known(store: Store) -> None:
    query = sa.select(hosts).where(hosts.c.name == sa.bindparam("name"))
    with store.read() as tx:
        first, learnt, again = each_time(tx, query, {"name": "node-1"})
        assert known(query)
        assert first == learnt == again
        (row,) = again
        assert (row.name, row.spec, row.enabled, row.memory_limit, row.disabled) == (
            "node-1",
            b"{}",
            True,
            1 << 40,
            None,
        )
        assert tx.execute(query, {"name": "none"}).one_or_none() is None
        assert tx.scalar(query, {"name": "node-2"}) == "node-2"
        assert list(tx.scalars(query, {"name": "node-2"})) == ["node-2"]


def test_values_and_columns_are_made_ready_as_their_types_say(store: Store) -> None:
    told = events.insert()
    query = sa.select(events.c.at, events.c.began_at, events.c.detail).order_by(events.c.seq)
    with store.write() as tx:
        for _ in range(3):
            assert tx.execute(told, {"at": THEN, "type": "test"}).rowcount == 1
        assert known(told)
        for rows in each_time(tx, query):
            assert rows == [(THEN, None, "")] * 3


def test_the_values_that_stand_in_a_statement_are_its_own(store: Store) -> None:
    """SQLAlchemy compiles all of one shape once."""
    few, many = (hosts.update().where(hosts.c.vcpus_limit > number).values(failed_builds=number) for number in (3, 5))
    with store.write() as tx:
        assert [tx.execute(few).rowcount for _ in range(3)] == [3, 3, 3]
        assert [tx.execute(many).rowcount for _ in range(3)] == [0, 0, 0]
        assert known(few)
        assert known(many)


def test_a_default_holds_where_no_value_is_given(store: Store) -> None:
    query = sa.select(hosts.c.name).where(hosts.c.name == sa.bindparam("name", "node-0"))
    with store.read() as tx:
        assert each_time(tx, query, {}) == [[("node-0",)]] * 3
        assert each_time(tx, query, {"name": "node-2"}) == [[("node-2",)]] * 3
        assert each_time(tx, query, {"name": None}) == [[]] * 3


def test_a_list_may_be_of_any_length(store: Store) -> None:
    query = sa.select(hosts.c.name).where(hosts.c.name.in_(sa.bindparam("names", expanding=True)))
    with store.read() as tx:
        for names in (["node-0"], ["node-0", "node-1"], [], ["node-2", "node-1", "none"]):
            found = tx.execute(query, {"names": names}).all()
            assert sorted(name for (name,) in found) == sorted({*names} - {"none"})
    assert not known(query)


def test_what_sqlite_refuses_is_an_error_of_sqlalchemys(store: Store) -> None:
    new = hosts.insert()
    for number in range(2):
        with store.write() as tx:
            tx.execute(new, {"name": f"more-{number}", **HOST})
    assert known(new)
    with pytest.raises(IntegrityError, match=r"UNIQUE constraint failed: hosts\.name"), store.write() as tx:
        tx.execute(new, {"name": "more-0", **HOST})
    query = sa.select(hosts.c.name)
    with store.read() as tx:
        each_time(tx, query)
    with store.write() as tx:
        tx.exec_driver_sql("ALTER TABLE hosts RENAME TO others")
    with pytest.raises(errors.DatabaseDamaged, match="no such table: hosts") as caught, store.read() as tx:
        tx.execute(query)
    assert isinstance(caught.value.__cause__, DBAPIError)


def test_a_value_that_is_missing_is_refused_each_time(store: Store) -> None:
    query = sa.select(hosts.c.name).where(hosts.c.name == sa.bindparam("name"))
    with store.read() as tx:
        each_time(tx, query, {"name": "node-0"})
        for _ in range(3):
            with pytest.raises(StatementError, match="value is required for bind parameter 'name'"):
                tx.execute(query, {"another": "node-0"})


def test_who_listens_hears_of_what_is_known_as_well(store: Store) -> None:
    query, heard = sa.select(hosts.c.name), []
    with store.read() as tx:
        each_time(tx, query)

    def hear(_connection: Any, _cursor: Any, text: str, *_more: Any) -> None:
        heard.append(text)

    sa.event.listen(store.engine, "before_cursor_execute", hear)
    with store.read() as tx:
        assert len(tx.execute(query).all()) == 3
    assert len(heard) == 1


def test_a_statement_that_is_gone_is_forgotten(store: Store) -> None:
    gc.collect()
    before = len(known_statements._KNOWN)
    with store.read() as tx:
        for number in range(50):
            tx.execute(sa.select(hosts.c.name).where(hosts.c.vcpus_limit == number)).all()
    gc.collect()
    # SQLAlchemy keeps the first of a shape, with what it has compiled for it.
    assert len(known_statements._KNOWN) <= before + 1
