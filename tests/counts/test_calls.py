"""How many calls a build costs Python: exact for one version of Python and of each dependency, as times are not."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

import slipway
from slipway.runfile import loads
from tests.counts.conftest import RUN_FILE

pytestmark = pytest.mark.sqlite("counts the calls of Python that SQLite is asked by; psycopg has others")

BUILD = {"call": 5_630, "c_call": 3_360}
"""Calls of Python functions, and of those in C; with TaskFlow's own engine they were 21,000 and 9,600."""
RUN = {"call": 1_560, "c_call": 1_050}
"""Those of a workflow's run, from its file on, with six steps whose results are on record."""


def calls(work: Callable[[], object]) -> dict[str, int]:
    """How many calls of each kind it makes."""
    seen: Counter[str] = Counter()

    def count(_frame: Any, event: str, _argument: Any) -> None:
        seen[event] += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return seen


def at_most(seen: Mapping[str, int], most: Mapping[str, int]) -> None:
    assert {kind: seen[kind] for kind in most} == {kind: min(seen[kind], number) for kind, number in most.items()}


@pytest.mark.skipif(sys.gettrace() is not None, reason="a debugger or coverage is watching")
def test_a_build_costs_no_more_calls_than_it_did(tmp_path: Path) -> None:
    file = loads(RUN_FILE, str(tmp_path / "counts.yaml"))
    request = file.instances[0].request
    with slipway.Orchestrator(tmp_path / "state", settings=file.settings) as orchestrator:
        orchestrator.run(file)
        orchestrator.create(replace(request, name="web-0"))
        at_most(calls(lambda: orchestrator.create(replace(request, name="web-1"))), BUILD)


@pytest.mark.skipif(sys.gettrace() is not None, reason="a debugger or coverage is watching")
def test_a_run_costs_no_more_calls_than_it_did(tmp_path: Path) -> None:
    path = tmp_path / "flow.yaml"
    steps = "".join(f"- {{id: s{number}, uses: set, with: {{value: {number}}}}}\n" for number in range(6))
    path.write_text(f"schema: 1\nname: flow\nsteps:\n{steps}")
    with slipway.Orchestrator(tmp_path / "state") as orchestrator:
        for _ in range(2):
            orchestrator.runs.run(str(path))
        at_most(calls(lambda: orchestrator.runs.run(str(path))), RUN)
