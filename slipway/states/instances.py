"""The rows of instances: made, read, taken over by a worker, and moved from state to state by `advance` alone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from slipway import errors
from slipway.model.record import Instance, Stack
from slipway.model.request import InstanceRequest
from slipway.states import codec, instance_runs, machines, outbox, quotas
from slipway.states.held import check_generation
from slipway.states.history import INSTANCE
from slipway.states.instance_rows import COLUMNS, instance_of
from slipway.states.instance_runs import Begun
from slipway.states.machines import Move, State
from slipway.states.schema import events, instances
from slipway.states.secrets import secrets_of, to_keep
from slipway.states.store import Transaction

_BY_ID = sa.select(*COLUMNS).where(instances.c.id == sa.bindparam("id"))
_STATE = sa.select(instances.c.vm_state, instances.c.task_state, instances.c.generation).where(
    instances.c.id == sa.bindparam("id")
)
_STATE_LOCKED = _STATE.with_for_update()
_MOVE = (
    instances.update()
    .where(
        instances.c.id == sa.bindparam("b_id"),
        instances.c.generation == sa.bindparam("b_generation"),
        instances.c.vm_state == sa.bindparam("b_vm_state"),
        instances.c.task_state.is_not_distinct_from(sa.bindparam("b_task_state", type_=sa.String)),
    )
    .values(vm_state=sa.bindparam("to_vm_state"), task_state=sa.bindparam("to_task_state"))
)
_NEW = instances.insert()
_LIVE = sa.select(*COLUMNS).where(instances.c.vm_state != machines.VmState.DELETED)
_CALLED = {
    # By name, or else by id; in a project, or in any.
    in_project: [
        _LIVE.where(
            column == sa.bindparam("b_name"), *([instances.c.project == sa.bindparam("b_project")] * in_project)
        )
        for column in (instances.c.name, instances.c.id)
    ]
    for in_project in (True, False)
}
_UNFINISHED = sa.select(*COLUMNS).where(instances.c.task_state.is_not(None))
_OF_STACK = _LIVE.where(
    instances.c.project == sa.bindparam("b_project"), instances.c.stack == sa.bindparam("b_stack")
).order_by(instances.c.created_at.desc(), instances.c.id)


def create(
    tx: Transaction,
    instance_id: str,
    request: InstanceRequest,
    *,
    run: Begun,
    worker: str,
    at: datetime,
    stack: str | None = None,
) -> Instance:
    """Put a new instance on record, in the first phase, held by `worker`, with the run that builds it.

    Raises `InstanceExists`, `QuotaExceeded`. `stack`: the name of its project's stack that it is part of.
    """
    state = machines.INITIAL
    size = quotas.size_of(request)
    _insert(
        tx,
        {
            "id": instance_id,
            "name": request.name,
            "project": request.project,
            "idempotency_key": request.idempotency_key,
            "vm_state": state.vm_state,
            "task_state": state.task_state,
            "generation": 1,
            "worker": worker,
            "workflow": run.workflow,
            "request": codec.encode(to_keep(request)),
            "user_data": secrets_of(request),
            "group_name": request.group.name if request.group else None,
            "stack": stack,
            "attempt": 1,
            "created_at": at,
            "run_id": run.id,
            "vcpus": size.vcpus,
            "memory": size.memory,
            "disk": size.disk,
        },
    )
    # After its row, which may have waited for a delete that is about to release the one of this name.
    quotas.charge(tx, request.project, size)
    instance_runs.begin(tx, instance_id, request.project, run, at)
    outbox.tell(tx, f"{INSTANCE}create", at, instance_id=instance_id, run_id=run.id, state=str(state), detail="")
    return Instance(
        id=instance_id,
        name=request.name,
        project=request.project,
        vm_state=state.vm_state,
        task_state=state.task_state,
        generation=1,
        request=request,
        host=None,
        fault=None,
        attempt=1,
        created_at=at,
        workflow=run.workflow,
        worker=worker,
        stack=stack,
        run_id=run.id,
    )


def _insert(tx: Transaction, values: dict[str, Any]) -> None:
    try:
        tx.execute(_NEW, values)
    except IntegrityError as error:
        raise errors.InstanceExists(f"instance {values['name']} exists in project {values['project']}") from error


def get(tx: Transaction, instance_id: str) -> Instance:
    """One instance by id, also a deleted one. Raises `InstanceNotFound`."""
    row = tx.execute(_BY_ID, {"id": instance_id}).one_or_none()
    if row is None:
        raise errors.InstanceNotFound(f"no instance {instance_id} is on record")
    return instance_of(row)


def find(tx: Transaction, name: str, project: str | None = None) -> Instance | None:
    """The instance of that name (or id) that is not deleted, or None. Without a project the name must be unique."""
    by_name, by_id = _CALLED[project is not None]
    values = {"b_name": name} if project is None else {"b_name": name, "b_project": project}
    rows = tx.execute(by_name, values).all() or tx.execute(by_id, values).all()
    if len(rows) > 1:
        found = ", ".join(f"{row.id} in project {row.project}" for row in rows)
        raise errors.InstanceNotFound(f"several instances are called {name}: {found}; name one by its id")
    return instance_of(rows[0]) if rows else None


def find_by_key(tx: Transaction, project: str, key: str | None) -> Instance | None:
    """The project's instance that was requested before with that idempotency key, deleted or not; None without one."""
    if key is None:
        return None
    query = sa.select(*COLUMNS).where(instances.c.project == project, instances.c.idempotency_key == key)
    row = tx.execute(query).one_or_none()
    return instance_of(row) if row else None


