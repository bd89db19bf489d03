"""The built-in build under every fault: nothing leaks."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from slipway.drill.campaign import Report
from slipway.drill.cases import Scenario
from slipway.drill.runner import Outcome
from slipway.runfile import RunFile
from slipway.testing import Mode

Drill = Callable[..., Report]


def problems(report: Report) -> list[str]:
    return [f"{result.case.name}: {problem}" for result in report.leaks for problem in result.problems]


OF_RUN_FILES = {
    *(Scenario.PREPARE, Scenario.BUILD, Scenario.RESCHEDULE, Scenario.ROLLBACK, Scenario.DELETE, Scenario.DESTROY)
}


def test_a_worker_that_wakes_up_unbinds_no_port_that_is_on_another_host_by_now(
    two_hosts: RunFile, drilled: Drill
) -> None:
    """Its ports are a service's, that knows of no fence; the build was rescheduled meanwhile. Even its call that was
    under way comes to nothing: the port is no longer as it was when the worker looked at it."""
    report = drilled(two_hosts, "reschedule/show_port:pause", "reschedule/update_port:pause", remote=True)
    assert len(report.results) > 4
    assert problems(report) == []


@pytest.mark.parametrize(
    "sample", [400, pytest.param(None, marks=pytest.mark.slow)], ids=["some of everything", "everything"]
)
def test_nothing_leaks_whatever_goes_wrong(two_hosts: RunFile, drilled: Drill, sample: int | None) -> None:
    """Two NICs, of which one is brought along, two disks and a seed, two hosts; every scenario, every mode."""
    report = drilled(two_hosts, sample=sample)
    ends = report.totals
    print(f"\n{report.points} points, {len(report.results)} runs in {report.seconds:.1f} s: {dict(ends)}")
    assert problems(report) == []
    assert len(report.results) == report.planned
    assert report.points > 150
    assert report.neighbour
    scenarios = {result.case.point.scenario for result in report.results}
    assert scenarios == OF_RUN_FILES
    assert {result.case.mode for result in report.results} == set(Mode)
    assert set(ends) == set(Outcome) - {Outcome.LEAK}


def test_nothing_leaks_after_two_faults(two_hosts: RunFile, drilled: Drill) -> None:
    """A crash, then another fault in the recovery, drawn by a seed (`slipway drill --pairs` does any number)."""
    report = drilled(two_hosts, "build/disks:crash_after", "delete/:crash_before", pairs=40, seed=11)
    pairs = [result for result in report.results if result.case.second]
    assert len(pairs) > 30
    assert all("?" not in result.case.second for result in pairs)
    assert problems(report) == []


def test_nothing_leaks_of_a_network_service(one_host: RunFile, drilled: Drill) -> None:
    """Ports are made by a service elsewhere, on record before they are made: the calls that change something."""
    undoing = (f"rollback/{call}" for call in ("show_port", "update_port", "delete_port", "find_port"))
    report = drilled(one_host, "build/create_port", *undoing, remote=True)
    assert len(report.results) > 60
    assert problems(report) == []
