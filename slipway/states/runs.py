"""The rows of runs: made, read, taken over by a worker, and moved from state to state by `advance` alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from slipway import errors
from slipway.model.record import Fault
from slipway.model.run import RunRecord
from slipway.states import codec, outbox
from slipway.states.held import check_generation
from slipway.states.run_machine import INITIAL, TABLE, RunMove, RunState
from slipway.states.schema import OWN_TEXT, effects, events, instances, runs, workflow_texts
from slipway.states.statements import insert_if_absent
from slipway.states.store import Transaction

_RUNS = sa.select(runs, instances.c.name.label("instance")).outerjoin(instances, instances.c.id == runs.c.instance_id)
_BY_ID = _RUNS.where(runs.c.id == sa.bindparam("id"))
_CHILDREN = _RUNS.where(runs.c.parent_id == sa.bindparam("id", type_=sa.String)).order_by(runs.c.created_at, runs.c.id)
_TEXTS = sa.select(workflow_texts.c.texts).where(workflow_texts.c.digest == sa.bindparam("digest"))
_KEPT = sa.select(workflow_texts.c.digest).where(workflow_texts.c.digest == sa.bindparam("digest"))
_CREATE = runs.insert()
_STATE = sa.select(runs.c.state, runs.c.outcome, runs.c.generation).where(runs.c.id == sa.bindparam("id"))
_STATE_LOCKED = _STATE.with_for_update()
_KEEP = insert_if_absent(workflow_texts)
_MOVE = (
    runs.update()
    .where(
        runs.c.id == sa.bindparam("b_id"),
        runs.c.generation == sa.bindparam("b_generation"),
        runs.c.state == sa.bindparam("b_state"),
    )
    .values(state=sa.bindparam("to_state"))
)


def keep_texts(tx: Transaction, digest: str, texts: bytes) -> None:
    """Keep the texts of a workflow and of those that it uses, once."""
    if tx.scalar(_KEPT, {"digest": digest}) is None:
        # Another transaction may have kept them meanwhile.
        tx.execute(_KEEP, {"digest": digest, "texts": texts})


def texts_of(tx: Transaction, digest: str) -> bytes:
    """The texts that were kept. Raises `RecordDamaged` where they are gone."""
    found: bytes | None = tx.scalar(_TEXTS, {"digest": digest})
    if found is None:
        raise errors.RecordDamaged(f"the text {digest} of a run's workflow is not on record")
    return found


def create(tx: Transaction, run: RunRecord) -> None:
    """Put a new run on record. Raises `RunExists` for an idempotency key that its project has used."""
    row = {name: getattr(run, name) for name in run.__struct_fields__ if name != "instance"}
    try:
        tx.execute(_CREATE, {**row, "state": INITIAL.value, "fault": None})
    except IntegrityError as error:
        key = run.idempotency_key
        raise errors.RunExists(f"project {run.project} has a run with the idempotency key {key}") from error
    outbox.tell(tx, "run.create", run.created_at, run_id=run.id, state=INITIAL.value)


def get(tx: Transaction, run_id: str) -> RunRecord:
    """One run by its id, or by the beginning of it where that is one run's alone. Raises `RunNotFound`."""
    row = tx.execute(_BY_ID, {"id": run_id}).one_or_none()
    if row is None and run_id:
        begins = runs.c.id.startswith(run_id, autoescape=True)
        found = tx.execute(_RUNS.where(begins).limit(2)).all()
        if len(found) > 1:
            raise errors.RunNotFound(f"several runs' ids begin with {run_id}: write more of it")
        row = found[0] if found else None
    if row is None:
        raise errors.RunNotFound(f"no run {run_id} is on record")
    return _run(row)


def find_by_key(tx: Transaction, project: str, key: str | None) -> RunRecord | None:
    """The run that was begun before with this idempotency key; None without one."""
    if key is None:
        return None
    row = tx.execute(_RUNS.where(runs.c.project == project, runs.c.idempotency_key == key)).one_or_none()
    return None if row is None else _run(row)


def children_of(tx: Transaction, run_id: str) -> Sequence[RunRecord]:
    """The runs that the steps of one began, oldest first."""
    return [_run(row) for row in tx.execute(_CHILDREN, {"id": run_id})]


