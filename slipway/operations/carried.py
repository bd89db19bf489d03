"""A run that is held brought to rest, however often the database is away meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from slipway import errors
from slipway.flows.runs.conductor import RunConductor
from slipway.flows.runs.holding import take
from slipway.flows.runs.prepared import Prepared
from slipway.flows.tasks.base import Tools
from slipway.model.record import Event
from slipway.model.run import RunRecord
from slipway.operations.needs import usable_or_let_go

if TYPE_CHECKING:
    from slipway.operations.posting import PostingRuns

MOST_TIMES = 100
"""How often something is gone on with."""


def carry_out(
    conductor: RunConductor | PostingRuns,
    tools: Tools,
    run: RunRecord,
    new: Prepared | None,
    on_event: Callable[[Event], None],
    stopping: Callable[[], bool],
) -> RunRecord:
    """Bring a run to rest that is held; `new`: what one goes by of which nothing but its row is on record.

    Where the database was away meanwhile, it goes on by the record. Raises as `RunConductor.bring_to_rest` does.
    """
    by, is_new = new if new is not None else usable_or_let_go(tools, run), new is not None
    for _ in range(MOST_TIMES):
        try:
            return conductor.bring_to_rest(run, by, notify=on_event, stopping=stopping, new=is_new)
        except errors.BuildInterrupted as stop:
            taken = take(tools, run.id) if tools.store.comes_back(stop.__cause__) else None
            if taken is None:
                raise
            run, by, is_new = taken, usable_or_let_go(tools, taken), False
    raise errors.BuildInterrupted(f"the database was away {MOST_TIMES} times")
