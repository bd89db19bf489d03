"""What is carried out in one worker's hands: where it stands, what its steps gave, and what is undone."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from slipway.flows.definition import Definition, StepDefinition
from slipway.flows.runs.sealing import Seal
from slipway.flows.tasks.base import RunInfo, Task, Tools, Work
from slipway.flows.values import SUCCEEDED, Scope
from slipway.model.record import Effect, EffectState, Event, Fault
from slipway.model.request import Host
from slipway.model.run import FAILED_STEP, NOTES
from slipway.states import codec
from slipway.states.ledger import Ledger
from slipway.states.store import Transaction
from slipway.texts import named, said

S = TypeVar("S")
M = TypeVar("M")

FAILED, SKIPPED = "failed", "skipped"


class Execution(ABC, Generic[S, M]):
    """What the steps of a workflow share while one worker has the run: a run of its own, or an instance's build."""

    under_way: dict[str, Effect] | None = None
    """What is being had outside our database, by key, where that is taken back if it comes too late."""
    text_may_change = False
    """Whether it may go on by another text than it began with."""
    told: frozenset[str] = frozenset()
    """The steps of whose ends whoever listened has been told before."""

    changing: bool = False
    """Whether it changes what was built before, so that what a change does in passing is to be taken back."""

    def __init__(
        self,
        ledger: Ledger[S, M],
        tools: Tools,
        info: RunInfo,
        catalog: Mapping[str, Task],
        kinds: Mapping[str, Task],
        *,
        fault: Fault | None,
        notify: Callable[[Event], None],
        stopping: Callable[[], bool],
        seal: Seal = Seal({}),  # noqa: B008 - it never changes
    ) -> None:
        """`catalog`: what its steps use, by name; `kinds`: the same by kind. `stopping` true: no further step is begun;
        `notify` is told what happens."""
        self.ledger = ledger
        self.tools = tools
        self.info = info
        self.catalog = catalog
        self.kinds = kinds
        self.fault = fault
        self.seal = seal
        self.has_secrets = bool(seal)
        self.outputs: dict[str, Any] = {}
        self.statuses: dict[str, str] = {}
        self.halted: Exception | None = None
        self.tried: set[str] = set()
        """What this roll-back has tried to undo, by key."""
        self._notify = notify
        self._stopping = stopping
        self._lock = threading.Lock()

    # --- where it stands ------------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def definition(self) -> Definition:
        """Its workflow."""

    @property
    def host(self) -> Host | None:
        """The host on which an instance is being built, where one is."""
        return None

    def slots(self, kind: str, number: int) -> Sequence[int]:
        """The slots of so many effects of a kind that a step makes."""
        return range(number)

    @abstractmethod
    def seconds_for(self, step: StepDefinition, task: Task) -> float:
        """How long one effect of a step may take, whose task that is."""

    @property
    @abstractmethod
    def steps(self) -> Mapping[str, StepDefinition]:
        """All of the workflow's, by id."""

    @abstractmethod
    def scope(self, item: Any = None, index: int | str | None = None, result: Any = None) -> Scope:
        """What expressions may name just now."""

    def step_of(self, effect: Effect) -> StepDefinition | None:
        """The step that an effect is of, by which it may have an inverse."""
        return self.steps.get(effect.step)

    def ended(self, step: str, status: str, outputs: Any = None) -> None:
        """Have it that a step has ended so, with what it gave."""
        self.outputs[step], self.statuses[step] = outputs, status

    def recall(self) -> None:
        """Know the results of the steps that are on record, for what is undone, or done at the end, by them."""
        for step in self.steps.values():
            if step.id in self.statuses:
                continue
            effects = sorted(self.ledger.effects(step.id), key=lambda e: (e.slot, e.state is EffectState.UNDONE))
            # Of a slot the newest alone counts: on each host that was tried there may have been one.
            newest = {effect.slot: effect for effect in reversed(effects)}
            found = [newest[slot] for slot in sorted(newest) if newest[slot].kind not in NOTES]
            given = [self.result_of(effect) for effect in found if effect.result]
            if any(effect.kind == FAILED_STEP and self._stood(effect) for effect in effects):
                self.ended(step.id, FAILED)
            elif given:
                self.ended(step.id, SUCCEEDED, given if step.for_each is not None else given[0])
            else:
                self.ended(step.id, SKIPPED)

    def _stood(self, effect: Effect) -> bool:
        """Whether it stands, or did in this attempt until all was undone."""
        return effect.state is EffectState.DONE or effect.attempt == self.ledger.attempt

    def result_of(self, effect: Effect) -> Any:
        """What an effect gave, None where that is not on record."""
        task = self.kinds.get(effect.kind)
        return codec.decode(self.seal.unseal(effect.result), task.result_type) if task and effect.result else None

    @abstractmethod
    def check_going_on(self) -> None:
        """Raise where no further step is to be begun."""

    @abstractmethod
    def work(self, effect: Effect, timeout: float, tx: Any = None, *, back: bool = False) -> Work:
        """What a task is given for one effect, to have it or to take it `back`."""

    def rest(self, seconds: float) -> None:
        """Wait before a call is tried again, with a lease for that and for the call. Raises `StaleWorker`."""
        self.ledger.hold(seconds + self.tools.settings.step_timeout)
        self.tools.sleep(seconds)

    @abstractmethod
    def tell(self, type_: str, step: str = "", slot: int = 0, message: str = "") -> None:
        """Announce something, without secrets. A listener that fails is logged and never fails the run."""

    # --- when a step fails ----------------------------------------------------------------------------------------

    def tries_again(self, step: str, slot: int, error: Exception, seconds: float) -> None:
        """Have it on record that a step failed in passing. Raises `StaleWorker`, a `StoreError`."""
        self.ledger.note("step.retry", step=step, slot=slot, detail=f"again in {seconds:g} s: {self.named(error)}")

    def remember(self, step: str, error: Exception) -> None:
        """Keep the first error; later ones are added to it and never put in its place."""
        if self.fault is None:
            self.fault = Fault(type(error).__name__, self.seal.mask(said(error)), step, self.tools.clock())
            return
        old, later = self.fault, f"{self.where_now}{step}: {self.named(error)}"
        self.fault = Fault(old.type, old.message, old.step, old.at, (*old.later, later))

    @property
    def where_now(self) -> str:
        """What stands before the step of a later error."""
        return ""

    def named(self, error: Exception) -> str:
        """An error in words, without secrets."""
        return self.seal.mask(named(error))

    @abstractmethod
    def failed(self, step: str, error: Exception) -> None:
        """Record why all is undone before anything is. The first error is the cause; a later one changes nothing."""

    def failing(self, step: str, error: Exception, tx: Transaction) -> None:
        """What is written of an error beside what becomes of the run."""
        self.ledger.tell(tx, "step.error", step=step, detail=self.named(error))

    # --- how it is undone -----------------------------------------------------------------------------------------

    def keeps(self, effect: Effect) -> bool:
        """Whether an effect is to stay though others are undone."""
        return False

    def host_of(self, effect: Effect) -> Host | None:
        """The host on which an effect is undone, where it is done on one."""
        return None

    def holder(self, effect: Effect) -> Effect | None:
        """A stuck effect that still uses this one, which so must stay."""
        return None
