"""What an idempotency key stands for: one request, for good."""

from __future__ import annotations

from slipway import errors
from slipway.model.record import Instance
from slipway.model.request import InstanceRequest
from slipway.states.machines import VmState
from slipway.states.secrets import to_keep


def check_same(earlier: Instance, request: InstanceRequest) -> None:
    """Raise `IdempotencyKeyReused` where the key of an instance comes with another request than at first.

    Secrets are compared by their digests, which is all that the record keeps of them. Raises `RecordDamaged` where the
    first request cannot be read.
    """
    if earlier.damage:
        raise errors.RecordDamaged(f"instance {earlier.name} has this idempotency key, and {earlier.damage}")
    if to_keep(earlier.request) != to_keep(request):
        raise errors.IdempotencyKeyReused(
            f"idempotency key {request.idempotency_key} was used for another request, which made instance "
            f"{earlier.name} ({earlier.id}); take a new key"
        )


def check_there(instance: Instance) -> Instance:
    """The instance of a key; raise `InstanceDeleted` where it is gone."""
    if instance.vm_state == VmState.DELETED:
        raise errors.InstanceDeleted(
            f"instance {instance.name} ({instance.id}) of idempotency key {instance.request.idempotency_key} has been "
            "deleted; take a new key for a new one"
        )
    return instance
