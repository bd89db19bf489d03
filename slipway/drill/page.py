"""The report as one self-contained HTML page: the matrix, the runs of a cell, the timeline of a run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from slipway.drill.campaign import Report
from slipway.drill.report import COLUMNS, WORST_FIRST, matrix, reproduction
from slipway.drill.runner import Result
from slipway.drill.trace import Line


def as_html(report: Report) -> str:
    """The page, with the data of all runs in it; it loads nothing from anywhere."""
    texts = _Texts()
    rows = [
        {
            "scenario": scenario.value,
            "row": row,
            "cells": [[_run(report, r, texts) for r in cells.get(column, ())] for column in COLUMNS],
        }
        for (scenario, row), cells in matrix(report).items()
    ]
    data = {
        "file": str(report.plan.path),
        "seed": report.plan.seed,
        "points": report.points,
        "planned": report.planned,
        "runs": len(report.results),
        "seconds": round(report.seconds, 1),
        "neighbour": report.neighbour,
        "modes": COLUMNS,
        "outcomes": [outcome.value for outcome in WORST_FIRST],
        "totals": [report.totals[outcome] for outcome in WORST_FIRST],
        "rows": rows,
        "texts": texts.all,
    }
    # "</" would end the script element wherever it stood.
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=True).replace("</", "<\\/")
    return files("slipway.drill").joinpath("page.html").read_text(encoding="utf-8").replace("__DATA__", text)


class _Texts:
    """Each text once: a thousand timelines say mostly the same."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self._numbers: dict[str, int] = {}

    def number(self, text: str) -> int:
        """The text's place among all."""
        if text not in self._numbers:
            self._numbers[text] = len(self.all)
            self.all.append(text)
        return self._numbers[text]


def _run(report: Report, result: Result, texts: _Texts) -> dict[str, Any]:
    return {
        "name": result.case.name,
        "outcome": WORST_FIRST.index(result.outcome),
        "ends": ", ".join(f"{name} is {state}" for name, state in result.ends.items()) or "nothing is on record",
        "ms": round(result.seconds * 1000),
        "problems": [str(problem) for problem in result.problems],
        "reproduce": reproduction(report, result),
        "same_as": result.same_as,
        "trace": _timeline(result.trace, texts),
    }


def _timeline(trace: Sequence[Line], texts: _Texts) -> list[int]:
    """Of each line the tenths of a millisecond since the one before, and the number of its text: all in one list."""
    numbers, before = [], 0
    for at, kind, text in trace:
        tenths = round(at * 10)
        numbers += [tenths - before, texts.number(f"{kind} {_said(kind, text)}")]
        before = tenths
    return numbers


def _said(kind: str, text: str) -> str:
    """A line for a person: of a call its name and number only."""
    return ":".join(text.split(":")[:2]) if kind in ("call", "commit") else text
