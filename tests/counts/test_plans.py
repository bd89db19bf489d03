"""What SQLite does for an operation must not grow with the builds that are on record."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest

from slipway.orchestrator import Orchestrator
from slipway.states.store import Store

pytestmark = pytest.mark.sqlite("asks SQLite how it comes by its rows")

GROWING = {
    "instances",
    "claims",
    "effects",
    "events",
    "ports",
    "allocations",
    "port_security_groups",
    "free_ranges",
    "quotas",
}
"""The tables that builds add rows to; hosts, networks and the like are as many as the operator made."""


class Record(Protocol):
    """See conftest.py."""

    state: Path
    told: list[tuple[str, str]]
    executed: list[tuple[str, Any]]
    turns: int
    orchestrator: Orchestrator

    def run(self) -> None: ...
    def build(self, like: str = ...) -> str: ...
    def forget(self) -> None: ...


def test_no_statement_of_a_build_reads_a_whole_table_that_grows(record: Record) -> None:
    record.build("more")
    queries = [one for one in record.executed if one[0].startswith(("SELECT", "INSERT", "UPDATE", "DELETE"))]
    assert len(queries) == sum(text.startswith(("SELECT", "INSERT", "UPDATE", "DELETE")) for _, text in record.told)
    store = Store(f"sqlite:///{record.state / 'slipway.db'}")
    with store.read() as tx:
        for statement, parameters in queries:
            for row in tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters):
                scanned = re.match(r"SCAN (\w+)", row.detail)
                assert not scanned or scanned[1] not in GROWING, f"{row.detail}: {statement}"
                assert "AUTOMATIC" not in row.detail, f"{row.detail}: {statement}"
    store.close()


def test_a_change_of_a_port_reads_its_instance_s_effects_alone_where_nothing_is_wired(record: Record) -> None:
    network = record.orchestrator.network
    record.forget()
    network.update_port(network.list_ports()[0].id, name="new")
    (statement,) = [statement for statement, _ in record.executed if "effects" in statement]
    assert 'effects."key" BETWEEN' in statement


def build(record: Record) -> None:
    record.build()


def build_and_delete(record: Record) -> None:
    name = record.build()
    record.orchestrator.delete(name)


def show(record: Record) -> None:
    record.orchestrator.show("more")


def resume(record: Record) -> None:
    record.orchestrator.resume()


def run_again(record: Record) -> None:
    record.run()


@pytest.mark.parametrize(
    "operation",
    [
        build,
        build_and_delete,
        run_again,
        show,
        resume,
    ],
)
def test_sqlite_visits_as_many_rows_however_many_builds_are_on_record(
    record: Record, operation: Callable[[Record], None]
) -> None:
    def turns() -> int:
        record.forget()
        operation(record)
        return record.turns

    few, more = turns(), 40
    names = [record.build() for _ in range(more)]
    for name in reversed(names[more // 2 :]):  # so that what is free is one range again, as before
        record.orchestrator.delete(name)
    # A search in an index may take a turn more or less, as the ids fall; a look at each live instance takes one each.
    assert abs(turns() - few) < more // 2
