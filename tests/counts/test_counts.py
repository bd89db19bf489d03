"""How many SQL statements and commits a build costs: exact, where times are not."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple, Protocol

import pytest

pytestmark = pytest.mark.sqlite("counts what SQLite itself is told; PostgreSQL is told some of it otherwise")


class Counts(NamedTuple):
    """What SQLite was told: every `statement`, BEGIN and COMMIT among them; transactions that `read`, and `commits`."""

    statements: int
    reads: int
    commits: int


BUILD = {
    "before the steps": Counts(statements=6, reads=0, commits=1),
    "schedule/0": Counts(1, reads=0, commits=0),
    "claim/0": Counts(8, reads=0, commits=1),
    "network/0": Counts(2, reads=0, commits=0),
    "ports/0": Counts(12, reads=0, commits=1),
    "bindings/0": Counts(7, reads=0, commits=1),
    "disks/0": Counts(5, reads=0, commits=2),
    "definition/0": Counts(5, reads=0, commits=2),
    "spawn/0": Counts(2, reads=0, commits=2),
    "finish/0": Counts(7, reads=0, commits=1),
}
"""A build with one NIC and one disk; mapping, seeding, plugging and wait write and read nothing here.

What `schedule` and `network` come to is on record with what follows them.
"""

OURS = ("before", "claim", "ports", "bindings", "finish")
"""Steps whose effect, if any, is in our own database: it and the ledger's `done` are one commit."""


class Record(Protocol):
    """See conftest.py."""

    told: list[tuple[str, str]]

    def reopen(self) -> None: ...
    def build(self, like: str = ...) -> str: ...


@pytest.fixture
def built(record: Record) -> Record:
    """A record after a build of one NIC and one disk."""
    record.build()
    return record


def counts(record: Record) -> dict[str, Counts]:
    """Those of the last build, step by step."""
    texts = defaultdict(list)
    for step, text in record.told:
        texts[step].append(text)
    return {step: counts_of(told) for step, told in texts.items()}


def counts_of(told: list[str]) -> Counts:
    begun = sum(text.startswith("BEGIN IMMEDIATE") for text in told)
    return Counts(len(told), told.count("BEGIN"), begun + alone(told))


def alone(told: list[str]) -> int:
    """How many statements write that are a transaction each."""
    found, within = 0, False
    for text in told:
        if text.startswith(("BEGIN", "COMMIT", "ROLLBACK")):
            within = text.startswith("BEGIN")
        found += not within and text.startswith(("INSERT", "UPDATE", "DELETE"))
    return found


def total(found: dict[str, Counts]) -> Counts:
    return Counts(*(sum(column) for column in zip(*found.values(), strict=True)))


def test_a_build_costs_so_many_statements_and_commits(built: Record) -> None:
    assert counts(built) == BUILD


def test_a_build_costs_at_most_55_statements_and_11_commits(built: Record) -> None:
    found = total(counts(built))
    assert found.statements <= 55
    assert found.commits <= 11


def test_every_transaction_of_a_build_is_committed(built: Record) -> None:
    ends = [text for _, text in built.told if text.startswith(("COMMIT", "ROLLBACK"))]
    everything = total(counts(built))
    by_themselves = alone([text for _, text in built.told])
    assert by_themselves == 4
    assert ends == ["COMMIT"] * (everything.reads + everything.commits - by_themselves)


def test_an_effect_costs_at_most_two_commits_and_one_where_it_is_ours(record: Record) -> None:
    record.build("more")
    found = counts(record)
    assert {"ports/1", "bindings/1", "disks/1", "seed/0"} <= found.keys()
    for step, count in found.items():
        allowed = 0 if step.startswith(("schedule", "network", "between")) else 1 if step.startswith(OURS) else 2
        assert count.commits == allowed, step


def test_a_second_nic_and_disk_cost_what_the_first_ones_do(built: Record) -> None:
    one = counts(built)
    built.build("more")
    more = counts(built)
    assert more["bindings/0"] == more["bindings/1"] == one["bindings/0"]
    # With the first port the networks that were chosen are on record.
    assert more["ports/1"] == one["ports/0"]._replace(statements=one["ports/0"].statements - 1)
    # The first disk enters its phase as well; what has but one row to write needs no BEGIN and no COMMIT.
    assert more["disks/1"] == more["seed/0"] == one["disks/0"]._replace(statements=2)


def test_the_counts_do_not_depend_on_how_many_builds_are_on_record(built: Record) -> None:
    few = counts(built)
    for _ in range(20):
        built.build()
    assert counts(built) == few


def test_the_first_build_of_a_process_costs_what_later_ones_do(built: Record) -> None:
    warm = total(counts(built))
    built.reopen()
    built.build()
    assert total(counts(built)) == warm
