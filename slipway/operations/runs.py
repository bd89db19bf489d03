"""Runs of workflows: begun, gone on with, undone, and looked at, by whichever worker may."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

from slipway import errors
from slipway.flows.definition import Definition
from slipway.flows.runs.conductor import RunConductor
from slipway.flows.runs.holding import lease, take
from slipway.flows.runs.prepared import NOTHING, Given, Prepared, as_given, check_allowed, prepare, recalled
from slipway.flows.runs.sealing import Seal
from slipway.flows.runs.workflow_run import Ending
from slipway.flows.tasks.base import Tools
from slipway.model.record import Effect, Event, Fault, RecordedEvent
from slipway.model.run import RunRecord
from slipway.operations.carried import carry_out
from slipway.operations.handle import RunHandle
from slipway.operations.limits import check_count, check_seconds
from slipway.operations.needs import corrected, secrets_again, usable
from slipway.operations.pruning import prune
from slipway.operations.rebuild import Builds
from slipway.operations.refusals import instead, tried_again, why
from slipway.states import codec, effects, outbox, runs
from slipway.states.held import lock
from slipway.states.run_machine import TABLE, RunMove, RunState

if TYPE_CHECKING:
    from slipway.operations.posting import PostingRuns

Listener = Callable[[Event], None]

_MOST_TRIES = 20
"""How often a run is looked at anew that others move meanwhile."""


def _nobody(_event: Event) -> None:
    """Listens to nothing."""


def _never() -> bool:
    return False


class Runs:
    """Every run is held by one worker at a time, as an instance is; what a crash left goes on with `resume`."""

    def __init__(
        self,
        tools: Tools,
        conductor: RunConductor | PostingRuns,
        builds: Builds,
        *,
        rng: random.Random,
        project: str = "default",
        asked_by: str = "",
    ) -> None:
        """`builds` sees to the runs of instances; `asked_by`: who is on record as having begun them."""
        self._tools = tools
        self._conductor = conductor
        self._builds = builds
        self._rng = rng
        self._project = project
        self._asked_by = asked_by

    # --- beginning ------------------------------------------------------------------------------------------------

    def run(
        self,
        workflow: str,
        inputs: Mapping[str, Any] | Given = NOTHING,
        *,
        project: str | None = None,
        idempotency_key: str | None = None,
        on_event: Listener = _nobody,
        stopping: Callable[[], bool] = _never,
    ) -> RunRecord:
        """Carry out a workflow, by its path, to its end, or until somebody must say that it goes on.

        It waits here where the run waits for a time; a failed run is given back, not raised. The same request with the
        same idempotency key is the same run, which is gone on with. Raises `InvalidFile`, `InvalidRequest` for its
        inputs, `CommandsNotAllowed`, `IdempotencyKeyReused`; `BuildInterrupted` when it was stopped before: `resume`
        goes on.
        """
        run, prepared = self._begin(workflow, inputs, project, idempotency_key)
        if prepared is not None:
            self._work(run, on_event, stopping, new=prepared)
        return self.wait(run.id, on_event=on_event, stopping=stopping)

    def start(
        self,
        workflow: str,
        inputs: Mapping[str, Any] | Given = NOTHING,
        *,
        executor: Executor,
        project: str | None = None,
        idempotency_key: str | None = None,
        on_event: Listener = _nobody,
        stopping: Callable[[], bool] = _never,
    ) -> RunHandle:
        """The same in an executor, of which a run takes a thread while it goes on or waits for a time.

        What is wrong with it is raised at once.
        """
        run, prepared = self._begin(workflow, inputs, project, idempotency_key)

        def work() -> RunRecord:
            if prepared is not None:
                self._work(run, on_event, stopping, new=prepared)
            return self.wait(run.id, on_event=on_event, stopping=stopping)

        return RunHandle(
            run.id,
            executor.submit(work),
            look=lambda: self.get(run.id),
            cancel=lambda: self.ask_to_cancel(run.id),
            events=lambda after: self.events(run.id, after=after),
        )

    def _begin(
        self, workflow: str, inputs: Mapping[str, Any] | Given, project: str | None, idempotency_key: str | None
    ) -> tuple[RunRecord, Prepared | None]:
        """Put a run on record, held by this process, with what it goes by; None for one that was begun before."""
        prepared = prepare(workflow, as_given(inputs))
        check_allowed(prepared, self._tools)
        project = project or self._project
        try:
            return self._put_on_record(prepared, project, idempotency_key)
        except errors.RunExists:
            # On PostgreSQL another one with the same key may have come between.
            return self._put_on_record(prepared, project, idempotency_key)

    def _put_on_record(
        self, prepared: Prepared, project: str, idempotency_key: str | None
    ) -> tuple[RunRecord, Prepared | None]:
        with self._tools.store.write() as tx:
            earlier = runs.find_by_key(tx, project, idempotency_key)
            if earlier is not None:
                if earlier.request_digest != prepared.request_digest:
                    text = (
                        f"idempotency key {idempotency_key} was used for another request, which made run {earlier.id}"
                    )
                    raise errors.IdempotencyKeyReused(f"{text}; take a new key")
                return earlier, None
            run = RunRecord(
                id=str(uuid.UUID(int=self._rng.getrandbits(128), version=4)),
                workflow=prepared.path,
                name=prepared.definition.name,
                digest=prepared.digest,
                project=project,
                state=RunState.RUNNING.value,
                generation=1,
                attempt=1,
                inputs=prepared.kept_inputs,
                created_at=self._tools.clock(),
                worker=lease(tx, self._tools),
                idempotency_key=idempotency_key,
                request_digest=prepared.request_digest,
                asked_by=Seal(prepared.secrets).mask(self._asked_by),
                secrets=prepared.kept_secrets,
            )
            runs.keep_texts(tx, prepared.digest, prepared.texts)
            runs.create(tx, run)
        return run, prepared

    def wait(
        self,
        run_id: str,
        *,
        timeout: float | None = None,
        on_event: Listener = _nobody,
        stopping: Callable[[], bool] = _never,
    ) -> RunRecord:
        """The run once it is at its end or waits for somebody. It is gone on with here where its worker is gone or its
        time has come, and waited for otherwise, at most `timeout` seconds: then raises `RunBusy`."""
        check_seconds("the time-out", timeout)
        began = self._tools.monotonic()
        while True:
            run = self.get(run_id)
            if RunState(run.state).has_ended or (run.state == RunState.PAUSED and run.wake_at is None):
                return run
            taken = take(self._tools, run.id) if run.instance_id is None else None
            if taken is not None:
                self._work(taken, on_event, stopping)
                continue
            if stopping():
                raise errors.BuildInterrupted(f"run {run.id} is {run.state} and goes on with resume")
            if timeout is not None and self._tools.monotonic() - began >= timeout:
                raise errors.RunBusy(f"run {run.id} is {run.state}: {why(run)}")
            self._tools.sleep(self._tools.settings.poll_interval)

    def resume(self, *, on_event: Listener = _nobody, stopping: Callable[[], bool] = _never) -> tuple[RunRecord, ...]:
        """Go on with every run whose worker is gone, and with those whose time has come; gives how each stands then.

        Raises `InvalidFile` for a run whose tasks are not here, and `CommandsNotAllowed`, when all others are at rest.
        """
        with self._tools.store.read() as tx:
            waiting = runs.listed(tx, unfinished=True)
        unfinished = [run.id for run in waiting if run.parent_id is None and run.instance_id is None]
        rested = []
        refused: list[errors.SlipwayError] = []
        for run_id in unfinished:
            if stopping():
                break
            try:
                if (run := self.go_on(run_id, on_event=on_event, stopping=stopping)) is not None:
                    rested.append(run)
            except (errors.InvalidFile, errors.RecordDamaged, errors.CommandsNotAllowed) as error:
                refused.append(error)
        if refused:
            raise refused[0]
        return tuple(rested)

    def go_on(self, run_id: str, *, on_event: Listener, stopping: Callable[[], bool]) -> RunRecord | None:
        """Go on with one run, as `resume` does; None where it has ended, waits, or somebody is at it."""
        taken = take(self._tools, run_id)
        return None if taken is None else self._work(taken, on_event, stopping)

    # --- what a person says ---------------------------------------------------------------------------------------

    def cancel(
        self,
        run_id: str,
        *,
        timeout: float | None = None,
        on_event: Listener = _nobody,
        stopping: Callable[[], bool] = _never,
    ) -> RunRecord:
        """Undo what a run did, and end it. A live worker does so at its next step, and is waited for.

        Raises `RunRefused` for one that has ended, `RunBusy`.
        """
        if (run := self.get(run_id)).instance_id is not None:
            return self._builds.cancel(run, on_event, timeout)
        self.ask_to_cancel(run.id)
        return self.wait(run.id, timeout=timeout, on_event=on_event, stopping=stopping)

    def ask_to_cancel(self, run_id: str) -> None:
        """The same without waiting for it: who is at the run undoes it, or `resume`. Raises `RunRefused`."""
        if (run := self.get(run_id)).instance_id is not None:
            self._builds.ask_to_cancel(run)
            return
        values = {"outcome": Ending.CANCELLED.value, "wake_at": None, "waits_for": None, "waits_at": None}
        self._move(run.id, RunMove.CANCEL, values, "has ended: there is nothing to cancel")

    def undo(
        self,
        run_id: str,
        secrets: Mapping[str, Any] | Given = NOTHING,
        *,
        on_event: Listener = _nobody,
        stopping: Callable[[], bool] = _never,
    ) -> RunRecord:
        """Take back what a run left standing that succeeded, or what was stuck.

        `secrets`: those of its inputs that this takes, which are not kept beyond its end. Raises `SecretGone` where one
        is missing, `InvalidRequest` for other inputs, and `RunRefused` for a run that left nothing standing.
        """
        if (run := self.get(run_id)).instance_id is not None:
            return self._builds.undo(run, on_event)
        values = {"outcome": Ending.CANCELLED.value, **secrets_again(self._tools, run, as_given(secrets))}
        self._move(run.id, RunMove.UNDO, values, "left nothing standing: only what succeeded or is stuck is undone")
        return self.wait(run.id, on_event=on_event, stopping=stopping)

    def approve(self, run_id: str, *, on_event: Listener = _nobody, stopping: Callable[[], bool] = _never) -> RunRecord:
        """Have a run go on that waits for somebody's word. Raises `RunRefused` for one that does not."""
        self._answer(run_id, RunMove.GO_ON, {"answer": "approved"})
        return self.wait(run_id, on_event=on_event, stopping=stopping)

    def reject(
        self,
        run_id: str,
        reason: str = "",
        *,
        on_event: Listener = _nobody,
        stopping: Callable[[], bool] = _never,
    ) -> RunRecord:
        """Have a run undone that waits for somebody's word. Raises `RunRefused` for one that does not."""
        said = f"it was rejected: {reason}" if reason else "it was rejected"
        fault = Fault(errors.RunRejected.__name__, said, "", self._tools.clock())
        self._answer(run_id, RunMove.FAIL, {"outcome": Ending.FAILED.value, "answer": "rejected"}, fault)
        return self.wait(run_id, on_event=on_event, stopping=stopping)

    def retry(
        self,
        run_id: str,
        inputs: Mapping[str, Any] | Given = NOTHING,
        *,
        workflow: str | None = None,
        on_event: Listener = _nobody,
        stopping: Callable[[], bool] = _never,
    ) -> RunRecord:
        """Have a run go on that failed, from the step that failed, with corrected `inputs`, or text (a path).

        Those inputs that are not given stay; secrets of a run that had ended are given anew. Raises `RunRefused` where
        it has not failed, or where the new text has not the steps that are done.
        """
        run = self.get(run_id)
        if run.instance_id is not None:
            return self._builds.retry(run, on_event, stopping)
        move, values = tried_again(run)
        changed = corrected(self._tools, run, as_given(inputs), workflow)
        with self._tools.store.write() as tx:
            lock(tx, "run", run.id)
            if (now := runs.get(tx, run.id)).state != run.state or now.generation != run.generation:
                raise errors.RunRefused(f"run {run.id} is {now.state}: somebody else has had it go on")
            if changed is not None:
                check_allowed(changed, self._tools)
                runs.keep_texts(tx, changed.digest, changed.texts)
                values |= {"digest": changed.digest, "inputs": changed.kept_inputs, "secrets": changed.kept_secrets}
            else:
                usable(self._tools, tx, run)
            if move is RunMove.RETRY:
                effects.forget_standing(tx, run.id)
            runs.advance(tx, run.id, run.generation, RunState(run.state), move, self._tools.clock(), values=values)
        return self.wait(run_id, on_event=on_event, stopping=stopping)

    def prune(self, *, older_than: float) -> Sequence[RunRecord]:
        """Take runs off the record that ended more than so many seconds ago and have nothing standing; gives which."""
        return prune(self._tools, older_than=older_than)

    # --- looking --------------------------------------------------------------------------------------------------

    def list(self, *, project: str | None = None, unfinished: bool = False) -> Sequence[RunRecord]:
        """All runs, oldest first."""
        with self._tools.store.read() as tx:
            return runs.listed(tx, project=project, unfinished=unfinished)

    def get(self, run_id: str) -> RunRecord:
        """One run, by its id or the beginning of it. Raises `RunNotFound`."""
        with self._tools.store.read(once=True) as tx:
            return runs.get(tx, run_id)

    def effects(self, run_id: str) -> Sequence[Effect]:
        """What the steps of a run did, oldest first. Raises `RunNotFound`."""
        with self._tools.store.read() as tx:
            run = runs.get(tx, run_id)
            found = effects.effects_of(tx, run.instance_id or run.id)
        return [effect for effect in found if effect.run_id == run.id]

    def definition(self, run_id: str) -> Definition:
        """The workflow that a run goes by, by the text that it began with. Raises `RunNotFound`, `InvalidFile`."""
        run = self.get(run_id)
        if run.instance_id is not None:
            return self._builds.definition(run)
        with self._tools.store.read() as tx:
            texts = runs.texts_of(tx, run.digest)
        return recalled(run, texts).definition

    def events(self, run_id: str, *, after: int = 0) -> Sequence[RecordedEvent]:
        """A run's moves and steps on record beyond the event of that number, oldest first. Raises `RunNotFound`."""
        check_count("after", after)
        return outbox.after(self._tools.store, after, run_id=self.get(run_id).id)

    # --- how it goes on -------------------------------------------------------------------------------------------

    def _work(
        self, run: RunRecord, on_event: Listener, stopping: Callable[[], bool], *, new: Prepared | None = None
    ) -> RunRecord:
        """Bring a run to rest that is held; `new`: what one goes by of which nothing but its row is on record."""
        return carry_out(self._conductor, self._tools, run, new, on_event, stopping)

    def _move(self, run_id: str, move: RunMove, values: Mapping[str, Any], refusal: str) -> None:
        """Move a run whoever has it; its worker, if it lives, sees so at its next step."""
        for _ in range(_MOST_TRIES):
            with self._tools.store.write() as tx:
                run = runs.get(tx, run_id)
                state = RunState(run.state)
                if move is RunMove.CANCEL and state is RunState.REVERTING:
                    return
                if not TABLE.may(move, state):
                    raise errors.RunRefused(f"run {run.id} is {state} and {refusal}")
                if not state.at_work:
                    usable(self._tools, tx, run)
                try:
                    at = self._tools.clock()
                    runs.advance(tx, run.id, run.generation, state, move, at, values=dict(values))
                except (errors.UnexpectedState, errors.StaleWorker, errors.RunCancelled):
                    continue
                return
        raise errors.RunBusy(f"run {run_id} was moved by others {_MOST_TRIES} times in a row")

    def _answer(self, run_id: str, move: RunMove, values: dict[str, Any], fault: Fault | None = None) -> None:
        run_id = self.get(run_id).id
        with self._tools.store.write() as tx:
            lock(tx, "run", run_id)
            run = runs.get(tx, run_id)
            if run.state != RunState.PAUSED or run.waits_at is None or run.wake_at is not None:
                raise errors.RunRefused(f"run {run.id} is {run.state} and waits for nobody's word{instead(run)}")
            usable(self._tools, tx, run)
            if fault is not None:
                values = {**values, "fault": codec.encode(fault)}
            values, at = {**values, "waits_for": None}, self._tools.clock()
            detail = fault.message if fault is not None else ""
            runs.advance(tx, run.id, run.generation, RunState.PAUSED, move, at, detail=detail, values=values)
