"""A photo of a process at a fault point shows what SIGKILL leaves there."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from slipway.drill.bench import Bench, Plan
from slipway.drill.cases import CRASHES, Case, Scenario, cases_of
from slipway.drill.explore import Exploration, explore
from slipway.drill.photos import Photo, photograph
from slipway.drill.runner import Runner
from slipway.drill.things import Things, look
from slipway.runfile import RunFile
from slipway.testing import Mode
from slipway.testing.crash import crashed


@pytest.fixture
def bench(one_host: RunFile, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(Plan(one_host), tmp_path / "bench")
    yield made
    made.close()


@pytest.fixture
def exploration(bench: Bench, tmp_path: Path) -> Exploration:
    return explore(bench, tmp_path / "templates")


def deaths(exploration: Exploration, scenario: Scenario) -> list[Case]:
    return list(cases_of(exploration.stages[scenario].points, CRASHES - {Mode.REBOOT}))


def timeless(things: Things) -> dict[str, str]:
    """All there is, but for the times and the process that worked."""
    found = {**things.by_name, **{table: repr(rows) for table, rows in things.rows.items()}}
    changing = r'\d{4}-\d\d-\d\d[T ][\d:.]+(\+00:00|Z)?|(?<="pid":)\d+|(?<="ticks":)\d+|\b\d{10,}(\.\d+)?\b'
    return {name: re.sub(changing, "*", str(content)) for name, content in found.items()}


@pytest.mark.parametrize("scenario", [Scenario.BUILD, Scenario.ROLLBACK, Scenario.DELETE])
def test_a_photo_shows_what_a_kill_leaves(
    bench: Bench, exploration: Exploration, scenario: Scenario, tmp_path: Path
) -> None:
    stage = exploration.stages[scenario]
    cases = deaths(exploration, scenario)
    photos = photograph(bench, stage, [case.fault for case in cases], tmp_path / "album")
    assert len(photos) == len(cases)
    for case in cases[::3]:
        stage.begin(bench, case.fault)
        bench.rest()
        assert crashed(lambda: stage.go(bench)), case.name
        assert timeless(look(photos[str(case.fault)].state)) == timeless(look(bench.state)), case.name


def test_who_was_photographed_is_dead(bench: Bench, exploration: Exploration) -> None:
    """Its build is another one's to take over at once; nobody waits for a lease."""
    case = deaths(exploration, Scenario.BUILD)[-3]
    (result,) = Runner(bench, exploration).run([case])
    assert (result.outcome, dict(result.ends)) == ("resumed", {"web-1": "ACTIVE"}), result.problems
    kinds = [kind for _, kind, text in result.trace if kind != "fault" or text == str(case.fault)]
    assert kinds.count("fault") == len([kind for _, kind, _ in result.trace if kind == "fault"]) == 1


def test_what_the_same_files_lead_to_is_carried_out_once(bench: Bench, exploration: Exploration) -> None:
    """Nothing lies between the end of a call and the next point but what a dead process forgets."""
    cases = deaths(exploration, Scenario.BUILD)
    results = list(Runner(bench, exploration).run(cases))
    assert [result.case for result in results] == cases
    shared = [result for result in results if result.same_as]
    assert len(cases) // 3 < len(shared) < len(cases) - len(exploration.stages[Scenario.BUILD].points) // 4
    by_name = {result.case.name: result for result in results}
    for result in shared:
        twin = by_name[result.same_as]
        assert (twin.same_as, twin.outcome, twin.ends) == ("", result.outcome, result.ends)


def test_a_photo_whose_turn_comes_late_is_of_its_own_time(
    bench: Bench, exploration: Exploration, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine the lease of who was photographed would have passed by then."""

    class Later(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return datetime.now(tz) + timedelta(hours=1)

    def taken_before(*words: Any) -> Mapping[str, Photo]:
        photos = photograph(*words)
        for module in ("testing.faults", "drill.photos"):
            monkeypatch.setattr(f"slipway.{module}.datetime", Later, raising=False)
        monkeypatch.setattr("slipway.testing.faults.time", SimpleNamespace(monotonic=lambda: time.monotonic() + 3600))
        return photos

    monkeypatch.setattr("slipway.drill.runner.photograph", taken_before)
    case = replace(deaths(exploration, Scenario.BUILD)[-3], mode=Mode.REBOOT)
    (result,) = Runner(bench, exploration).run([case])
    assert (result.outcome, result.problems) == ("resumed", ())
