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
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from msgspec.structs import replace

from slipway.errors import HostElsewhere, StaleWorker, StoreError, UnexpectedState
from slipway.model.record import Effect, EffectState, Fault
from slipway.states import codec, effects, outbox
from slipway.states.hold import Hold
from slipway.states.intent import Around, Durability, Intent, PutOff, as_it_is
from slipway.states.known import Known
from slipway.states.owner import Owner
from slipway.states.store import Store, Transaction
from slipway.texts import named

R = TypeVar("R")
S = TypeVar("S")
M = TypeVar("M")


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
        """`known` False spares the look-up for an owner that was just made; `step_timeout`, `grace`: see `Hold`."""
        self._store = store
        self._clock = clock
        self._hold = Hold(owner.worker, clock=clock, monotonic=monotonic, step_timeout=step_timeout, grace=grace)
        self._put_off: list[PutOff[M]] = []
        self._lock = threading.RLock()
        self.owner = owner
        self._instance_id, self._run_id = owner.names
        self.generation = owner.generation
        self.attempt = owner.attempt
        self.state = owner.state
        self.around: Around | None = None
        self.moved: Callable[[], None] = lambda: None
        """Called after each commit by which a step entered a phase."""
        self.seal: Callable[[bytes], bytes] = as_it_is
        self.unseal: Callable[[bytes], bytes] = as_it_is
        """How results are put on record, and read from it, where there is something secret in them."""
        self._known = Known()
        if known:
            with store.read() as tx:
                self._known = Known(effects.effects_of(tx, owner.id))

    def key(self, intent: Intent[M]) -> str:
        """The effect's key: from its owner and slot, and from attempt and host as well where it belongs to a host."""
        return effects.key_of(self.owner.id, intent.step, intent.slot, intent.scope, self.attempt, intent.host)

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
        with self._hold.call(intent.timeout):
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
        if durability is Durability.WITH_NEXT:
            self._remember(effect, intent, self._encoded(result), columns(result))
        elif durability is not Durability.PURE:
            with self._writing(stepping=True, row=intent) as tx:
                new = durability is Durability.RECORDED
                self._keep(self._write_done(tx, effect, intent, self._encoded(result), columns(result), new=new))
        return result

    def _remember(self, effect: Effect, intent: Intent[M], result: bytes, columns: dict[str, Any]) -> None:
        with self._lock:
            done = self._done(effect, result)
            self._put_off.append(PutOff(done, intent, columns, self._known.get(effect.key) is not None))
            self._known.put(done)

    def _write_put_off(self, tx: Transaction) -> None:
        for one in self._put_off:
            self._write_recorded(tx, one.done, one.intent, one.columns, again=one.again)

    def _encoded(self, result: Any) -> bytes:
        return self.seal(codec.encode(result))

    def hold(self, seconds: float = 0.0) -> None:
        """Have the lease cover the calls under way and `seconds` from now on, in a commit only where it does not yet.

        Raises `StaleWorker`, `StoreError`.
        """
        lease = self._hold.longer(seconds)
        if lease is not None:
            with self._lock, self._store.write() as tx:
                self.owner.hold(tx, lease.text())
            self._hold.written(lease)

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
        with self._writing(stepping=True, row=intent) as tx:
            self._enter_phase(tx, intent.enters)
            self._write_new(tx, effect, anyway=intent.anyway)
        self._keep(effect)

    def _write_new(self, tx: Transaction, effect: Effect, *, anyway: bool, again: bool | None = None) -> None:
        of = self.owner.guarded
        update, insert = (of.again_anyway, of.insert_anyway) if anyway else (of.again, of.insert)
        cleared = {"error": None, "held_by": None, "undone_at": None}
        row = {"b_key": effect.key, **cleared, **effects.row_of(effect, self.generation, self._hold.renewed())}
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
        values = {
            "state": done.state,
            "result": result,
            "finished_at": done.finished_at,
            "deadline": self._hold.renewed(),
        }
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

    @contextmanager
    def _writing(self, *, stepping: bool = False, row: Intent[M] | None = None) -> Iterator[Transaction]:
        """A transaction that may move the owner; where it is not committed, nothing is remembered of it here.

        What was put off until now is written first.

        `stepping`: it is a step's, which may enter a phase; that is told after the commit. `row`: nothing is written
        but that effect's row, and the phases that it enters and leads to.
        """
        before = self.state
        with self._lock, self._known.trying():
            state, held = self.state, self._hold.until
            committed: list[bool] = []
            try:
                with self._store.write(once=row is not None and self._is_all(row)) as tx:
                    self._store.after_commit(tx, lambda: committed.append(True))
                    self._write_put_off(tx)
                    yield tx
            except BaseException:
                # What is called after the commit (a network's postcommit) may fail as well: then it was committed.
                if not committed:
                    self.state, self._hold.until = state, held
                    self._known.take_back()
                raise
            finally:
                if committed:
                    self._put_off.clear()
        if stepping and self.state != before:
            self.moved()

    def _is_all(self, row: Intent[M]) -> bool:
        """Whether a row of the ledger is all that is to be written just now."""
        return not self._put_off and row.leads_to is None and not self._enters(row.enters)

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
            with self._hold.call():
                self.hold()
                if durability is Durability.LOCAL:
                    with self._writing() as tx:
                        call(effect, tx)
                        undone = self._mark(tx, effect, EffectState.UNDONE, None, None)
                    self._keep(undone)
                    return undone
                if durability is Durability.FOREIGN:
                    call(effect, None)
            return self._write_undone(effect, EffectState.UNDONE, None, None)
        except (StaleWorker, StoreError, HostElsewhere):
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
        values = {
            "state": state,
            "error": error,
            "held_by": held_by,
            "undone_at": now,
            "deadline": self._hold.renewed(),
        }
        self._write(tx, self.owner.guarded.undone, {"b_key": effect.key, **values}, going_on=False)
        return replace(effect, state=state, error=error, held_by=held_by, undone_at=now)

    def amend(self, changed: Sequence[Effect]) -> None:
        """Write anew, in one commit, the arguments and results of effects that stand: what they name was made anew.

        Raises `StaleWorker`, `InstanceDeleting`.
        """
        with self._writing() as tx:
            self.owner.fence(tx, going_on=True)
            for effect in changed:
                effects.amend(tx, effect)
                self._known.put(effect)

    def adopt(self, intent: Intent[M]) -> None:
        """Have an effect on record that is there already, though nobody knows what it gave: an undo takes it away.

        Raises `StaleWorker`, `InstanceDeleting`.
        """
        there = replace(self._planned(intent), state=EffectState.DONE, finished_at=self._clock())
        with self._writing() as tx:
            self._write_new(tx, there, anyway=False)
            self._known.put(there)

    def check(self) -> None:
        """Raise `StaleWorker` or `InstanceDeleting` where this worker must do nothing more."""
        with self._store.read() as tx:
            self.owner.fence(tx, going_on=True)

    def fence(self, tx: Transaction) -> None:
        """Within a transaction that begins what this worker does by another ledger: raise `StaleWorker` where it was
        replaced, and have nobody replace it before that is on record."""
        self.owner.hold(tx, self._hold.text)

    def refresh(self) -> None:
        """See the owner's state anew, after somebody else may have moved it. Raises `StaleWorker`."""
        with self._lock, self._store.read() as tx:
            self.owner.fence(tx, going_on=False)
            self.state = self.owner.now(tx)
            # It followed from the state that it was in.
            self._put_off.clear()

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

    def decide(self, outcome: str, **values: Any) -> None:
        """Record what is to become of the owner, with columns, without moving it (a delete has moved it already)."""
        with self._store.write() as tx:
            self.owner.fence(tx, going_on=False)
            self.owner.decide(tx, outcome, **values)

    def _enter_phase(self, tx: Transaction, event: M | None) -> None:
        """Enter a phase where a step begins one; a later item of the same step finds it entered."""
        if event is not None and self._enters(event):
            self._advance(tx, event)

    def _enters(self, event: M | None) -> bool:
        return event is not None and self.owner.may(event, self.state)

    def _advance(self, tx: Transaction, event: M, *, detail: str = "", values: dict[str, Any] | None = None) -> None:
        self.state = self.owner.advance(tx, self.state, event, self._clock(), detail=detail, values=values)
