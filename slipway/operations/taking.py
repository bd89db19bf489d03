"""Who is at an instance, and whether anybody else may take it (decision 0012)."""

from __future__ import annotations

from datetime import timedelta

from slipway.flows.runs.holding import has_passed
from slipway.flows.tasks.base import Tools
from slipway.model.record import Instance
from slipway.states import effects, instances, workers
from slipway.states.history import last_power_change
from slipway.states.lease import Lease
from slipway.states.store import Transaction
from slipway.states.worker import is_gone


def may_be_taken(tx: Transaction, instance: Instance, tools: Tools) -> bool:
    """Whether nobody is at it: it was let go, its worker is provably gone, or the worker's lease has passed."""
    if instance.worker is None:
        return True
    lease = Lease.read(instance.worker)
    if lease is not None:
        return has_passed(tx, lease, instance.id, tools)
    # An older Slipway's worker, which wrote its lease with its effects alone.
    begun = last_power_change(tx, instance.id) or instance.created_at
    last = effects.last_deadline(tx, instance.id) or begun
    last = max(last, begun + timedelta(seconds=tools.settings.step_timeout))
    return tools.clock() > last + timedelta(seconds=tools.settings.takeover_grace)


def orphaned(tx: Transaction, tools: Tools) -> frozenset[str]:
    """The ids of the instances whose worker is gone, or not heard of, in the middle of what it did."""
    found = ((instance_id, Lease.read(worker)) for instance_id, worker in instances.held(tx))
    return frozenset(
        instance_id
        for instance_id, lease in found
        if lease and (is_gone(lease.worker) or workers.is_silent(tx, lease.worker, tools.clock))
    )


def who_is_at(instance: Instance) -> str:
    """The worker that has the instance, in words."""
    if instance.worker is None:
        return "another worker has just let it go"
    lease = Lease.read(instance.worker)
    return f"worker {lease.worker if lease else instance.worker} is at it"
