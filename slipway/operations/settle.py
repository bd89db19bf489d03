"""Have the record say what a domain does, where nobody is at its instance."""

from __future__ import annotations

import logging

from slipway.drivers.deadline import within
from slipway.errors import DomainNotFound, InstanceDeleting, StaleWorker, StoreError, UnexpectedState
from slipway.flows.tasks.base import Tools
from slipway.model.machine import PowerState
from slipway.model.record import Instance
from slipway.states import hosts, instances
from slipway.states.history import last_change
from slipway.states.machines import TABLE, Move, State
from slipway.states.store import Transaction

log = logging.getLogger(__name__)

_FOLLOWS = {
    PowerState.RUNNING: Move.RUNS,
    PowerState.PAUSED: Move.SUSPENDED,
    PowerState.SHUTDOWN: Move.HALTED,
    PowerState.CRASHED: Move.HALTED,
    None: Move.HALTED,
}
"""What is seen of a domain (None: it is gone), and the move by which the record follows where that may come."""


def settle(tools: Tools, instance_id: str, *, asked: bool = False) -> tuple[Instance, str] | None:
    """Gives the instance as it is on record then, and in words what made the record follow; "" where it did not.

    None: somebody is at the instance, or was while the hypervisor was asked. What was stopped stays so, whoever
    starts it, until something is `asked` of it. Raises `InstanceNotFound`, what the hypervisor does, a `StoreError`.
    """
    with tools.store.read() as tx:
        change = last_change(tx, instance_id)
        instance = instances.get(tx, instance_id)
        host = hosts.get(tx, instance.host) if instance.host else None
    state = State(instance.vm_state, instance.task_state)
    if not state.at_rest:
        return None
    moves = {*_FOLLOWS.values(), *((Move.STARTED,) if asked else ())}
    if host is None or not any(TABLE.may(move, state) for move in moves):
        return instance, ""
    try:
        with within(tools.settings.step_timeout):
            seen = tools.drivers.on(host).compute.power_state(instance_id)
    except DomainNotFound:
        seen = None
    move = _FOLLOWS[seen]
    if asked and move is not Move.HALTED and TABLE.may(Move.STARTED, state):
        move = Move.STARTED
    return _follow(tools, instance, change, move, seen) if TABLE.may(move, state) else (instance, "")


def _follow(
    tools: Tools, instance: Instance, change: int, move: Move, seen: PowerState | None
) -> tuple[Instance, str] | None:
    """Record it, unless anything was done to the instance since it was looked at: it may be otherwise by now."""
    message = f"the domain is {seen or 'gone'}, by itself"
    state = State(instance.vm_state, instance.task_state)
    with tools.store.write() as tx:
        if last_change(tx, instance.id) != change:
            return None
        try:
            instances.advance(tx, instance.id, instance.generation, state, move, tools.clock(), detail=message)
        except (UnexpectedState, StaleWorker, InstanceDeleting):
            # Where the database lets two look at once somebody else was quicker.
            return None
        if move is not Move.SUSPENDED:
            set_wired(tools, instance.id, move is not Move.HALTED, tx)
        return instances.get(tx, instance.id), message


def set_wired(tools: Tools, instance_id: str, up: bool, tx: Transaction) -> None:
    """Have the status of an instance's ports follow its domain; a port that cannot is no reason to change nothing."""
    if not tools.drivers.network.local:
        return
    try:
        tools.drivers.network.set_wired(instance_id, up=up, tx=tx)
    except StoreError:
        raise
    except Exception:
        log.exception("the status of the ports of instance %s", instance_id)
