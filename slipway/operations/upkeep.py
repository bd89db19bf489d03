"""Keep what should run running: a repair by which nothing is lost, again and again."""

from __future__ import annotations

import logging
from collections.abc import Callable

from slipway.errors import BuildInterrupted
from slipway.flows.tasks.base import Tools
from slipway.operations.lifecycle import Listener
from slipway.operations.mends import Mend
from slipway.operations.repair import Mended, Outcome, Repair, Selection

log = logging.getLogger(__name__)

_LONGEST = 600.0
"""Seconds after which what could not be mended is tried again at the latest."""


class _Patience:
    """When something is to be tried again that was tried: after twice the time each time, so that a guest which ends as
    soon as it is started does not start for ever."""

    def __init__(self, every: float) -> None:
        self._every = every
        self._tries: dict[str, tuple[float, float]] = {}

    def is_due(self, name: str, now: float) -> bool:
        at, _ = self._tries.get(name, (now, 0.0))
        return at <= now

    def tried(self, name: str, now: float) -> None:
        _, delay = self._tries.get(name, (now, 0.0))
        delay = min(max(2 * delay, self._every), _LONGEST)
        self._tries[name] = (now + delay, delay)

    def forget(self, now: float) -> None:
        """What has been well for as long as it would have been waited for is tried at once the next time."""
        self._tries = {name: (at, delay) for name, (at, delay) in self._tries.items() if now < at + delay + self._every}


def keep_up(
    repair: Repair,
    tools: Tools,
    on_mended: Callable[[Mended], None],
    *,
    every: float,
    notify: Listener,
    stopping: Callable[[], bool],
) -> None:
    """Until it is time to stop. Raises a `StoreError`."""
    patience = _Patience(every)
    told: set[Mend] = set()
    while not stopping():
        now = tools.monotonic()
        patience.forget(now)
        planned = repair.plan()
        for selection in _due(planned, patience, now):
            for one in repair.mend(selection, losing=False, notify=notify, stopping=stopping):
                if one.outcome is Outcome.MENDED or one.mend not in told:
                    on_mended(one)
                told.add(one.mend)
        told &= set(planned)
        try:
            tools.sleep(every)
        except BuildInterrupted:
            return


def _due(planned: tuple[Mend, ...], patience: _Patience, now: float) -> list[Selection]:
    """The instances, and the hosts of what is no instance's, at which something can be done and is due."""
    due: list[Selection] = []
    for mend in planned:
        finding = mend.finding
        one = Selection(instance_id=finding.instance_id) if finding.instance_id else Selection(host=finding.host)
        name = f"{one.instance_id or one.host}"
        if mend.possible and not mend.loses and one not in due and patience.is_due(name, now):
            patience.tried(name, now)
            due.append(one)
    return due
