"""The ledger: what was done is on record before it is done, and `perform` and `undo` are the only ways to an effect.

A `Ledger` is one instance, or one run, in the hands of one worker. Every write of its carries the worker's generation,
so that a worker that was replaced is refused (`StaleWorker`); no transaction is open while anything outside our
database is called. Every row that is written bears until when nobody else may take the owner, and no call is begun that
may outlast what was written last.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from enum import Enum, auto
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

import sqlalchemy as sa
from msgspec import Struct
from msgspec.structs import replace

from slipway.errors import StaleWorker, StoreError, UnexpectedState
from slipway.model.record import Effect, EffectState, Fault, Scope
from slipway.states import codec, effects, outbox
from slipway.states.known import Known
from slipway.states.lease import Lease
from slipway.states.store import Store, Transaction
from slipway.texts import named

R = TypeVar("R")
S = TypeVar("S")
M = TypeVar("M")
M_contra = TypeVar("M_contra", contravariant=True)


class Owner(Protocol[S, M_contra]):
    """Whose ledger it is: the row that says who works on it, and that goes from state (`S`) to state by moves (`M`)."""

    @property
    def id(self) -> str:
        """What the keys of its effects begin with."""

    @property
    def names(self) -> tuple[str | None, str | None]:
        """The ids of its instance and of its run, as its effects bear them."""

    @property
    def generation(self) -> int:
        """Which worker's it is: each that takes it over counts one more."""

    @property
    def worker(self) -> str | None:
        """The text of that worker's lease."""

    @property
    def attempt(self) -> int:
        """Which attempt is under way."""

    @property
    def state(self) -> S:
        """Where it stood when it was read."""

    @property
    def guarded(self) -> effects.Guarded:
        """The statements that write its effects."""

    def fence(self, tx: Transaction, *, going_on: bool) -> None:
        """Raise `StaleWorker` where it is another's and, if `going_on`, why nothing more is to be done."""

    def hold(self, tx: Transaction, lease: str) -> None:
        """Write the worker's lease anew. Raises `StaleWorker`."""

    def now(self, tx: Transaction) -> S:
        """Where it stands by the record."""

    def may(self, move: M_contra, state: S) -> bool:
        """Whether a move may come in a state."""

    def advance(
        self, tx: Transaction, state: S, move: M_contra, at: datetime, *, detail: str, values: dict[str, Any] | None
    ) -> S:
        """Move it, by compare-and-swap; gives where to."""

    def decide(self, tx: Transaction, outcome: str) -> None:
        """Record what is to become of it."""


Around: TypeAlias = Callable[[str, str, int], AbstractContextManager[Callable[[str], None]]]
"""What each "step" and "undo" is done in, with its step and slot, where anybody wants to see it; it gives what is told
of a failure that is not raised."""


class Durability(Enum):
    """How a step gets on record."""

    LOCAL = auto()
    """Its effect is rows of our own database: they and `done` are one commit."""
    FOREIGN = auto()
    """Its effect is elsewhere: `intended` is committed before it, `done` after it."""
    RECORDED = auto()
    """It has no effect; its result is committed, since a resume must find the same one."""
    WITH_NEXT = auto()
    """Recorded, in the commit of whatever comes next: before that nothing which lasts can depend on it."""
    PURE = auto()
    """It has no effect and can be repeated: nothing is written."""


class Intent(Struct, Generic[M], frozen=True):
    """What is about to be done: the row to be. `args` is all that its undo will need."""

    step: str
    slot: int
    kind: str
    scope: Scope
    host: str | None
    args: bytes
    timeout: float
    enters: M | None = None
    leads_to: M | None = None
    anyway: bool = False
    """It is to be done at the end as well, whatever came of the rest."""


class _PutOff(Struct, Generic[M], frozen=True):
    """What is to go on record with the next commit; `again`: in place of a row that was undone."""

    done: Effect
    intent: Intent[M]
    columns: dict[str, Any]
    again: bool


