"""A build in one worker's hands: where it stands, what was decided when a step failed, and what is undone then."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec.structs import replace

from slipway import errors
from slipway.flows.definition import Definition, StepDefinition
from slipway.flows.instance_workflow import build_of, change_of_name, definition_of
from slipway.flows.loader import known_workflows
from slipway.flows.outcome import NO_FAILURE_OF_THE_HOST, Outcome
from slipway.flows.runs.execution import Execution
from slipway.flows.runs.undoing import undo
from slipway.flows.tasks.base import BuildWork, RunInfo, Task, Tools
from slipway.flows.tasks.catalog import BY_KIND, CATALOG, CHANGES
from slipway.flows.values import Scope as Names
from slipway.listeners import tell
from slipway.model.change import Change
from slipway.model.machine import Placement
from slipway.model.record import Effect, EffectState, Event, Instance, Scope
from slipway.model.request import Host
from slipway.states import codec, hosts
from slipway.states.instance_runs import Begun
from slipway.states.intent import Intent
from slipway.states.ledger import Ledger
from slipway.states.machines import Move, State
from slipway.states.store import Transaction
from slipway.texts import named

if TYPE_CHECKING:
    from slipway.flows.engine.engine import Engine

log = logging.getLogger(__name__)

R = TypeVar("R")


class Run(Execution[State, Move]):
    """What the steps of one build share while one worker has it."""

    def __init__(
        self,
        instance: Instance,
        ledger: Ledger[State, Move],
        tools: Tools,
        catalog: Mapping[str, Task] = CATALOG,
        *,
        notify: Callable[[Event], None],
        stopping: Callable[[], bool],
        change: Change | None = None,
    ) -> None:
        """`notify` is told what happens; `stopping` true: no further step is begun. `change`: what it is made."""
        info = RunInfo(instance.id, instance.workflow, instance.project)
        kinds = BY_KIND if catalog is CATALOG else {**BY_KIND, **{task.kind: task for task in catalog.values()}}
        if change is not None:
            catalog = {**catalog, **CHANGES}
        super().__init__(ledger, tools, info, catalog, kinds, fault=instance.fault, notify=notify, stopping=stopping)
        self.instance = instance if change is None else replace(instance, request=change.request)
        self.change = change
        self.outcome: Outcome | None = None
        self.engine: Engine | None = None
        """What goes forward with it, once anything did."""
        self.under_way: dict[str, Effect] = {}
        """What each step is having outside our database, by key; what is done to its domain by the word for that."""
        self._begun_before = {one.key for one in ledger.effects() if one.state is EffectState.INTENDED}
        self._ends = False
        self._hosts: dict[str, Host] = {}
        self._placement: Placement | None = None
        ledger.moved = lambda: self.tell("state")

    # --- by what it goes ------------------------------------------------------------------------------------------

    @cached_property
    def build(self) -> Begun | None:
        """The run that builds it, or did, by a workflow of a user's, with the digest of its text.

        None for a workflow of Slipway's own, where no step has an inverse, and where it is not on record any more.
        """
        own = self.instance.workflow in known_workflows()
        return None if own else build_of(self.tools.store, self.instance)

    @cached_property
    def definition(self) -> Definition:
        """Its workflow, by the text that its build began with. Raises `InvalidFile`, `RecordDamaged`."""
        return definition_of(self.tools.store, self.instance.workflow, self.build)

    @cached_property
    def forward(self) -> Definition:
        """The workflow by which it goes forward: that of the change, where it was built already. Raises as above."""
        return self.definition if self.change is None else change_of_name(self.change.workflow)

    @property
    def changing(self) -> bool:  # type: ignore[override]
        """Whether the instance was built before, and is made another one, or what a change could not take back is."""
        return self.ledger.state.changing or self.ledger.state.powering

    def slots(self, kind: str, number: int) -> Sequence[int]:
        """See `Execution`: of a change behind what the instance has already, but those of what moves stay as they
        are."""
        first = self.change.slot if self.change else 0
        kept = self.change.slots.get(kind) if self.change else None
        return range(first, first + number) if kept is None else kept[:number]

    def seconds_for(self, step: StepDefinition, task: Task) -> float:
        """What the task makes of what the workflow says, or itself, or the settings."""
        given = step.timeout or self.forward.timeout or task.patience or self.tools.settings.step_timeout
        if task.switches and self.change is not None:
            given = self.change.patience or given
        return task.timeout(self.instance, given)

    @cached_property
    def steps(self) -> Mapping[str, StepDefinition]:
        """Those of a user's workflow, by id. Raises as `definition`."""
        if self.build is None:
            return {}
        return {step.id: step for step in (*self.definition.steps, *self.definition.finals)}

    def step_of(self, effect: Effect) -> StepDefinition | None:
        """The step that an effect is of; None for what the instance is made of, which takes itself back."""
        task = BY_KIND.get(effect.kind)
        return None if task is not None and task.vital else self.steps.get(effect.step)

    @cached_property
    def inputs(self) -> Mapping[str, Any]:
        """The values of the inputs besides the instance: their defaults."""
        return {one.name: one.default for one in self.forward.inputs if one.type != "instance"}

    def scope(self, item: Any = None, index: int | str | None = None, result: Any = None) -> Names:
        """What expressions may name just now; an input is the instance."""
        return Names(
            self.outputs,
            self.inputs,
            self.statuses,
            item=item,
            index=index,
            run_id=self.build.id if self.build else "",
            run_name=self.forward.name,
            instance=self.instance,
            result=result,
        )

    def recall(self) -> None:
        """Know the results that are on record, but for those of a text that nobody can read, or of damaged rows."""
        with suppress(errors.InvalidFile, errors.RecordDamaged):
            super().recall()

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
        """The name of this attempt's host, None before one was chosen; of what moves, the one that it goes to."""
        if self.change is not None and self.change.host is not None:
            return self.change.host
        placement, attempt = self._placement or self.placement, self.ledger.attempt
        if placement is None:
            return None
        # Of a damaged row the attempt may be none that there was.
        return placement.hosts[attempt - 1] if 0 < attempt <= len(placement.hosts) else self.instance.host

    @property
    def host(self) -> Host | None:
        """The host of this attempt, None before one was chosen."""
        name = self.host_name
        return self.host_named(name) if name else None

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
        if self.outcome is not None and not self._ends:
            raise errors.AttemptEnded(f"build of {self.instance.name}: another step has failed")

    def work(self, effect: Effect, timeout: float, tx: Any = None, *, back: bool = False) -> BuildWork:
        """What a task is given for one effect, to have it or to take it `back`."""
        deadline = self.tools.monotonic() + timeout
        return BuildWork(
            effect,
            self.info,
            self.tools,
            deadline,
            tx,
            self._check_stopping if back else self._check_waiting,
            partial(self.tell, "step.say", effect.step, effect.slot),
            instance=self.instance,
            host=self.host_of(effect),
            change=self.change,
            again=effect.key in self._begun_before,
            hosts_read=self._hosts,
            # What a worker takes back that was replaced, nobody else would: see `late`.
            fence=_unfenced if back else self.ledger.fence,
        )

    def host_of(self, effect: Effect) -> Host | None:
        """The host on which an effect is, or the one of this attempt."""
        return self.host_named(effect.host) if effect.host else self.host

    def _check_stopping(self) -> None:
        if self._stopping():
            raise errors.BuildInterrupted(f"build of {self.instance.name} stopped before its next step")

    def _check_waiting(self) -> None:
        self.check_going_on()
        if not self._ends:
            self.ledger.check()

    @contextmanager
    def at_its_end(self) -> Iterator[None]:
        """Steps are begun meanwhile whatever was decided."""
        self._ends = True
        try:
            yield
        finally:
            self._ends = False

    def tell(self, type_: str, step: str = "", slot: int = 0, message: str = "", **more: Any) -> None:
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
            self.remember(step, error)
            if self.has_switched:
                self.decide(Outcome.RETIRE)
                return
            wanted = self._decide(error)
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

    @property
    def has_switched(self) -> bool:
        """Whether a change has done what nothing brings back: what fails after that is done with what it replaces."""
        if self.change is None:
            return False
        done = [e for e in self.ledger.effects() if e.run_id == self.instance.run_id and e.state is EffectState.DONE]
        return any(self.kinds[effect.kind].switches for effect in done if effect.kind in self.kinds)

    def _failing(self, step: str, error: Exception, of_host: bool, tx: Transaction) -> None:
        """What is written beside the move to REVERTING."""
        self.failing(step, error, tx)
        if of_host and self.ledger.state.building and self.host_name and not isinstance(error, NO_FAILURE_OF_THE_HOST):
            hosts.build_failed(tx, self.host_name)

    def decide(self, outcome: Outcome) -> None:
        """Have on record what becomes of the instance, before anything is undone for it."""
        moves = outcome is Outcome.RETIRE and self.change is not None and self.change.host is not None
        self.ledger.decide(outcome, **({"host": self.host_name} if moves else {}))
        self.outcome = outcome

    def deleted_meanwhile(self) -> None:
        """Somebody deletes the instance: everything is to be undone, and nothing else counts."""
        self.ledger.refresh()
        self.outcome = Outcome.DELETE
        self.ledger.decide(self.outcome)

    def _decide(self, error: Exception) -> Outcome:
        alternates = len(self.placement.hosts) if self.placement and self.ledger.state.building else 0
        if isinstance(error, errors.AbortBuild) or self.ledger.attempt >= alternates:
            return Outcome.ABORT
        return Outcome.RESCHEDULE

    def remember(self, step: str, error: Exception) -> None:
        """See `Execution`; what fails at the end of a build that succeeds is no fault of its."""
        if self.fault is not None or not self._ends:
            super().remember(step, error)

    @property
    def where_now(self) -> str:
        """On which attempt it is, and on which host."""
        where = f" on {self.host_name}" if self.host_name else ""
        return f"attempt {self.ledger.attempt}{where}, "

    # --- undoing --------------------------------------------------------------------------------------------------

    def keeps(self, effect: Effect) -> bool:
        """Whether it stays although others are undone: on the next host, or in an instance that was changed."""
        match self.outcome:
            case Outcome.RESCHEDULE:
                return effect.scope is Scope.INSTANCE
            case Outcome.RETIRE:
                return self.change is None or self.change.lost or effect.key not in self.change.retired
            case Outcome.ABORT:
                return self.ledger.state.changing and effect.run_id != self.instance.run_id
        return False

    def supersede(self, intent: Intent[Move]) -> None:
        """Take back what the same step made for the instance where it is to be this host's own, as a port whose MAC
        the host dictates. Raises `UndoFailed`: the two must not stand beside each other."""
        key = self.ledger.key(intent)
        for effect in self.ledger.effects(intent.step):
            if effect.slot != intent.slot or effect.key == key or effect.state is EffectState.UNDONE:
                continue
            undo(self, effect)
            self.tried.discard(effect.key)
            if self.halted is not None:
                raise self.halted
            if any(stuck.key == effect.key for stuck in self.ledger.stuck()):
                raise errors.UndoFailed(f"{effect.key} could not be undone, and {key} cannot stand beside it")

    def let_go(self, step: str) -> list[Effect]:
        """What the step was having, which it has no more."""
        keys = [key for key, effect in self.under_way.items() if step in (key, effect.step)]
        return [self.under_way.pop(key) for key in keys]

    def holder(self, effect: Effect) -> Effect | None:
        """A stuck effect that still uses this one: rather one that is stuck by itself than one that is held as well."""
        for stuck in sorted(self.ledger.stuck(), key=lambda effect: effect.held_by is not None):
            task = BY_KIND.get(stuck.kind)
            same_slot = task is None or not task.per_slot or stuck.slot == effect.slot
            same_host = effect.host in (None, stuck.host)
            if task is not None and effect.kind in task.uses and same_slot and same_host and stuck.key != effect.key:
                return stuck
        return None

    def next_attempt(self) -> None:
        """Forget what belongs to the attempt that ended."""
        self.outcome = None
        self.outputs.clear()
        self.statuses.clear()
        self.tried.clear()


def _unfenced(_tx: Transaction) -> None:
    """Whoever has it may."""