def find_of_then(tx: Transaction, name: str, project: str, then: int | None) -> Instance | None:
    """The project's instance of that name (or id), deleted or not, that was the last to be made up to an event, or at
    all."""
    own = sa.and_(events.c.instance_id == instances.c.id, events.c.type == f"{INSTANCE}create")
    made = sa.select(sa.func.coalesce(sa.func.min(events.c.seq), 0)).where(own).scalar_subquery()
    known = sa.select(*COLUMNS).where(instances.c.project == project)
    if then is not None:
        known = known.where(made <= then)
    newest = made.desc()
    for column in (instances.c.name, instances.c.id):
        if row := tx.execute(known.where(column == name).order_by(newest).limit(1)).one_or_none():
            return instance_of(row)
    return None


def those(tx: Transaction, ids: Collection[str]) -> Sequence[Instance]:
    """The instances with these ids that are not deleted."""
    query = sa.select(*COLUMNS).where(instances.c.id.in_(ids), instances.c.vm_state != machines.VmState.DELETED)
    return [instance_of(row) for row in tx.execute(query)]


def listed(tx: Transaction, *, project: str | None = None) -> Sequence[Instance]:
    """All instances that are not deleted, by project and name."""
    query = sa.select(*COLUMNS).where(instances.c.vm_state != machines.VmState.DELETED)
    if project is not None:
        query = query.where(instances.c.project == project)
    return [instance_of(row) for row in tx.execute(query.order_by(instances.c.project, instances.c.name))]


def of_stack(tx: Transaction, stack: Stack) -> Sequence[Instance]:
    """The stack's instances that are not deleted, newest first."""
    return [instance_of(row) for row in tx.execute(_OF_STACK, {"b_project": stack.project, "b_stack": stack.name})]


def any_ever(tx: Transaction) -> bool:
    """Whether any instance was ever on record."""
    return tx.execute(sa.select(instances.c.id).limit(1)).first() is not None


def unfinished(tx: Transaction) -> Sequence[Instance]:
    """The instances with something going on, oldest first."""
    rows = tx.execute(_UNFINISHED)
    return sorted((instance_of(row) for row in rows), key=lambda instance: instance.created_at)


def held(tx: Transaction) -> Sequence[tuple[str, str]]:
    """The instances with something going on that some worker has on record, by id, each with that."""
    query = sa.select(instances.c.id, instances.c.worker)
    rows = tx.execute(query.where(instances.c.task_state.is_not(None), instances.c.worker.is_not(None)))
    return [(row.id, row.worker) for row in rows]


def worker_of(tx: Transaction, instance_id: str) -> str | None:
    """Who works on the instance."""
    return tx.scalar(sa.select(instances.c.worker).where(instances.c.id == instance_id))


def outcome_of(tx: Transaction, instance_id: str) -> str | None:
    """What was decided when the attempt under way failed; None while it goes forward."""
    return tx.scalar(sa.select(instances.c.outcome).where(instances.c.id == instance_id))


def secrets_on_record(tx: Transaction, instance_id: str) -> str | None:
    """The secrets of what it is being made, as `secrets_of` gave them; None where there are none, and at rest."""
    return tx.scalar(sa.select(instances.c.user_data).where(instances.c.id == instance_id))


