"""Work that is left to the workers at a job board: let go of, posted, and waited for."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from msgspec.structs import replace

from slipway import errors
from slipway.drivers.board import Board, Job
from slipway.flows.runs.prepared import Prepared
from slipway.flows.tasks.base import Tools
from slipway.model.record import Event, Instance, RecordedEvent
from slipway.model.request import GRACEFUL, Shutdown
from slipway.model.run import RunRecord
from slipway.states import instances, outbox, runs
from slipway.states.held import hold
from slipway.states.machines import State
from slipway.states.run_machine import RunState


class Posting:
    """Stands where a conductor does, and has workers bring instances to rest."""

    building_here: frozenset[str] = frozenset()
    """None: whoever asks and whoever works are not the same."""

    def __init__(self, tools: Tools, board: Board) -> None:
        """`board`: where it is posted."""
        self._tools = tools
        self._board = board

    def build(
        self,
        instance: Instance,
        *,
        notify: Callable[[Event], None] = lambda _event: None,
        stopping: Callable[[], bool] = lambda: False,
        new: bool = False,
        shutdown: Shutdown = GRACEFUL,
        mend: Callable[..., None] | None = None,
    ) -> Instance:
        """The instance once workers have brought it to rest; `notify` is told of what comes to be on record.

        What `mend` would mend is not passed on: the worker on its host mends whatever there is.
        Raises `BuildInterrupted` where it is not to be waited for any more: the workers go on all the same.
        """
        tools = self._tools
        job = Job("instance", instance.id, instance.host, shutdown=None if shutdown == GRACEFUL else shutdown)
        seen = _post(tools, self._board, job, instance.generation, new=new)
        while True:
            # First, so that all that led there is told.
            with tools.store.read(once=True) as tx:
                instance = instances.get(tx, instance.id)
            told = outbox.after(tools.store, seen, instance_id=instance.id)
            for one in told:
                seen = one.seq
                notify(_told(one, instance))
            if State(instance.vm_state, instance.task_state).at_rest:
                return instance
            if stopping():
                raise errors.BuildInterrupted(f"{instance.name} is not waited for any more; the workers go on with it")
            tools.sleep(tools.settings.poll_interval)


class PostingRuns:
    """Stands where a conductor of workflows does, and has workers bring runs to rest."""

    def __init__(self, tools: Tools, board: Board) -> None:
        """`board`: where they are posted."""
        self._tools = tools
        self._board = board

    def bring_to_rest(
        self,
        run: RunRecord,
        _prepared: Prepared,
        *,
        notify: Callable[[Event], None] = lambda _event: None,
        stopping: Callable[[], bool] = lambda: False,
        new: bool = False,
    ) -> RunRecord:
        """The run once workers have brought it to its end, or to where somebody must say that it goes on.

        Raises `BuildInterrupted` as `Posting.build` does.
        """
        tools = self._tools
        notify(_told_of_run("run.start" if new else "run.state", run))
        seen = _post(tools, self._board, Job("run", run.id), run.generation, new=new)
        while True:
            with tools.store.read(once=True) as tx:
                run = runs.get(tx, run.id)
            told = outbox.after(tools.store, seen, run_id=run.id)
            for one in told:
                seen = one.seq
                if one.step:
                    event = _told_of_run(_SAID.get(one.type, one.type), run, step=one.step, slot=one.slot or 0)
                    notify(replace(event, at=one.at, message=one.detail))
            state = RunState(run.state)
            if state.has_ended or (state is RunState.PAUSED and run.wake_at is None):
                notify(_told_of_run("run.end" if state.has_ended else "run.state", run))
                return run
            if stopping():
                raise errors.BuildInterrupted(f"run {run.id} is not waited for any more; the workers go on with it")
            tools.sleep(tools.settings.poll_interval)


def _post(tools: Tools, board: Board, job: Job, generation: int, *, new: bool) -> int:
    """Let go of what this process holds, and post it; gives the number of the last event that is not of what comes."""
    with tools.store.write() as tx:
        seen = 0 if new else outbox.last(tx)
        hold(tx, job.what, job.id, generation, None)
    # What no board knows of the workers post again from the record.
    with suppress(errors.BoardUnavailable):
        board.post(job)
    return seen


def _told_of_run(type_: str, run: RunRecord, **more: Any) -> Event:
    return Event(
        type=type_,
        at=run.ended_at or run.created_at,
        instance_id="",
        name=run.name,
        run_id=run.id,
        vm_state=run.state,
        message=run.waits_for or "",
        **more,
    )


_SAID = {"step.intended": "step.start", "step.done": "step.end", "step.undone": "step.undo"}


def _told(recorded: RecordedEvent, instance: Instance) -> Event:
    """What is on record, as who listens to a build is told of it."""
    vm_state, _, task_state = (recorded.state or "").partition("/")
    more: dict[str, Any] = {"addresses": instance.addresses} if recorded.type == "instance.finish" else {}
    return Event(
        type=_SAID.get(recorded.type, _ends(recorded)),
        at=recorded.at,
        instance_id=instance.id,
        name=instance.name,
        image=instance.request.image.name,
        step=recorded.step or "",
        slot=recorded.slot or 0,
        host=recorded.host or instance.host,
        vm_state=vm_state or instance.vm_state,
        task_state=None if task_state in ("", "-") else task_state,
        attempt=recorded.attempt or instance.attempt,
        message=recorded.detail,
        **more,
    )


_ENDS = {
    "instance.finish": "instance.create.end",
    "instance.reverted": "instance.create.error",
    "instance.deleted": "instance.delete.end",
    "instance.delete_failed": "instance.delete.error",
    "instance.reschedule": "reschedule",
}


def _ends(recorded: RecordedEvent) -> str:
    if recorded.type.startswith("instance."):
        return _ENDS.get(recorded.type, "state")
    return recorded.type
