"""A change of an instance that was built: what its run was begun with, and how it ends.

Its steps make what is new beside what there is. Once all of them are done, what it replaces is undone; where one of
them fails, what the change made is. Either way the instance rests as it was before, changed or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

from msgspec.structs import replace

from slipway import errors
from slipway.flows.outcome import Outcome
from slipway.flows.run import Run
from slipway.flows.tasks.base import Tools
from slipway.flows.tasks.catalog import BY_KIND
from slipway.flows.tasks.changes import as_changed
from slipway.model.change import Change
from slipway.model.machine import Placement, Vif
from slipway.model.record import Effect, EffectState, Fault, Instance
from slipway.states import codec, effects, instance_runs, instances
from slipway.states.intent import Durability
from slipway.states.machines import Move, VmState
from slipway.states.quotas import size_of
from slipway.states.resizing import claim_just
from slipway.states.secrets import lacks_secrets, to_keep, with_secrets
from slipway.states.store import Transaction


def change_of(tools: Tools, instance: Instance) -> Change | None:
    """What an instance is being made; None where nobody can read that any more."""
    with suppress(errors.RecordDamaged), tools.store.read() as tx:
        change = codec.decode(instance_runs.inputs_of(tx, instance.run_id), Change)
        secrets = instances.secrets_on_record(tx, instance.id) if lacks_secrets(change.request) else None
        return replace(change, request=with_secrets(change.request, secrets)) if secrets else change
    return None


def recall_change(run: Run, outcome: str | None) -> None:
    """Take up what was decided of a change before the crash."""
    if run.change is None:
        run.failed("record", errors.RecordDamaged(f"nobody can read what {run.instance.name} was to be made"))
    elif outcome is None:
        run.tell(f"instance.{_word(run)}.start")
    else:
        run.outcome = Outcome.RETIRE if outcome == Outcome.RETIRE else Outcome.ABORT


def changed(run: Run, stuck: list[Effect]) -> None:
    """All that is new is there, and what it replaces has gone, or is stuck and held."""
    assert run.change is not None
    _give_up(run)
    left = [effect for effect in stuck if effect.key in run.change.retired]
    fault = None
    if left:
        text = f"{left[0].key} could not be taken back: {left[0].error}"
        fault = Fault(errors.UndoFailed.__name__, text, left[0].step, run.tools.clock())
    request = run.change.request
    values: dict[str, Any] = {
        "request": codec.encode(to_keep(request)),
        "name": request.name,
        "group_name": request.group.name if request.group else None,
        "addresses": codec.encode(tuple(_addresses(run))),
    }
    amended = [*as_changed(run.ledger.effects(), run.change), *_placed(run)]
    _conclude(run, fault, values, partial(_keep, run, amended))


def _give_up(run: Run) -> None:
    """Have on record that what was on a lost host is stuck there: nothing is asked of that host now."""
    assert run.change is not None

    def lost(effect: Effect, _tx: Transaction | None) -> None:
        raise errors.UndoFailed(f"host {effect.host} was declared dead: once it is back, `slipway repair` removes it")

    for effect in run.ledger.effects() if run.change.lost else ():
        if effect.key in run.change.retired and effect.state is EffectState.DONE:
            run.ledger.undo(effect, Durability.FOREIGN, lost, held_by=None)


def _placed(run: Run) -> Iterator[Effect]:
    """The choice of its host, as that of the one that it has moved to: by it the instance is found from now on."""
    if run.change is None or run.change.host is None:
        return
    number = run.ledger.attempt - 1
    for effect in run.ledger.effects():
        if effect.kind == "placement" and effect.result:
            chosen = codec.decode(effect.result, Placement)
            tried = (*chosen.hosts[:number], run.change.host, *chosen.hosts[number + 1 :])
            yield replace(effect, result=codec.encode(replace(chosen, hosts=tried)))


def unchanged(run: Run) -> None:
    """What the change had made is undone, or stuck and held: the instance is what it was."""
    _conclude(run, run.fault, {}, lambda _tx: None)


def _conclude(run: Run, fault: Fault | None, values: dict[str, Any], also: Callable[[Transaction], None]) -> None:
    network = run.tools.drivers.network
    passed = [effect.key for effect in run.ledger.effects() if _has_passed(effect, run.instance.run_id)]

    def beside(tx: Transaction) -> None:
        also(tx)
        effects.forget(tx, passed)
        if run.change is not None and run.change.host is not None and network.local:
            # A port that is bound anew is DOWN.
            network.set_wired(run.instance.id, up=run.ledger.state.vm_state == VmState.ACTIVE, tx=tx)

    at_rest = {"worker": None, "outcome": None, "fault": None, "user_data": None}
    detail = f"{fault.type}: {fault.message}" if fault else ""
    run.ledger.conclude(Move.CHANGED, detail=detail, values={**at_rest, **values}, fault=fault, also=beside)
    run.tell(f"instance.{_word(run)}.{'error' if fault else 'end'}", message=detail)


def _word(run: Run) -> str:
    """What is done to it, as in the types of events."""
    return run.change.workflow.replace("-", "_") if run.change else "change"


def _has_passed(effect: Effect, run_id: str | None) -> bool:
    """Whether it is of this change and holds nothing now that it has ended: the next one is to do it anew."""
    if effect.run_id != run_id or effect.state is EffectState.STUCK:
        return False
    task = BY_KIND.get(effect.kind)
    return task is not None and (task.undo is None or task.passing)


def _keep(run: Run, amended: list[Effect], tx: Transaction) -> None:
    for effect in amended:
        effects.amend(tx, effect)
    if not run.ledger.stuck():
        # What is stuck is there, and has its room.
        claim_just(tx, run.instance.id, size_of(run.instance.request))


def _addresses(run: Run) -> Iterator[str]:
    for vif in effects.legible(run.ledger.effects(), "binding", Vif):
        yield from (ip.ip_address for ip in vif.fixed_ips)
