"""A step that uses another workflow: a run of its own, begun, waited for and undone by the step."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from slipway import errors
from slipway.flows.runs.holding import take
from slipway.flows.runs.prepared import Prepared, recalled
from slipway.flows.runs.sealing import Seal
from slipway.flows.runs.workflow_run import Ending
from slipway.flows.tasks.base import Task, Tools, Work
from slipway.model.request import Host
from slipway.model.run import RunRecord
from slipway.states import effects, runs
from slipway.states.held import lock
from slipway.states.intent import Durability
from slipway.states.run_machine import TABLE, RunMove, RunState
from slipway.states.store import Transaction

CarryOut = Callable[[RunRecord, Prepared, Callable[[], bool]], RunRecord]
"""Brings a run to rest that its caller holds."""

_NAMES = uuid.UUID("5c1a4d1e-6d52-4e07-9f43-5a6b7f7d8c11")
"""Ids of such runs are made from the keys of their steps' effects."""


class SubWorkflow(Task):
    """Carry out another workflow as a step of this one. Its undo takes back all that the other did."""

    name = "workflow"
    kind = "run"

    def __init__(self, path: str, whole: Prepared, carry_out: CarryOut) -> None:
        """The workflow of that path, which is a part of the `whole`."""
        self._path = path
        self._whole = whole
        self._carry_out = carry_out

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """The other run has a ledger of its own."""
        return Durability.FOREIGN

    def accept(self, given: Any) -> dict[str, Any]:
        """What the workflow passes are the other's inputs."""
        return {"values": dict(given)}

    def do(self, work: Work, values: Any) -> Any:
        """The other's outputs. Raises `ChildFailed` with its first cause, `RunWaits` where it is paused."""
        run, prepared = self._begun(work, values)
        while RunState(run.state).at_work or (run.wake_at is not None and run.wake_at <= work.tools.clock()):
            run = self._further(work, run, prepared)
        if run.state == RunState.PAUSED:
            raise errors.RunWaits(run.waits_for or f"run {run.id[:8]} is paused", run.wake_at)
        if run.state != RunState.SUCCEEDED:
            raise errors.ChildFailed(f"workflow {run.name}, run {run.id[:8]}: {_cause(run)}")
        return msgspec.json.decode(Seal(prepared.secrets).unseal(run.outputs or b"null"))

    def undo(self, work: Work, result: Any) -> None:
        """Take back what it did, whatever became of it. Raises `UndoFailed` where something is stuck, with why."""
        with work.tools.store.write() as tx:
            work.fence(tx)
            lock(tx, "run", _id_of(work))
            try:
                run = runs.get(tx, _id_of(work))
            except errors.RunNotFound:
                return
            _turn_back(tx, run, work.tools.clock())
            run = runs.get(tx, run.id)
            prepared = recalled(run, runs.texts_of(tx, run.digest), self._whole.handed_on)
        while not RunState(run.state).has_ended:
            run = self._further(work, run, prepared)
        if run.state == RunState.STUCK:
            raise errors.UndoFailed(f"workflow {run.name}, run {run.id[:8]}, is stuck: {_cause(run)}")

    def _begun(self, work: Work, values: Any) -> tuple[RunRecord, Prepared]:
        """The run, on record from now on; one that was undone is tried again."""
        prepared = self._whole.part(self._path, values)
        at = work.tools.clock()
        with work.tools.store.write() as tx:
            work.fence(tx)
            lock(tx, "run", _id_of(work))
            try:
                run = runs.get(tx, _id_of(work))
            except errors.RunNotFound:
                runs.keep_texts(tx, prepared.digest, prepared.texts)
                runs.create(tx, _new(work, prepared))
                return runs.get(tx, _id_of(work)), prepared
            if (state := RunState(run.state)) in (RunState.FAILED, RunState.CANCELLED):
                again: dict[str, Any] = {"fault": None, "outcome": None, "attempt": run.attempt + 1}
                again |= {"inputs": prepared.kept_inputs, "secrets": prepared.kept_secrets}
                effects.forget_standing(tx, run.id)
                runs.advance(tx, run.id, run.generation, state, RunMove.RETRY, at, values=again)
            elif work.approved and state is RunState.PAUSED and run.waits_at is not None:
                answered = {"answer": "approved", "waits_for": None}
                runs.advance(tx, run.id, run.generation, state, RunMove.GO_ON, at, values=answered)
            return runs.get(tx, run.id), prepared

    def _further(self, work: Work, run: RunRecord, prepared: Prepared) -> RunRecord:
        """The run after somebody was at it for a while, this worker if it may."""
        taken = take(work.tools, run.id)
        if taken is None:
            work.check()
            work.tools.sleep(work.tools.settings.poll_interval)
            with work.tools.store.read() as tx:
                return runs.get(tx, run.id)
        halted: list[Exception] = []

        def stopping() -> bool:
            try:
                work.check()
            except Exception as error:  # noqa: BLE001 - why the step is not to go on, which is raised below
                halted.append(error)
            return bool(halted)

        try:
            return self._carry_out(taken, prepared, stopping)
        except errors.BuildInterrupted:
            if halted:
                raise halted[0] from None
            raise


def _cause(run: RunRecord) -> str:
    return f"{run.fault.type}: {run.fault.message}" if run.fault else run.state


def _id_of(work: Work) -> str:
    return str(uuid.uuid5(_NAMES, work.effect.key))


def _new(work: Work, prepared: Prepared) -> RunRecord:
    return RunRecord(
        id=_id_of(work),
        workflow=prepared.path,
        name=prepared.definition.name,
        digest=prepared.digest,
        project=work.run.project,
        state=RunState.RUNNING.value,
        generation=1,
        attempt=1,
        inputs=prepared.kept_inputs,
        created_at=work.tools.clock(),
        parent_id=work.run.id,
        parent_step=f"{work.effect.step}/{work.effect.slot}",
        secrets=prepared.kept_secrets,
    )


def _turn_back(tx: Transaction, run: RunRecord, at: datetime) -> None:
    """Have it undone, if it is not already."""
    state = RunState(run.state)
    values = {"outcome": Ending.CANCELLED.value, "wake_at": None, "waits_for": None, "waits_at": None}
    for move in (RunMove.CANCEL, RunMove.UNDO):
        if TABLE.may(move, state):
            runs.advance(tx, run.id, run.generation, state, move, at, values=values)
