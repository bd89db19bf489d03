"""The verb that is drilled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from slipway.model.record import Event
from slipway.orchestrator import Orchestrator


@dataclass(frozen=True)
class Verb:
    """`words`: the options of a command line that name it. `do` does it, and tells of events; `before` comes first.

    `restarted`: then the hosts have been started anew, so that there is something to mend.
    """

    words: Sequence[str]
    do: Callable[[Orchestrator, Callable[[Event], None]], object]
    before: Callable[[Orchestrator, Callable[[Event], None]], object] = lambda _slipway, _told: None
    restarted: bool = False
