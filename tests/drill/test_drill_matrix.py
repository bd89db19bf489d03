"""The built-in build under every fault: nothing leaks."""

from __future__ import annotations

from collections.abc import Callable

from slipway.drill.campaign import Report
from slipway.runfile import RunFile

Drill = Callable[..., Report]


def problems(report: Report) -> list[str]:
    return [f"{result.case.name}: {problem}" for result in report.leaks for problem in result.problems]


def test_a_worker_that_wakes_up_unbinds_no_port_that_is_on_another_host_by_now(
    two_hosts: RunFile, drilled: Drill
) -> None:
    """Its ports are a service's, that knows of no fence; the build was rescheduled meanwhile."""
    report = drilled(two_hosts, "reschedule/show_port:pause", remote=True)
    assert len(report.results) == 2
    assert problems(report) == []
