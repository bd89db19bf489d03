"""What a workflow does by itself: wait for somebody or for a time, check, say, and name a value."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from slipway.errors import ConditionFailed, RunWaits
from slipway.flows.tasks.arguments import Duration, seconds_of
from slipway.flows.tasks.base import Task, Tools, Work
from slipway.model.request import Host
from slipway.states.intent import Durability

log = logging.getLogger(__name__)


class Pause(Task):
    """Wait until somebody approves. Nothing holds the run meanwhile.

    Needs no undo: it changes nothing but what people are told.
    """

    name = "pause"
    kind = "pause"
    waits = True

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """What is waited for, and since when, is on record before the wait."""
        return Durability.FOREIGN

    def do(self, work: Work, message: str) -> None:
        """Raises `RunWaits` with the message until then."""
        if not work.approved:
            raise RunWaits(message)


class Sleep(Task):
    """Wait for a time, counted from when the step first began. Nothing holds the run meanwhile.

    Needs no undo: it has no effect.
    """

    name = "sleep"
    kind = "sleep"
    waits = True

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """When it began is on record before the wait."""
        return Durability.FOREIGN

    def do(self, work: Work, for_: Duration) -> None:
        """Raises `RunWaits` until then, by the wall clock: the wait may outlast every process."""
        now = work.tools.clock()
        until = (work.effect.started_at or now) + timedelta(seconds=seconds_of(self.name, "for", for_))
        if now < until:
            raise RunWaits(f"until {until.isoformat(timespec='seconds')}", until)


class Assert(Task):
    """Go on only where something holds.

    Needs no undo and no record: it only looks at what it is given.
    """

    name = "assert"
    kind = "assertion"

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """What it looks at is on record itself."""
        return Durability.PURE

    def do(self, work: Work, that: bool, message: str) -> None:
        """Raises `ConditionFailed` with the message."""
        if not that:
            raise ConditionFailed(message)


class Log(Task):
    """Say something to whoever listens to the run, and to the log.

    Needs no undo: what was said was said.
    """

    name = "log"
    kind = "log-line"

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """A resume does not say it once more."""
        return Durability.RECORDED

    def do(self, work: Work, message: str) -> None:
        """`message`: one line, or several."""
        log.info("%s", message, extra={"run": work.run.id, "step": work.effect.step})
        work.tell(message)


class Set(Task):
    """Give a value back, so that later steps have a name for it.

    Needs no undo and no record: a resume finds the same value in the same way.
    """

    name = "set"
    kind = "value"

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """What it is made from is on record itself."""
        return Durability.PURE

    def do(self, work: Work, value: Any) -> Any:
        """`value`: a text, a number, true, false, null, a list or a map."""
        return value
