"""`slipway drill` of a run file whose workflow does something beside the instance, at a service outside."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.drill.bench import Plan
from slipway.drill.campaign import Report, Wanted, drill
from slipway.drill.cases import Selection
from slipway.testing import Mode
from tests.examples.services import Services, served
from tests.runs.buildflow import ADDRESS, flow_of, record, run_file

TRIED = {"id": "tried", "uses": "http", "with": {"url": "${{ inputs.dns }}/nothing"}, "on_error": "continue"}
SAID = {"method": "PUT", "url": "${{ inputs.dns }}/last", "json": {"spawned": "${{ steps.spawn.status }}"}}
LAST = {"id": "last", "uses": "http", "with": SAID}


@pytest.fixture
def services() -> Iterator[Services]:
    with served() as services:
        yield services


def drilled(flow: Path, *only: str, modes: frozenset[Mode] = frozenset(Mode), pairs: int = 0) -> Report:
    wanted = Wanted(only=tuple(map(Selection.parse, only)), modes=modes, pairs=pairs)
    return drill(Plan(run_file(flow), seed=7), wanted)


SOME = frozenset({Mode.CRASH_AFTER, Mode.LOST_REPLY})


@pytest.mark.parametrize(
    ("modes", "pairs"),
    [
        pytest.param(SOME, 2, id="some"),
        pytest.param(frozenset(Mode), 40, id="every", marks=pytest.mark.slow),
    ],
)
def test_nothing_leaks_of_what_is_done_beside_an_instance(
    tmp_path: Path, services: Services, modes: frozenset[Mode], pairs: int
) -> None:
    outputs = {"address": ADDRESS, "tried": "${{ steps.tried.status }}"}
    flow = flow_of(tmp_path / "mine.yaml", services.url, TRIED, record(), last=LAST, outputs=outputs)
    report = drilled(flow, "record", "record.undo", "tried", "last", "finish", modes=modes, pairs=pairs)
    problems = {f"{result.case.name}: {problem}" for result in report.leaks for problem in result.problems}
    assert (problems, len(report.results)) == (set(), report.planned)
    steps = {(result.case.point.call, result.case.point.undoing) for result in report.results}
    assert {("record", False), ("record.undo", True), ("tried", False), ("last", False), ("commit", False)} <= steps
    assert report.planned > 30
    # A neighbour is there all the time, as somebody else's.
    assert [url for url in services.resources if "web" in url] == []
    print(f"\n{report.points} points, {report.planned} runs, {len(report.leaks)} leaks, {dict(report.totals)}")


def test_an_inverse_that_takes_nothing_back_is_found(tmp_path: Path, services: Services) -> None:
    """It fails where it comes a second time."""
    step = record()
    step["revert"]["with"]["expect"] = [200, 204]
    report = drilled(flow_of(tmp_path / "mine.yaml", services.url, step), "delete/record.undo:crash_after")
    assert len(report.leaks) == report.planned == 1
