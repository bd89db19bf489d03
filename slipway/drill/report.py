"""What a drill found, for programs and test servers; and in which rows and columns a person sees it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

from slipway.drill.campaign import Report
from slipway.drill.cases import CALL_MODES, COMMIT_MODES, Scenario
from slipway.drill.runner import Outcome, Result

PAIRS = "pairs"
COLUMNS = (*dict.fromkeys(mode.value for mode in (*CALL_MODES, *COMMIT_MODES)), PAIRS)
"""The columns of the matrix: the modes, and the runs with two faults."""
WORST_FIRST = (Outcome.LEAK, Outcome.STUCK, Outcome.ROLLED_BACK, Outcome.RESUMED, Outcome.OK)

Matrix = Mapping[tuple[Scenario, str], Mapping[str, Sequence[Result]]]


def matrix(report: Report) -> Matrix:
    """The results by scenario and step, then by column, in the order of the run."""
    rows: dict[tuple[Scenario, str], dict[str, list[Result]]] = {}
    for result in report.results:
        point = result.case.point
        column = PAIRS if result.case.second else result.case.mode.value
        rows.setdefault((point.scenario, point.row), {}).setdefault(column, []).append(result)
    return rows


def worst(results: Sequence[Result]) -> Outcome:
    """The outcome that a cell shows."""
    there = {result.outcome for result in results}
    return next(outcome for outcome in WORST_FIRST if outcome in there)


def reproduction(report: Report, result: Result) -> str:
    """The command that does this one run again."""
    plan = report.plan
    words = ["slipway", "drill", str(plan.path), "--only", result.case.name, "--seed", str(plan.seed)]
    return shlex.join([*words, *plan.options])


def as_dict(report: Report) -> dict[str, Any]:
    """The report for programs; its shape is documented in docs/drill.md."""
    return {
        "file": str(report.plan.path),
        "seed": report.plan.seed,
        "points": report.points,
        "planned": report.planned,
        "runs": len(report.results),
        "leaks": len(report.leaks),
        "totals": {outcome.value: report.totals[outcome] for outcome in reversed(WORST_FIRST)},
        "neighbour": report.neighbour,
        "seconds": round(report.seconds, 3),
        "cases": [_case(report, result) for result in report.results],
    }


def _case(report: Report, result: Result) -> dict[str, Any]:
    case, point = result.case, result.case.point
    return {
        "name": case.name,
        "scenario": point.scenario.value,
        "step": point.step,
        "undoing": point.undoing,
        "call": point.call,
        "nth": point.nth,
        "mode": case.mode.value,
        "error": case.variant or None,
        "second": case.second or None,
        "outcome": result.outcome.value,
        "ends": dict(result.ends),
        "problems": [{"invariant": problem.invariant, "text": problem.text} for problem in result.problems],
        "same_as": result.same_as or None,
        "seconds": round(result.seconds, 4),
        "reproduce": reproduction(report, result),
    }


def as_lines(report: Report) -> list[str]:
    """The leaks, each with what is wrong."""
    lines = [f"{len(report.leaks)} of {len(report.results)} runs leaked"]
    for result in report.leaks:
        lines += [result.case.name, *(f"  {problem}" for problem in result.problems)]
    return lines


def as_junit(report: Report) -> str:
    """The report as JUnit XML: a suite a scenario, a test case a run, a failure a leak."""
    lines = ['<?xml version="1.0" encoding="utf-8"?>', f"<testsuites {_counts(report.results)}>"]
    for scenario in Scenario:
        results = [result for result in report.results if result.case.point.scenario is scenario]
        if not results:
            continue
        lines.append(f'<testsuite name="drill.{scenario}" {_counts(results)}>')
        for result in results:
            lines += _testcase(report, result)
        lines.append("</testsuite>")
    return "\n".join([*lines, "</testsuites>", ""])


def _counts(results: Sequence[Result]) -> str:
    leaks = sum(result.outcome is Outcome.LEAK for result in results)
    seconds = sum(result.seconds for result in results)
    return f'tests="{len(results)}" failures="{leaks}" errors="0" time="{seconds:.3f}"'


def _testcase(report: Report, result: Result) -> list[str]:
    point = result.case.point
    kind, name = quoteattr(f"drill.{point.scenario}.{point.row}"), quoteattr(result.case.name)
    head = f'<testcase classname={kind} name={name} time="{result.seconds:.3f}"'
    if result.outcome is not Outcome.LEAK:
        return [f"{head}/>"]
    text = "\n".join([*map(str, result.problems), reproduction(report, result)])
    return [f"{head}>", f"<failure message={quoteattr(text)}/>", "</testcase>"]
