"""Runs that have come to rest alike go on once for all of them, and end as if each had gone on by itself."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from slipway.drill import runner
from slipway.drill.bench import Bench, Plan
from slipway.drill.cases import CRASHES, Case, Scenario, cases_of
from slipway.drill.explore import Exploration, explore
from slipway.drill.likeness import likeness
from slipway.drill.runner import Outcome, Result, Runner
from slipway.drill.things import look
from slipway.runfile import RunFile, loads
from slipway.testing import Mode
from tests.drill.conftest import HEAD, SECOND


@pytest.fixture
def file() -> RunFile:
    """Two hosts and no address that follows from a MAC, whose place among the others is drawn with it."""
    lines = HEAD.format(second=SECOND).splitlines()
    return loads("\n".join(line for line in lines if "slaac" not in line), "alike.yaml")


@pytest.fixture
def bench(file: RunFile, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(Plan(file), tmp_path / "bench")
    yield made
    made.close()


@pytest.fixture
def exploration(bench: Bench, tmp_path: Path) -> Exploration:
    return explore(bench, tmp_path / "templates")


def alike(result: Result) -> bool:
    return any("came to rest alike" in text for _, _, text in result.trace)


def some_cases(exploration: Exploration, number: int) -> list[Case]:
    """Of all scenarios and modes, those that die together."""
    cases = list(cases_of(exploration.points, frozenset(Mode) - {Mode.PAUSE}))
    return sorted(random.Random(5).sample(cases, number), key=lambda case: case.mode not in CRASHES)


def test_who_goes_on_with_another_ends_as_by_itself(bench: Bench, exploration: Exploration) -> None:
    cases = some_cases(exploration, 50)
    together = list(Runner(bench, exploration).run(cases))
    alone = [result for case in cases for result in Runner(bench, exploration).run([case])]
    assert [(r.case, r.outcome, r.ends, r.problems) for r in together] == [
        (r.case, r.outcome, r.ends, r.problems) for r in alone
    ]
    assert not any(map(alike, alone))
    assert sum(map(alike, together)) > 5


def test_what_leaks_later_is_found_in_each_that_came_to_rest_alike(
    bench: Bench, exploration: Exploration, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that ends with a problem stands for no other one."""
    cases = [case for case in some_cases(exploration, 400) if case.mode is Mode.CLOCK_FORWARD][:6]
    monkeypatch.setattr(runner.Run, "_delete", lambda run: run._problem("A11", "something is left by the delete"))
    results = list(Runner(bench, exploration).run(cases))
    assert len(results) == 6
    assert {result.outcome for result in results} == {Outcome.LEAK}


def test_ids_and_times_make_no_difference_and_all_else_does(
    bench: Bench, exploration: Exploration, tmp_path: Path
) -> None:
    stage = exploration.stages[Scenario.BUILD]
    built = []
    for chance in ("one", "another"):
        stage.begin(bench)
        bench.reseed(chance)
        stage.go(bench)
        built.append(look(bench.state))
    before = exploration.before
    assert built[0].by_name.keys() != built[1].by_name.keys()
    assert likeness(built[0], before) == likeness(built[1], before)

    bench.rest()
    same = likeness(built[1], before)
    for change in (
        "UPDATE hosts SET failed_builds = failed_builds + 1 WHERE name = 'node-1'",
        "UPDATE instances SET vm_state = 'STOPPED' WHERE name = 'web-1'",
        "UPDATE effects SET state = 'stuck' WHERE kind = 'claim'",
        "DELETE FROM port_security_groups",
    ):
        with closing(sqlite3.connect(bench.state / "slipway.db")) as db:
            db.execute(change)
            db.commit()
        changed = likeness(look(bench.state), before)
        assert changed != same, change
        same = changed
    (bench.state / "world" / "node-1" / "domains" / "left.json").write_text("{}")
    assert likeness(look(bench.state), before) != same
