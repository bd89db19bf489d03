"""Who is at a run, and how a worker becomes the one that is."""

from __future__ import annotations

from functools import partial

from msgspec.structs import replace

from slipway.errors import RunCancelled, StaleWorker, UnexpectedState
from slipway.flows.tasks.base import Tools
from slipway.model.run import RunRecord
from slipway.states import effects, runs, workers
from slipway.states.held import take_over
from slipway.states.lease import Lease
from slipway.states.run_machine import RunMove, RunState
from slipway.states.store import Transaction
from slipway.states.worker import is_gone


def lease(tx: Transaction, tools: Tools) -> str:
    """This process's hold on a run or an instance from now on, for the record, by the clock that all share."""
    clock = partial(workers.now, tx, tools.clock)
    return Lease.begun(tools.settings.step_timeout, clock=clock, monotonic=tools.monotonic).text()


def has_passed(tx: Transaction, held: Lease, owner: str, tools: Tools) -> bool:
    """Whether who holds what the `owner` is may be replaced: it is provably gone, or its lease has passed."""
    last, grace = effects.last_deadline(tx, owner), tools.settings.takeover_grace
    clock = partial(workers.now, tx, tools.clock)
    passed = held.has_passed(last, grace, clock=clock, monotonic=tools.monotonic)
    return passed or is_gone(held.worker) or workers.is_silent(tx, held.worker, tools.clock)


def take(tools: Tools, run_id: str) -> RunRecord | None:
    """Become the worker of a run; None where nobody is to be at it now, or while another one is, or may be."""
    with tools.store.write() as tx:
        run = runs.get(tx, run_id)
        state = RunState(run.state)
        if state.has_ended or not _may_be_taken(tx, run, tools):
            return None
        if not state.at_work:
            now = tools.clock()
            if run.wake_at is None or run.wake_at > now:
                return None
            woken = {"wake_at": None, "waits_for": None}
            try:
                runs.advance(tx, run.id, run.generation, state, RunMove.GO_ON, now, values=woken)
            except (UnexpectedState, StaleWorker, RunCancelled):
                # Where the database lets two look at once somebody else was quicker.
                return None
        worker = lease(tx, tools)
        generation = take_over(tx, "run", run.id, run.generation, worker=worker)
        if generation is None:
            return None
        return replace(runs.get(tx, run.id), generation=generation, worker=worker)


def may_be_gone_on_with(tx: Transaction, run: RunRecord, tools: Tools) -> bool:
    """Whether `take` would give it: nobody is at it, and where it waits for a time, that has come."""
    state = RunState(run.state)
    woken = state.at_work or (run.wake_at is not None and run.wake_at <= tools.clock())
    return not state.has_ended and woken and _may_be_taken(tx, run, tools)


def _may_be_taken(tx: Transaction, run: RunRecord, tools: Tools) -> bool:
    """Whether nobody is at it: it was let go, its worker is provably gone, or the worker's lease has passed."""
    held = Lease.read(run.worker)
    return held is None or has_passed(tx, held, run.id, tools)


def who_is_at(run: RunRecord) -> str:
    """The worker that has the run, in words."""
    held = Lease.read(run.worker)
    return f"worker {held.worker} is at it" if held else "another worker has just let it go"