def forget_secrets_of_parts(tx: Transaction, run_id: str) -> None:
    """Keep no secrets of the runs that the steps of one began, and of those that theirs began."""
    for child in children_of(tx, run_id):
        forget_secrets_of_parts(tx, child.id)
        if child.secrets is not None:
            rewrite(tx, child.id, secrets=None)


def listed(
    tx: Transaction, *, project: str | None = None, instance_id: str | None = None, unfinished: bool = False
) -> Sequence[RunRecord]:
    """All runs, oldest first; those of a project, of an instance, or those that have not ended if wanted."""
    query = _RUNS.order_by(runs.c.created_at, runs.c.id)
    if instance_id is not None:
        query = query.where(runs.c.instance_id == instance_id)
    if project is not None:
        query = query.where(runs.c.project == project)
    if unfinished:
        query = query.where(runs.c.ended_at.is_(None))
    return [_run(row) for row in tx.execute(query)]


def fence(tx: Transaction, run_id: str, generation: int, *, going_on: bool) -> None:
    """Refuse a worker that was replaced (`StaleWorker`) and, if it is `going_on`, one whose run is to be undone
    (`RunCancelled`). In a transaction that writes the row is locked until it ends."""
    row = tx.execute(_STATE if tx.info["reading"] else _STATE_LOCKED, {"id": run_id}).one()
    check_generation(row, "run", run_id, generation)
    if going_on and row.state != RunState.RUNNING:
        raise errors.RunCancelled(f"run {run_id} is {row.state}: it does not go on")


@cache
def _move_with(columns: tuple[str, ...]) -> sa.Update:
    """A statement that is always the same is compiled once."""
    return _MOVE.values({name: sa.bindparam(f"new_{name}", type_=runs.c[name].type) for name in columns})


def advance(
    tx: Transaction,
    run_id: str,
    generation: int,
    source: RunState,
    move: RunMove,
    at: datetime,
    *,
    detail: str = "",
    values: dict[str, Any] | None = None,
) -> RunState:
    """Move the run from `source` to where `move` leads, and write `values` with it; a compare-and-swap. It is an event.

    One that ends says when, and nobody holds it; one that goes on again has not ended.
    Raises `UnexpectedState` (with both states), `StaleWorker`, or `RunCancelled` when the row is not as expected.
    """
    to = TABLE.target(move, source)
    ends = {"ended_at": at, "worker": None} if to.has_ended else {"ended_at": None}
    values = {**ends, **(values or {})}
    moved = tx.execute(
        _move_with(tuple(values)),
        {
            **{f"new_{name}": value for name, value in values.items()},
            "b_id": run_id,
            "b_generation": generation,
            "b_state": source.value,
            "to_state": to.value,
        },
    )
    if moved.rowcount != 1:
        fence(tx, run_id, generation, going_on=source is RunState.RUNNING)
        found = tx.execute(_STATE, {"id": run_id}).one().state
        raise errors.UnexpectedState(f"run {run_id}: expected {source} for '{move}', found {found}")
    outbox.tell(tx, f"run.{move}", at, run_id=run_id, state=to.value, detail=detail)
    return to


def decide(tx: Transaction, run_id: str, outcome: str) -> None:
    """Record what is to become of the run once all is undone."""
    tx.execute(runs.update().where(runs.c.id == run_id).values(outcome=outcome))


def rewrite(tx: Transaction, run_id: str, **values: Any) -> None:
    """Write other columns than those of its state: corrected inputs, another text, a pause's end."""
    tx.execute(runs.update().where(runs.c.id == run_id).values(**values))


def forget(tx: Transaction, run_id: str) -> None:
    """Take a run, its ledger and its events off the record; its children are to be gone already."""
    tx.execute(effects.delete().where(effects.c.run_id == run_id))
    tx.execute(events.delete().where(events.c.run_id == run_id))
    tx.execute(runs.delete().where(runs.c.id == run_id))


def forget_texts(tx: Transaction) -> None:
    """Take those texts off the record by which no run goes."""
    digest = workflow_texts.c.digest
    tx.execute(workflow_texts.delete().where(digest != OWN_TEXT, digest.not_in(sa.select(runs.c.digest))))


def _run(row: Any) -> RunRecord:
    columns = {name: getattr(row, name) for name in RunRecord.__struct_fields__}
    columns["fault"] = codec.decode(row.fault, Fault) if row.fault else None
    return RunRecord(**columns)