class Ledger(Generic[S, M]):
    """The effects of one owner, held by one worker; may be used by several threads of it."""

    def __init__(
        self,
        store: Store,
        owner: Owner[S, M],
        *,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
        step_timeout: float = 120.0,
        grace: float = 60.0,
        known: bool = True,
    ) -> None:
        """`known` False spares the look-up for an owner that was just made.

        The lease covers `step_timeout` seconds from each commit on, and others give it `grace` seconds more: half of
        them are for what is between a commit and the next call.
        """
        self._store = store
        self._clock = clock
        self._monotonic = monotonic
        self._step_timeout = step_timeout
        self._grace = grace
        self._lease = Lease.read(owner.worker) or Lease.begun(0.0, clock=clock, monotonic=monotonic)
        self._held = self._lease.until - self._lease.ahead
        """Until when the lease on record is, by the monotonic clock."""
        self._calls: list[float] = []
        """By when the calls that are under way are to be back."""
        self._put_off: list[_PutOff[M]] = []
        self._lock = threading.RLock()
        self.owner = owner
        self._instance_id, self._run_id = owner.names
        self.generation = owner.generation
        self.attempt = owner.attempt
        self.state = owner.state
        self.around: Around | None = None
        self.moved: Callable[[], None] = lambda: None
        """Called after each commit by which a step entered a phase."""
        self.seal: Callable[[bytes], bytes] = _as_it_is
        self.unseal: Callable[[bytes], bytes] = _as_it_is
        """How results are put on record, and read from it, where there is something secret in them."""
        self._known = Known()
        if known:
            with store.read() as tx:
                self._known = Known(effects.effects_of(tx, owner.id))

    def key(self, intent: Intent[M]) -> str:
        """The effect's key: from its owner and slot, and from attempt and host as well where it belongs to a host."""
        key = f"{self.owner.id}/{intent.step}/{intent.slot}"
        return key if intent.scope is Scope.INSTANCE else f"{key}/{self.attempt}/{intent.host}"

    def effects(self, step: str | None = None) -> Sequence[Effect]:
        """The effects on record, newest first, of one step if wanted."""
        with self._lock:
            return self._known.newest_first(step)

    def stuck(self) -> Sequence[Effect]:
        """What could not be undone, oldest first."""
        return [e for e in reversed(self.effects()) if e.state is EffectState.STUCK]

    # --- doing ----------------------------------------------------------------------------------------------------

    def perform(
        self,
        intent: Intent[M],
        durability: Durability,
        call: Callable[[Effect, Transaction | None], R],
        result_type: type[R],
        columns: Callable[[R], dict[str, Any]] = lambda _: {},
    ) -> R:
        """Have an effect, once: what is `done` gives its recorded result, what is `intended` is done again.

        `columns` gives what goes into the instance's row with the move that the intent leads to.

        Raises what `call` raises, `StaleWorker`, `InstanceDeleting`, and `StoreError` when it could not be recorded.
        """
        effect = self._planned(intent)
        if effect.state is EffectState.DONE and effect.result is not None:
            return codec.decode(self.unseal(effect.result), result_type)
        if self.around is None:
            return self._have(effect, intent, durability, call, columns)
        with self.around("step", intent.step, intent.slot):
            return self._have(effect, intent, durability, call, columns)

    def _have(
        self,
        effect: Effect,
        intent: Intent[M],
        durability: Durability,
        call: Callable[[Effect, Transaction | None], R],
        columns: Callable[[R], dict[str, Any]],
    ) -> R:
        until = self._begin_call(intent.timeout)
        try:
            if durability is Durability.FOREIGN:
                self._intend(effect, intent)
            else:
                self.hold()
            if durability is Durability.LOCAL:
                with self._writing(stepping=True) as tx:
                    result = call(effect, tx)
                    self._keep(self._write_done(tx, effect, intent, self._encoded(result), columns(result), new=True))
                return result
            result = call(effect, None)
        finally:
            self._calls.remove(until)
        if durability is Durability.WITH_NEXT:
            self._remember(effect, intent, self._encoded(result), columns(result))
        elif durability is not Durability.PURE:
            with self._writing(stepping=True) as tx:
                new = durability is Durability.RECORDED
                self._keep(self._write_done(tx, effect, intent, self._encoded(result), columns(result), new=new))
        return result

    def _remember(self, effect: Effect, intent: Intent[M], result: bytes, columns: dict[str, Any]) -> None:
        with self._lock:
            done = self._done(effect, result)
            self._put_off.append(_PutOff(done, intent, columns, self._known.get(effect.key) is not None))
            self._known.put(done)

    def _write_put_off(self, tx: Transaction) -> None:
        for one in self._put_off:
            self._write_recorded(tx, one.done, one.intent, one.columns, again=one.again)

    def _encoded(self, result: Any) -> bytes:
        return self.seal(codec.encode(result))

    def _begin_call(self, seconds: float) -> float:
        """Have it that a call is under way, to be back after so many seconds; gives by when, for its end."""
        until = self._monotonic() + seconds
        self._calls.append(until)
        return until

    def hold(self, seconds: float = 0.0) -> None:
        """Have the lease cover the calls under way and `seconds` from now on, in a commit only where it does not yet.

        Raises `StaleWorker`, `StoreError`.
        """
        until = max([self._monotonic() + seconds, *self._calls])
        if until <= self._held + self._grace / 2:
            return
        with self._lock, self._store.write() as tx:
            lease = replace(self._lease, until=self._lease.ahead + until)
            self.owner.hold(tx, lease.text())
        self._lease, self._held = lease, until

    def _renewed(self) -> datetime:
        """Until when the lease is by what is about to be written."""
        self._held = max([self._monotonic() + self._step_timeout, *self._calls])
        return self._lease.time(self._held)

    def enter(self, event: M) -> None:
        """Enter a phase in a commit of its own, for a step that turns out to have nothing to do."""
        with self._writing(stepping=True) as tx:
            self._advance(tx, event)

    def _planned(self, intent: Intent[M]) -> Effect:
        key = self.key(intent)
        known = self._known.get(key)
        if known is not None and known.state is not EffectState.UNDONE:
            return known
        return Effect(
            key=key,
            instance_id=self._instance_id or "",
            run_id=self._run_id,
            attempt=self.attempt,
            step=intent.step,
            slot=intent.slot,
            kind=intent.kind,
            scope=intent.scope,
            host=intent.host,
            state=EffectState.INTENDED,
            args=intent.args,
            started_at=self._clock(),
        )

    def _intend(self, effect: Effect, intent: Intent[M]) -> None:
        with self._writing(stepping=True) as tx:
            self._enter_phase(tx, intent.enters)
            self._write_new(tx, effect, anyway=intent.anyway)
        self._keep(effect)

    def _write_new(self, tx: Transaction, effect: Effect, *, anyway: bool, again: bool | None = None) -> None:
        of = self.owner.guarded
        update, insert = (of.again_anyway, of.insert_anyway) if anyway else (of.again, of.insert)
        cleared = {"error": None, "held_by": None, "undone_at": None}
        row = {"b_key": effect.key, **cleared, **self._row(effect)}
        there = self._known.get(effect.key) is not None if again is None else again
        self._write(tx, update if there else insert, row, going_on=not anyway)

    def _done(self, effect: Effect, result: bytes) -> Effect:
        now = self._clock()
        return replace(effect, state=EffectState.DONE, result=result, finished_at=now, undone_at=None, error=None)

    def _write_done(
        self, tx: Transaction, effect: Effect, intent: Intent[M], result: bytes, columns: dict[str, Any], *, new: bool
    ) -> Effect:
        done = self._done(effect, result)
        if new:
            self._write_recorded(tx, done, intent, columns)
            return done
        # What was done is recorded even when a delete came meanwhile: its undo needs the result.
        values = {"state": done.state, "result": result, "finished_at": done.finished_at, "deadline": self._renewed()}
        self._write(tx, self.owner.guarded.done, {"b_key": effect.key, **values}, going_on=False)
        self._lead(tx, intent, columns)
        return done

    def _write_recorded(
        self, tx: Transaction, done: Effect, intent: Intent[M], columns: dict[str, Any], *, again: bool | None = None
    ) -> None:
        """An effect that was not on record before it was done, with the phases that it enters and leads to."""
        self._enter_phase(tx, intent.enters)
        self._write_new(tx, done, anyway=intent.anyway, again=again)
        self._lead(tx, intent, columns)

    def _lead(self, tx: Transaction, intent: Intent[M], columns: dict[str, Any]) -> None:
        if intent.leads_to is not None:
            self._advance(tx, intent.leads_to, values=columns)

    def _write(self, tx: Transaction, statement: sa.Executable, values: dict[str, Any], *, going_on: bool) -> None:
        """Write a row if the owner is still ours; the statement itself sees to it. Raises what `fence` raises."""
        held = {"b_owner": self.owner.id, "b_generation": self.generation}
        if tx.execute(statement, {**values, **held}).rowcount != 1:
            self.owner.fence(tx, going_on=going_on)
            raise UnexpectedState(f"the ledger's row {values['b_key']} is not as expected")

    def _row(self, effect: Effect) -> dict[str, Any]:
        return {
            "key": effect.key,
            "instance_id": self._instance_id,
            "run_id": self._run_id,
            "attempt": effect.attempt,
            "step": effect.step,
            "slot": effect.slot,
            "kind": effect.kind,
            "scope": effect.scope,
            "host": effect.host,
            "state": effect.state,
            "args": effect.args,
            "result": effect.result,
            "generation": self.generation,
            "deadline": self._renewed(),
            "started_at": effect.started_at,
            "finished_at": effect.finished_at,
        }

    @contextmanager
    def _writing(self, *, stepping: bool = False) -> Iterator[Transaction]:
        """A transaction that may move the owner; where it is not committed, nothing is remembered of it here.

        What was put off until now is written first.

        `stepping`: it is a step's, which may enter a phase; that is told after the commit.
        """
        before = self.state
        with self._lock, self._known.trying():
            state, held = self.state, self._held
            committed: list[bool] = []
            try:
                with self._store.write() as tx:
                    self._store.after_commit(tx, lambda: committed.append(True))
                    self._write_put_off(tx)
                    yield tx
            except BaseException:
                # What is called after the commit (a network's postcommit) may fail as well: then it was committed.
                if not committed:
                    self.state, self._held = state, held
                    self._known.take_back()
                raise
            finally:
                if committed:
                    self._put_off.clear()
        if stepping and self.state != before:
            self.moved()

    def _keep(self, effect: Effect) -> None:
        with self._lock:
            self._known.put(effect)

    # --- undoing --------------------------------------------------------------------------------------------------

    def undo(
        self,
        effect: Effect,
        durability: Durability,
        call: Callable[[Effect, Transaction | None], None],
        *,
        held_by: Effect | None,
    ) -> Effect:
        """Take an effect back, once, and say on record how that ended; absent is not an error.

        A failure of `call` makes it `stuck`; so does `held_by`, a stuck effect that still uses this one.
        Raises only `StaleWorker` and `StoreError`: then this worker must touch nothing more.
        """
        if effect.state is EffectState.UNDONE:
            return effect
        if self.around is None:
            return self._take_back(effect, durability, call, held_by)
        with self.around("undo", effect.step, effect.slot) as failed:
            after = self._take_back(effect, durability, call, held_by)
            if after.state is EffectState.STUCK:
                failed("stuck")
        return after

    def _take_back(
        self,
        effect: Effect,
        durability: Durability,
        call: Callable[[Effect, Transaction | None], None],
        held_by: Effect | None,
    ) -> Effect:
        try:
            if held_by is not None:
                return self._write_undone(effect, EffectState.STUCK, f"held by {held_by.key}", held_by.key)
            until = self._begin_call(self._step_timeout)
            try:
                self.hold()
                if durability is Durability.LOCAL:
                    with self._writing() as tx:
                        call(effect, tx)
                        undone = self._mark(tx, effect, EffectState.UNDONE, None, None)
                    self._keep(undone)
                    return undone
                if durability is Durability.FOREIGN:
                    call(effect, None)
            finally:
                self._calls.remove(until)
            return self._write_undone(effect, EffectState.UNDONE, None, None)
        except (StaleWorker, StoreError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever a driver raises, the roll-back goes on
            return self._write_undone(effect, EffectState.STUCK, named(error), None)

    def _write_undone(self, effect: Effect, state: EffectState, error: str | None, held_by: str | None) -> Effect:
        with self._writing() as tx:
            undone = self._mark(tx, effect, state, error, held_by)
        self._keep(undone)
        return undone

    def _mark(
        self, tx: Transaction, effect: Effect, state: EffectState, error: str | None, held_by: str | None
    ) -> Effect:
        now = self._clock()
        values = {"state": state, "error": error, "held_by": held_by, "undone_at": now, "deadline": self._renewed()}
        self._write(tx, self.owner.guarded.undone, {"b_key": effect.key, **values}, going_on=False)
        return replace(effect, state=state, error=error, held_by=held_by, undone_at=now)

    def check(self) -> None:
        """Raise `StaleWorker` or `InstanceDeleting` where this worker must do nothing more."""
        with self._store.read() as tx:
            self.owner.fence(tx, going_on=True)

    def refresh(self) -> None:
        """See the owner's state anew, after somebody else may have moved it. Raises `StaleWorker`."""
        with self._lock, self._store.read() as tx:
            self.owner.fence(tx, going_on=False)
            self.state = self.owner.now(tx)
            # It followed from the state that it was in.
            self._put_off.clear()

    # --- events ---------------------------------------------------------------------------------------------------

    def tell(self, tx: Transaction, type_: str, *, step: str, slot: int | None = None, detail: str = "") -> None:
        """Have an event of a step on record with what else `tx` commits."""
        owner = {"run_id": self._run_id, "instance_id": self._instance_id, "attempt": self.attempt}
        outbox.tell(tx, type_, self._clock(), **owner, step=step, slot=slot, detail=detail)

    def note(self, type_: str, *, step: str, slot: int | None = None, detail: str) -> None:
        """Have an event of a step on record in a commit of its own. Raises `StaleWorker`."""
        with self._writing() as tx:
            self.owner.fence(tx, going_on=False)
            self.tell(tx, type_, step=step, slot=slot, detail=detail)

    # --- the owner's state ----------------------------------------------------------------------------------------

    def conclude(
        self,
        event: M,
        *,
        detail: str = "",
        values: dict[str, Any] | None = None,
        fault: Fault | None = None,
        also: Callable[[Transaction], None] | None = None,
    ) -> None:
        """Move the owner, with the columns and rows (`also`) that go with it, in a commit of its own."""
        if fault is not None:
            values = {**(values or {}), "fault": codec.encode(fault)}
        with self._writing() as tx:
            if also is not None:
                also(tx)
            self._advance(tx, event, detail=detail, values=values)

    def decide(self, outcome: str) -> None:
        """Record what is to become of the owner without moving it (a delete has moved it already)."""
        with self._store.write() as tx:
            self.owner.fence(tx, going_on=False)
            self.owner.decide(tx, outcome)

    def _enter_phase(self, tx: Transaction, event: M | None) -> None:
        """Enter a phase where a step begins one; a later item of the same step finds it entered."""
        if event is not None and self.owner.may(event, self.state):
            self._advance(tx, event)

    def _advance(self, tx: Transaction, event: M, *, detail: str = "", values: dict[str, Any] | None = None) -> None:
        self.state = self.owner.advance(tx, self.state, event, self._clock(), detail=detail, values=values)


def _as_it_is(data: bytes) -> bytes:
    return data
