"""Many builds on many hosts in one process, by a clock that nobody waits for: `python -m bench.simulation` has days."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.simulation.day import Plan, run

FEW = {"builds": 12, "hosts": 3, "hours": 0.1, "ttl": 60, "rate": 20.0}


@pytest.mark.parametrize("seed", [1, 2])
def test_all_is_at_rest_and_nothing_leaks_or_is_doubled(seed: int, tmp_path: Path) -> None:
    plan = Plan(seed, **FEW)  # type: ignore[arg-type]
    told = run(plan, parent=tmp_path)
    assert not told.problems, plan.line
    assert told.states.total() == 12
    assert told.faults["killed"] >= 1
    assert {"board lost all", "claims lost", "board away", "database away"} <= told.faults.keys()


def test_one_seed_has_one_history(tmp_path: Path) -> None:
    plans = [Plan(seed, builds=4, hosts=2, hours=0.05, ttl=60, rate=20.0) for seed in (7, 7, 8)]
    first, again, other = (run(plan, parent=tmp_path).digest for plan in plans)
    assert first == again != other