def decide(tx: Transaction, instance_id: str, outcome: str, **values: Any) -> None:
    """Record what is to become of the attempt under way, with the columns that are otherwise by that."""
    tx.execute(instances.update().where(instances.c.id == instance_id).values(outcome=outcome, **values))


def launched(*, at: datetime, addresses: tuple[str, ...], access: tuple[str | None, str | None]) -> dict[str, Any]:
    """The columns with what is known of an instance once it runs; nobody works on it any more."""
    return {
        "launched_at": at,
        "addresses": codec.encode(addresses),
        "access_ipv4": access[0],
        "access_ipv6": access[1],
        **dict.fromkeys(("worker", "outcome", "fault", "user_data")),
    }


def take_into(tx: Transaction, instance_id: str, stack: str) -> None:
    """Have an instance that no run of a file made be of its project's stack."""
    written = instances.update().where(instances.c.id == instance_id, instances.c.stack.is_(None))
    tx.execute(written.values(stack=stack))


def rename(tx: Transaction, instance_id: str, name: str) -> None:
    """Have it be called so. Raises `InstanceExists`."""
    try:
        tx.execute(instances.update().where(instances.c.id == instance_id).values(name=name))
    except IntegrityError as error:
        raise errors.InstanceExists(f"instance {name} exists in its project") from error


def readdress(tx: Transaction, instance_id: str, addresses: tuple[str, ...]) -> None:
    """Write which addresses it has by now."""
    tx.execute(instances.update().where(instances.c.id == instance_id).values(addresses=codec.encode(addresses)))


def fence(tx: Transaction, instance_id: str, generation: int, *, going_on: bool) -> None:
    """Refuse a worker that was replaced (`StaleWorker`) and, if it is `going_on`, one whose instance is being deleted.

    In one that writes the row is locked until the transaction ends, so that what was true here is true at the commit.
    """
    row = tx.execute(_STATE if tx.info["reading"] else _STATE_LOCKED, {"id": instance_id}).one()
    check_generation(row, "instance", instance_id, generation)
    if going_on and State(row.vm_state, row.task_state).deleting:
        raise errors.InstanceDeleting(f"instance {instance_id} is being deleted")


@cache
def _move_with(columns: tuple[str, ...], *, seen: bool) -> Any:
    """A statement that is always the same is compiled once; `seen`: it gives the row as it is then."""
    values = {name: sa.bindparam(f"new_{name}", type_=instances.c[name].type) for name in columns}
    move = _MOVE.values(values)
    return move.returning(*COLUMNS) if seen else move


def advance(
    tx: Transaction,
    instance_id: str,
    generation: int,
    source: State,
    event: Move,
    at: datetime,
    *,
    detail: str = "",
    values: dict[str, Any] | None = None,
    rested: Callable[[Instance], None] | None = None,
) -> State:
    """Move the instance from `source` to where `event` leads, and write `values` with it; a compare-and-swap.

    `rested` is given the instance as it is then where that brings it to rest.
    Raises `UnexpectedState` (with both states), `StaleWorker`, or `InstanceDeleting` when the row is not as expected.
    """
    to = machines.TABLE.target(event, source)
    values = {**(values or {}), "move": event.value, "moved_at": at, "detail": detail}
    seen = rested is not None and to.at_rest
    moved = tx.execute(
        _move_with(tuple(values), seen=seen),
        {
            **{f"new_{name}": value for name, value in values.items()},
            "b_id": instance_id,
            "b_generation": generation,
            "b_vm_state": source.vm_state,
            "b_task_state": source.task_state,
            "to_vm_state": to.vm_state,
            "to_task_state": to.task_state,
        },
    )
    row = moved.one_or_none() if seen else None
    if row is None if seen else moved.rowcount != 1:
        fence(tx, instance_id, generation, going_on=not source.deleting)
        found = tx.execute(_STATE, {"id": instance_id}).one()
        raise errors.UnexpectedState(
            f"instance {instance_id}: expected {source} for '{event}', found {State(found.vm_state, found.task_state)}"
        )
    if to.vm_state == machines.VmState.DELETED:
        quotas.release(tx, instance_id)
    if rested is not None and row is not None:
        rested(instance_of(row))
    if not source.at_rest and not (event is Move.DELETE and source.deleting):
        instance_runs.follow(tx, instance_id, event, at, values)
    return to
