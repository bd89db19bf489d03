"""How many calls a build costs Python: exact for one version of Python and of each dependency, as times are not."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

import slipway
from slipway.runfile import loads
from tests.counts.conftest import RUN_FILE

MOST = {"call": 6_200, "c_call": 3_400}
"""Calls of Python functions, and of those in C; with TaskFlow's own engine they were 21,000 and 9,600."""


@pytest.mark.skipif(sys.gettrace() is not None, reason="a debugger or coverage is watching")
def test_a_build_costs_no_more_calls_than_it_did(tmp_path: Path) -> None:
    file = loads(RUN_FILE, str(tmp_path / "counts.yaml"))
    request = file.instances[0].request
    seen: Counter[str] = Counter()

    def count(_frame: Any, event: str, _argument: Any) -> None:
        seen[event] += 1

    with slipway.Orchestrator(tmp_path / "state", settings=file.settings) as orchestrator:
        orchestrator.run(file)
        for number in range(2):
            seen.clear()
            before = sys.getprofile()
            sys.setprofile(count)
            try:
                orchestrator.create(replace(request, name=f"web-{number}"))
            finally:
                sys.setprofile(before)
    assert {kind: seen[kind] for kind in MOST} == {kind: min(seen[kind], most) for kind, most in MOST.items()}
