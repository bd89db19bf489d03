"""Which faults fit the points of a workflow's drill."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from slipway.drill.cases import CALL_MODES, COMMIT_MODES, Case, Point, Scenario
from slipway.drill.workflows.meanwhile import MEANWHILE
from slipway.testing import COMMIT, Mode
from slipway.testing.tasks import TASK, WITHIN

_MODES = {TASK: CALL_MODES, WITHIN: (Mode.CRASH_BEFORE,)}
VARIANTS = {
    Mode.ERROR: ("abort", "transient", "bug", "exit"),
    Mode.LOST_REPLY: ("transient", "bug"),
    Mode.MEANWHILE: tuple(MEANWHILE),
}
"""The classes of what a task raises; one that was refused outright has had no effect."""


def cases_of(points: Sequence[Point], modes: frozenset[Mode]) -> Iterator[Case]:
    """Every case of these points, in the order of the run and of the modes."""
    for point in points:
        commit = point.call == COMMIT
        for mode in COMMIT_MODES if commit else _MODES[point.family]:
            if mode not in modes or (mode is Mode.PAUSE and not _may_stop(point)):
                continue
            if mode is Mode.MEANWHILE and (point.in_transaction or point.scenario is not Scenario.FORWARD):
                continue
            for variant in ("",) if commit and mode is not Mode.MEANWHILE else VARIANTS.get(mode, ("",)):
                yield Case(point, mode, variant)


def second_fault(points: Sequence[Point], first: Point, seed: int) -> str:
    """The fault of a recovery, drawn from what came after the first one in the dry run; how often each is called is
    counted from the recovery on. "": nothing came."""
    later = points[points.index(first) :]
    rest = [replace(point, nth=sum(one.call == point.call for one in later[:at])) for at, point in enumerate(later)]
    cases = list(cases_of(rest, frozenset(Mode) - {Mode.PAUSE, Mode.HANG, Mode.REBOOT, Mode.MEANWHILE}))
    if not cases:
        return ""
    case = random.Random(seed).choice(cases)
    mode = f"{case.mode}.{case.variant}" if case.variant else case.mode.value
    return f"{case.point.call}:{mode}:{case.point.nth}"


def _may_stop(point: Point) -> bool:
    """Whether another worker can take over while one stands still there.

    While a transaction is open the whole database waits for it; and a call that is under way while all is undone
    reaches the world afterwards, whoever it is made by.
    """
    late = point.scenario is Scenario.CANCEL and point.call != COMMIT and not point.undoing
    return not point.in_transaction and not late
