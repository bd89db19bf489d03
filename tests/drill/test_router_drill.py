"""Routers under every fault: whatever fails while a host takes one up or gives it back, none is left to nobody."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from slipway.drill.campaign import Report
from slipway.drill.simulated import WiringFiles
from slipway.model.hosted import HostedRouter
from slipway.runfile import RunFile, load

EXAMPLE = Path(__file__).parents[2] / "examples" / "routers.yaml"

Drill = Callable[..., Report]


@pytest.fixture
def routed() -> RunFile:
    return load(str(EXAMPLE))


def test_no_router_is_left_where_nobody_is_behind_it(routed: RunFile, drilled: Drill) -> None:
    report = drilled(routed, "set_routers")
    assert [result.case.name for result in report.leaks] == []
    assert len(report.results) > 60


@pytest.mark.slow
def test_nothing_leaks_of_a_file_with_routers(routed: RunFile, drilled: Drill) -> None:
    report = drilled(routed)
    assert [result.case.name for result in report.leaks] == []
    assert report.points > 200


def test_a_router_that_stays_is_found(routed: RunFile, drilled: Drill, monkeypatch: pytest.MonkeyPatch) -> None:
    def only_adds(self: WiringFiles, wanted: Sequence[HostedRouter], *, anew: bool = False) -> None:
        for one in wanted:
            self._put("routers", one.router.id, says=msgspec.json.encode(one).decode())

    monkeypatch.setattr(WiringFiles, "set_routers", only_adds)
    report = drilled(routed, "delete/set_routers:crash_before:0")
    assert any("/routers/" in str(problem) for result in report.leaks for problem in result.problems)
