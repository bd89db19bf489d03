"""The runs of instances: each build, stop, start, reboot and delete is one, and its state follows the instance's.

Who works on such a run is whoever works on its instance, and only the instance's row says who that is (decision 0021).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.exc import IntegrityError

from slipway.errors import RecordDamaged
from slipway.model.record import EffectState
from slipway.states.machines import Move
from slipway.states.run_machine import INITIAL, TABLE, RunMove, RunState
from slipway.states.schema import OWN_TEXT, effects, runs, workflow_texts
from slipway.states.store import Transaction

_STATES: Mapping[Move, tuple[RunMove, ...]] = {
    Move.FINISH: (RunMove.SUCCEED,),
    Move.FAIL: (RunMove.FAIL,),
    Move.RESCHEDULE: (RunMove.RESCHEDULE,),
    # A repair's run, which goes forward then, or a build's.
    Move.REVERTED: (RunMove.SUCCEED, RunMove.FAILED),
    Move.CHANGED: (RunMove.SUCCEED,),
    Move.RUNS: (RunMove.SUCCEED,),
    Move.HALTED: (RunMove.SUCCEED,),
    Move.SUSPENDED: (RunMove.SUCCEED,),
    Move.DELETE: (RunMove.SUPERSEDE,),
    Move.DELETED: (RunMove.SUCCEED,),
    Move.DELETE_FAILED: (RunMove.FAIL, RunMove.LEFT_OVER),
}
"""What an instance's move makes of its run that is under way: the moves of the run's that may come, in turn."""
_ANY_STUCK = sa.select(effects.c.seq).where(
    effects.c.instance_id == sa.bindparam("instance_id"), effects.c.state == EffectState.STUCK.value
)
_BEGIN = runs.insert()
BUILD = "build"
"""The name of the run by which an instance is built; those of others are verbs."""
_BUILD = (
    sa.select(runs.c.id, runs.c.workflow, runs.c.digest, runs.c.asked_by)
    .where(runs.c.instance_id == sa.bindparam("instance_id"), runs.c.name == BUILD)
    .order_by(runs.c.created_at.desc())
    .limit(1)
)


class Begun(Struct, frozen=True):
    """A run of an instance that is to be on record. `name` says what is done: `BUILD`, or the verb.

    `digest` is that of the workflow's text, where it is not one of Slipway's own.
    """

    id: str
    name: str
    workflow: str
    digest: str = OWN_TEXT
    asked_by: str = ""
    inputs: bytes = b"{}"


def begin(tx: Transaction, instance_id: str, project: str, run: Begun, at: datetime) -> None:
    """Put a run of an instance on record that has no other one under way."""
    row = {
        "id": run.id,
        "instance_id": instance_id,
        "workflow": run.workflow,
        "name": run.name,
        "digest": run.digest,
        "project": project,
        "state": INITIAL.value,
        "generation": 0,
        "attempt": 1,
        "inputs": run.inputs,
        "asked_by": run.asked_by,
        "created_at": at,
    }
    try:
        # PostgreSQL takes nothing more in a transaction in which a statement has failed.
        with tx.begin_nested() if tx.dialect.name == "postgresql" else nullcontext():
            tx.execute(_BEGIN, row)
    except IntegrityError:
        # Somebody has damaged what it stands on, which must not keep the instance from being stopped or deleted.
        _put_right(tx, instance_id, at)
        tx.execute(_BEGIN, row)


def _put_right(tx: Transaction, instance_id: str, at: datetime) -> None:
    """Have the row that stands for our own texts, and no run under way of an instance that was at rest."""
    if tx.scalar(sa.select(workflow_texts.c.digest).where(workflow_texts.c.digest == OWN_TEXT)) is None:
        tx.execute(workflow_texts.insert(), {"digest": OWN_TEXT, "texts": b"{}"})
    left = runs.update().where(runs.c.instance_id == instance_id, runs.c.ended_at.is_(None))
    tx.execute(left.values(state=TABLE.target(RunMove.SUPERSEDE, RunState.RUNNING).value, ended_at=at))


def begin_again(tx: Transaction, run_id: str) -> None:
    """Have a build that failed be under way once more."""
    state = TABLE.target(RunMove.RETRY, RunState.FAILED)
    values = {"state": state.value, "ended_at": None, "fault": None, "attempt": 1}
    tx.execute(runs.update().where(runs.c.id == run_id, runs.c.state == RunState.FAILED.value).values(values))


def follow(tx: Transaction, instance_id: str, move: Move, at: datetime, values: Mapping[str, Any]) -> None:
    """Have the instance's run that is under way stand as its instance does, moved with these columns.

    Where there is none, as in a record that somebody has damaged, the instance can be brought to rest all the same.
    """
    for one in _moves(tx, instance_id, move, values):
        written = {"b_instance": instance_id, "b_at": at}
        if "fault" in values:
            written["b_fault"] = values["fault"]
        tx.execute(_statement(one, fault="fault" in values), written)


def _moves(tx: Transaction, instance_id: str, move: Move, values: Mapping[str, Any]) -> tuple[RunMove, ...]:
    if move is Move.REVERTED and tx.execute(_ANY_STUCK.limit(1), {"instance_id": instance_id}).first():
        return (RunMove.FAIL, RunMove.LEFT_OVER)
    if move in (Move.RUNS, Move.HALTED, Move.SUSPENDED, Move.CHANGED) and values.get("fault") is not None:
        stuck = move is Move.CHANGED and tx.execute(_ANY_STUCK.limit(1), {"instance_id": instance_id}).first()
        return (RunMove.FAIL, RunMove.LEFT_OVER if stuck else RunMove.FAILED)
    return _STATES.get(move, ())


@cache
def _statement(move: RunMove, fault: bool) -> sa.Update:
    row = next(row for row in TABLE.rows if row.event == move)
    values: dict[str, Any] = {"state": row.target.value}
    if row.target.has_ended:
        values["ended_at"] = sa.bindparam("b_at", type_=runs.c.ended_at.type)
    if fault:
        values["fault"] = sa.bindparam("b_fault", type_=runs.c.fault.type)
    if move is RunMove.RESCHEDULE:
        values["attempt"] = runs.c.attempt + 1
    of = runs.c.instance_id == sa.bindparam("b_instance")
    # No list, for which SQLAlchemy writes the statement anew each time.
    of_sources = sa.or_(*(runs.c.state == source.value for source in row.sources))
    return runs.update().where(of, runs.c.ended_at.is_(None), of_sources).values(values)


def build_of(tx: Transaction, instance_id: str) -> Begun | None:
    """The run by which an instance was built; None where none of its is on record."""
    row = tx.execute(_BUILD, {"instance_id": instance_id}).first()
    return None if row is None else Begun(row.id, BUILD, row.workflow, row.digest, row.asked_by)


def inputs_of(tx: Transaction, run_id: str | None) -> bytes:
    """What a run of an instance was begun with. Raises `RecordDamaged` where it is not on record."""
    found: bytes | None = tx.scalar(sa.select(runs.c.inputs).where(runs.c.id == run_id))
    if found is None:
        raise RecordDamaged(f"run {run_id} is not on record")
    return found
