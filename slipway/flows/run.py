"""A build in one worker's hands: where it stands, what was decided when a step failed, and what is undone then."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from slipway import errors
from slipway.drivers.deadline import within
from slipway.flows.retries import UNDO_RETRIES, with_retries
from slipway.flows.tasks.base import BuildWork, RunInfo, Task, Tools
from slipway.flows.tasks.catalog import BY_KIND, no_task
from slipway.listeners import tell
from slipway.model.machine import Placement
from slipway.model.record import Effect, EffectState, Event, Fault, Instance, Scope
from slipway.model.request import Host
from slipway.states import codec, effects, hosts, instances
from slipway.states.intent import Durability, Intent
from slipway.states.ledger import Ledger
from slipway.states.machines import Move, State
from slipway.states.store import Transaction
from slipway.texts import named, said

if TYPE_CHECKING:
    from slipway.flows.engine.engine import Engine

log = logging.getLogger(__name__)

R = TypeVar("R")


_NO_FAILURE_OF_THE_HOST = (
    errors.AbortBuild,
    errors.NetworkError,
    errors.ComputeResourcesUnavailable,
    errors.GroupAffinityViolation,
    errors.PortBindingFailed,
    errors.UnsupportedHardware,
)
"""What was asked for is wrong, taken, or not for this host: that says nothing of the next build there."""


class Outcome(StrEnum):
    """What becomes of the instance after a step failed; on record before the first undo."""

    RESCHEDULE = "reschedule"
    ABORT = "abort"
    DELETE = "delete"


class Run:
    """What the steps of one build share while one worker has it."""

    def __init__(
        self,
        instance: Instance,
        ledger: Ledger[State, Move],
        tools: Tools,
        *,
        notify: Callable[[Event], None],
        stopping: Callable[[], bool],
    ) -> None:
        """`notify` is told what happens; `stopping` true: no further step is begun."""
        self.instance = instance
        self.ledger = ledger
        self.tools = tools
        self.fault = instance.fault
        self._info = RunInfo(instance.id, instance.workflow, instance.project)
        self.outcome: Outcome | None = None
        self.halted: Exception | None = None
        self.engine: Engine | None = None
        """What goes forward with it, once anything did."""
        self.outputs: dict[str, Any] = {}
        self.under_way: dict[str, Effect] = {}
        """What each step is having outside our database."""
        self._notify = notify
        self._stopping = stopping
        self._lock = threading.Lock()
        self._hosts: dict[str, Host] = {}
        self._tried: set[str] = set()
        self._placement: Placement | None = None
        ledger.moved = lambda: self.tell("state")

    # --- where it stands ------------------------------------------------------------------------------------------

    @property
    def placement(self) -> Placement | None:
        """The hosts that were chosen, as the ledger has them."""
        if self._placement is None:
            self._placement = self._result("placement", Placement)
        return self._placement

    def _result(self, kind: str, type_: type[R]) -> R | None:
        """What the latest effect of the kind gave; None as well where its row is damaged, which must not keep an
        instance from being deleted."""
        encoded = next((e.result for e in self.ledger.effects() if e.kind == kind and e.result), None)
        with suppress(errors.RecordDamaged):
            return codec.decode(encoded, type_) if encoded else None
        return None

    @property
    def host_name(self) -> str | None:
        """The name of this attempt's host, None before one was chosen."""
        placement = self._placement or self.placement
        return placement.hosts[self.ledger.attempt - 1] if placement else None

    @property
    def host(self) -> Host | None:
        """The host of this attempt, None before one was chosen."""
        return self.host_named(self.host_name) if self.host_name else None

    @property
    def addresses(self) -> tuple[str, ...]:
        """The instance's addresses in the order of its NICs, none before it was launched."""
        return self._result("launch", tuple[str, ...]) or ()

    def host_named(self, name: str) -> Host:
        """A host on record. Raises `ComputeResourcesUnavailable`."""
        if name not in self._hosts:
            with self.tools.store.read(once=True) as tx:
                self._hosts[name] = hosts.get(tx, name)
        return self._hosts[name]

    def check_going_on(self) -> None:
        """Raise `BuildInterrupted` where no further step may begin, `AttemptEnded` where the other branch failed."""
        if self._stopping():
            raise errors.BuildInterrupted(f"build of {self.instance.name} stopped before its next step")
        if self.outcome is not None:
            raise errors.AttemptEnded(f"build of {self.instance.name}: another step has failed")

    def work(self, effect: Effect, host: Host | None, timeout: float, tx: Any = None) -> BuildWork:
        """What a task is given for one effect."""
        deadline = self.tools.monotonic() + timeout
        return BuildWork(
            effect,
            self._info,
            self.tools,
            deadline,
            tx,
            self._check_waiting,
            instance=self.instance,
            host=host,
            hosts_read=self._hosts,
        )

    def _check_waiting(self) -> None:
        self.check_going_on()
        self.ledger.check()

    def rest(self, seconds: float) -> None:
        """Wait before a call is tried again, with a lease for that and for the call. Raises `StaleWorker`."""
        self.ledger.hold(seconds + self.tools.settings.step_timeout)
        self.tools.sleep(seconds)

    def tries_again(self, step: str, slot: int, error: Exception, seconds: float) -> None:
        """Have it on record that a step failed in passing. Raises `StaleWorker`, a `StoreError`."""
        self.ledger.note("step.retry", step=step, slot=slot, detail=f"again in {seconds:g} s: {named(error)}")

    def tell(self, type_: str, *, step: str = "", slot: int = 0, message: str = "", **more: Any) -> None:
        """Announce something. A listener that fails is logged and never fails the build."""
        state = self.ledger.state
        event = Event(
            type=type_,
            at=self.tools.clock(),
            instance_id=self.instance.id,
            name=self.instance.name,
            image=self.instance.request.image.name,
            step=step,
            slot=slot,
            host=self.host_name,
            vm_state=state.vm_state,
            task_state=state.task_state,
            attempt=self.ledger.attempt,
            message=message,
            **more,
        )
        log.info("%s", type_, extra={"build": self.instance.id, "step": step, "slot": slot, "detail": message})
        tell(self._notify, event, type_)

    # --- when a step fails ----------------------------------------------------------------------------------------

    def failed(self, step: str, error: Exception, *, of_host: bool = False) -> None:
        """Decide by the error's class what becomes of the instance, and record it before anything is undone.

        `of_host`: the step is one whose failure may speak against the host. The first error is the cause; a second
        branch's comes too late to change anything.
        """
        with self._lock:
            if self.outcome is not None:
                return
            log.info("step %s failed", step, exc_info=error, extra={"build": self.instance.id, "step": step})
            if isinstance(error, errors.InstanceDeleting):
                self.deleted_meanwhile()
                return
            wanted = self._decide(error)
            self.remember(step, error)
            try:
                self.ledger.conclude(
                    Move.FAIL,
                    detail=f"{step}: {named(error)}",
                    values={"outcome": wanted},
                    fault=self.fault,
                    also=partial(self._failing, step, error, of_host),
                )
            except errors.InstanceDeleting:
                self.deleted_meanwhile()
                return
            self.outcome = wanted
        self.tell("step.error", step=step, message=named(error))

    def _failing(self, step: str, error: Exception, of_host: bool, tx: Transaction) -> None:
        """What is written beside the move to REVERTING."""
        self.ledger.tell(tx, "step.error", step=step, detail=named(error))
        if of_host and self.host_name and not isinstance(error, _NO_FAILURE_OF_THE_HOST):
            hosts.build_failed(tx, self.host_name)

    def deleted_meanwhile(self) -> None:
        """Somebody deletes the instance: everything is to be undone, and nothing else counts."""
        self.ledger.refresh()
        self.outcome = Outcome.DELETE
        self.ledger.decide(self.outcome)

    def _decide(self, error: Exception) -> Outcome:
        alternates = len(self.placement.hosts) if self.placement else 0
        if isinstance(error, errors.AbortBuild) or self.ledger.attempt >= alternates:
            return Outcome.ABORT
        return Outcome.RESCHEDULE

    def remember(self, step: str, error: Exception) -> None:
        """Keep the first error; later attempts' are added to it and never put in its place."""
        where = f" on {self.host_name}" if self.host_name else ""
        if self.fault is None:
            self.fault = Fault(type(error).__name__, said(error), step, self.tools.clock())
            return
        later = f"attempt {self.ledger.attempt}{where}, {step}: {named(error)}"
        old = self.fault
        self.fault = Fault(old.type, old.message, old.step, old.at, (*old.later, later))

    # --- undoing --------------------------------------------------------------------------------------------------

    def undo(self, effect: Effect) -> None:
        """Take one effect back if it is to be; never raises. What failed once in this roll-back is not tried twice."""
        kept = self.outcome is Outcome.RESCHEDULE and effect.scope is Scope.INSTANCE
        if self.halted or kept or effect.key in self._tried or effect.state is EffectState.UNDONE:
            return
        task = BY_KIND.get(effect.kind)
        if task is not None and task.undo is None:
            return
        self._tried.add(effect.key)
        try:
            after = self._undo(effect, task)
        except Exception as error:  # noqa: BLE001 - a revert never raises; the conductor reports it and stops
            self.halted = error
            return
        if after.state is EffectState.STUCK:
            self.tell("step.undo", step=effect.step, slot=effect.slot, message=f"stuck: {after.error}")
        else:
            self.tell("step.undo", step=effect.step, slot=effect.slot)

    def supersede(self, intent: Intent[Move]) -> None:
        """Take back what the same step made for the instance where it is to be this host's own, as a port whose MAC
        the host dictates. Raises `UndoFailed`: the two must not stand beside each other."""
        key = self.ledger.key(intent)
        for effect in self.ledger.effects(intent.step):
            if effect.slot != intent.slot or effect.key == key or effect.state is EffectState.UNDONE:
                continue
            self.undo(effect)
            self._tried.discard(effect.key)
            if self.halted is not None:
                raise self.halted
            if any(stuck.key == effect.key for stuck in self.ledger.stuck()):
                raise errors.UndoFailed(f"{effect.key} could not be undone, and {key} cannot stand beside it")

    def _undo(self, effect: Effect, task: Task | None) -> Effect:
        if task is None or task.undo is None:
            return self.ledger.undo(effect, Durability.FOREIGN, no_task, held_by=None)
        try:
            durability, call = self._undoing(effect, task, self.rest)
        except errors.StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - it is on record as stuck, with this error
            return self.ledger.undo(effect, Durability.FOREIGN, _failing(error), held_by=None)
        return self.ledger.undo(effect, durability, call, held_by=self._holder(effect))

    def _undoing(
        self, effect: Effect, task: Task, sleep: Callable[[float], None]
    ) -> tuple[Durability, Callable[[Effect, Any], None]]:
        """How an effect is undone, and the call that does it."""
        undo = task.undo
        assert undo is not None
        host = self.host_named(effect.host) if effect.host else self.host
        arguments = task.arguments_of(effect)
        result = codec.decode(effect.result, task.result_type) if effect.result else None
        given = {name: getattr(arguments, name) for name in arguments.__struct_fields__}
        seconds = self.tools.settings.step_timeout

        def once(tx: Any) -> None:
            with within(seconds):
                undo(self.work(effect, host, seconds, tx), result, **given)

        def call(effect: Effect, tx: Any) -> None:
            retries = 0 if tx is not None else UNDO_RETRIES
            with_retries(lambda: once(tx), retries=retries, sleep=sleep, step=effect.step)

        return task.durability(self.tools, host), call

    def take_back(self, step: str) -> None:
        """Undo what a step was having when this worker was replaced, if by the record it is on its way out or gone.

        Whoever replaced this worker may have undone it before it was there. Nothing else is touched; never raises.
        """
        effect = self.under_way.pop(step, None)
        task = BY_KIND.get(effect.kind) if effect is not None else None
        if effect is None or task is None or task.undo is None:
            return
        try:
            if self._is_let_go(effect):
                _, call = self._undoing(effect, task, self.tools.sleep)
                call(effect, None)
        except Exception:
            log.exception("%s came late and could not be taken back", effect.key)

    def _is_let_go(self, effect: Effect) -> bool:
        """Whether an effect is undone by the record, or is to be whenever somebody comes to it."""
        with self.tools.store.read() as tx:
            instance = instances.get(tx, effect.instance_id)
            outcome = instances.outcome_of(tx, effect.instance_id)
            state = next(one.state for one in effects.effects_of(tx, effect.owner_id) if one.key == effect.key)
        if state in (EffectState.UNDONE, EffectState.STUCK):
            return state is EffectState.UNDONE
        if outcome == Outcome.RESCHEDULE:
            return effect.scope is Scope.HOST
        return outcome is not None or State(instance.vm_state, instance.task_state).deleting

    def _holder(self, effect: Effect) -> Effect | None:
        """A stuck effect that still uses this one: rather one that is stuck by itself than one that is held as well."""
        for stuck in sorted(self.ledger.stuck(), key=lambda effect: effect.held_by is not None):
            task = BY_KIND.get(stuck.kind)
            same_slot = task is None or not task.per_slot or stuck.slot == effect.slot
            if task is not None and effect.kind in task.uses and same_slot and stuck.key != effect.key:
                return stuck
        return None

    def next_attempt(self) -> None:
        """Forget what belongs to the attempt that ended."""
        self.outcome = None
        self.outputs.clear()
        self._tried.clear()


def _failing(error: Exception) -> Callable[[Effect, Any], None]:
    def call(_effect: Effect, _tx: Any) -> None:
        raise error

    return call
