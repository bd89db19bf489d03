"""Which faults fit the points of a workflow's drill."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from slipway.drill.cases import CALL_MODES, COMMIT_MODES, Case, Point, Scenario
from slipway.testing import COMMIT, Mode
from slipway.testing.tasks import TASK, WITHIN

_MODES = {TASK: CALL_MODES, WITHIN: (Mode.CRASH_BEFORE,)}
VARIANTS = {Mode.ERROR: ("abort", "transient", "bug", "exit"), Mode.LOST_REPLY: ("transient", "bug")}
"""The classes of what a task raises; one that was refused outright has had no effect."""


def cases_of(points: Sequence[Point], modes: frozenset[Mode]) -> Iterator[Case]:
    """Every case of these points, in the order of the run and of the modes."""
    for point in points:
        commit = point.call == COMMIT
        for mode in COMMIT_MODES if commit else _MODES[point.family]:
            if mode not in modes or mode is Mode.MEANWHILE or (mode is Mode.PAUSE and not _may_stop(point)):
                continue
            for variant in ("",) if commit else VARIANTS.get(mode, ("",)):
                yield Case(point, mode, variant)


def _may_stop(point: Point) -> bool:
    """Whether another worker can take over while one stands still there.

    While a transaction is open the whole database waits for it; and a call that is under way while all is undone
    reaches the world afterwards, whoever it is made by.
    """
    late = point.scenario is Scenario.CANCEL and point.call != COMMIT and not point.undoing
    return not point.in_transaction and not late
