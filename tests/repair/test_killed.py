"""kill -9 of a repair before and after every call and at every commit; the next repair finishes what it began."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from slipway.operations.repair import Outcome
from slipway.testing import Fault, Mode, crashed
from tests import record
from tests.repair.conftest import Site
from tests.repair.test_every_difference import DAMAGES, Damage
from tests.told import wrong_with

SWEPT = (
    *("domain destroyed and undefined", "domain ended", "NIC detached and ended", "disk gone with its domain"),
    *("all of it gone, as after a restart of its host", "port deleted in the network service"),
    *("port that was brought along deleted", "port of the DHCP server deleted", "claim gone", "claim of nobody"),
    *("domain of nobody", "tap that the record has lost", "disk that the record does not have", "delete that is stuck"),
    *("build that is stuck", "worker dead in a stop"),
)

LOOKS = ("list_", "show_", "find_", "power_state", "obstacles", "is_ours", "tap_", "filter_", "outdated_")
"""Calls that change nothing: a kill at one of them is one at the next change, or after the last."""


@pytest.mark.parametrize("damage", [one for one in DAMAGES if one.name in SWEPT], ids=lambda damage: damage.name)
def test_a_repair_that_is_killed_is_finished_by_the_next(
    damage: Damage, make_site: Callable[..., Site], tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    site = make_site(remote=damage.remote, **damage.says)
    damage.do(site)
    damaged = tmp_path / "damaged"
    record.copy(site.state, damaged)
    seen = site.faults()
    with seen.orchestrator(site.state) as orchestrator:
        orchestrator.repair()
    calls = [fault for mode in (Mode.CRASH_BEFORE, Mode.CRASH_AFTER) for fault in seen.possible(mode)]
    points = [fault for fault in calls if not fault.call.startswith(LOOKS)]
    points += seen.possible(Mode.CRASH_AFTER, commits=True)
    by_hand = set(wrong_with(damaged / "slipway.db"))
    wrong: dict[str, object] = {}
    ends: Counter[str] = Counter()
    for fault in points:
        shutil.rmtree(site.state)
        record.copy(damaged, site.state)
        if not crashed(partial(repair, site, fault)):
            wrong[str(fault)] = "did not fire"
            continue
        with site.open() as orchestrator:
            mended = orchestrator.repair()
            problems: list[object] = [*orchestrator.audit(), *(one for one in mended if one.outcome != Outcome.MENDED)]
            states = [instance.vm_state for instance in orchestrator.list()]
            if states != ([damage.ends] if damage.ends else []):
                problems.append(states)
            ends.update(states)
        problems += () if by_hand else wrong_with(site.state / "slipway.db")
        if problems:
            wrong[str(fault)] = problems
    record_property("points", len(points))
    print(f"\n{damage.name}: {len(points)} points killed, {len(wrong)} wrong, ends {dict(ends)}")
    assert not wrong
    assert points


def repair(site: Site, fault: Fault) -> None:
    with site.open(fault) as orchestrator:
        orchestrator.repair()
