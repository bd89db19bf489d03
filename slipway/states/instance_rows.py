"""How the row of an instance is read: whole, or as far as it can be."""

from __future__ import annotations

from typing import Any

from slipway import errors
from slipway.model.record import Fault, Instance
from slipway.model.request import Flavor, Image, InstanceRequest
from slipway.states import codec
from slipway.states.machines import VmState
from slipway.states.schema import instances
from slipway.states.secrets import with_secrets

_NOT_READ = (
    *("idempotency_key", "group_name", "outcome", "move", "moved_at", "detail"),
    *("vcpus", "memory", "disk"),
)
COLUMNS = [c for c in instances.c if c.name not in _NOT_READ]
_UNREAD = "unread"


def instance_of(row: Any) -> Instance:
    """The instance; what of its row cannot be read is its `damage`, so that it hides no other row."""
    try:
        return _whole(row)
    except errors.RecordDamaged as error:
        return _damaged(row, f"its row is damaged: {error}")


def _whole(row: Any) -> Instance:
    request = codec.decode(row.request, InstanceRequest)
    return _made(
        row,
        with_secrets(request, row.user_data) if _has_own_secrets(row) else request,
        fault=codec.decode(row.fault, Fault) if row.fault else None,
        addresses=codec.decode(row.addresses, tuple[str, ...]) if row.addresses else (),
        access_ipv4=row.access_ipv4,
        access_ipv6=row.access_ipv6,
    )


def _has_own_secrets(row: Any) -> bool:
    """Whether they are of what it is built as, and not of what it is changed into; at rest it should have none, and
    what is no secrets of it is damage."""
    return row.user_data is not None and (row.vm_state == VmState.BUILDING or row.task_state is None)


def _damaged(row: Any, damage: str) -> Instance:
    """What the columns say by themselves."""
    unread = InstanceRequest(name=row.name, project=row.project, flavor=Flavor(_UNREAD, 0, 0, 0), image=Image(_UNREAD))
    fault = Fault(errors.RecordDamaged.__name__, damage, "", row.created_at)
    return _made(row, unread, fault=fault, damage=damage)


def _made(row: Any, request: InstanceRequest, **decoded: Any) -> Instance:
    return Instance(
        id=row.id,
        name=row.name,
        project=row.project,
        vm_state=row.vm_state,
        task_state=row.task_state,
        generation=row.generation,
        request=request,
        host=row.host,
        attempt=row.attempt,
        created_at=row.created_at,
        workflow=row.workflow,
        launched_at=row.launched_at,
        worker=row.worker,
        stack=row.stack,
        deleted_at=row.deleted_at,
        run_id=row.run_id,
        has_secrets=row.user_data is not None,
        **decoded,
    )
