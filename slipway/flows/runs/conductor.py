"""Brings a run to rest: forward by its steps, back by its ledger, or on from a crash."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from functools import partial
from typing import Any

from slipway import errors
from slipway.flows.runs.child import SubWorkflow
from slipway.flows.runs.prepared import Prepared
from slipway.flows.runs.run_step import RunStep
from slipway.flows.runs.step import carry_out_finals
from slipway.flows.runs.undoing import undo
from slipway.flows.runs.workflow_run import Ending, WorkflowRun
from slipway.flows.tasks.base import Task, Tools
from slipway.flows.values import resolve_all
from slipway.model.record import Event
from slipway.model.run import RunRecord
from slipway.states import codec, runs
from slipway.states.held import hold
from slipway.states.ledger import Ledger
from slipway.states.run_machine import RunMove, RunState
from slipway.states.run_owner import RunOwner


class RunConductor:
    """Carries out runs that its caller holds. Starts no thread."""

    def __init__(self, tools: Tools, catalog: Mapping[str, Task], *, executor: Executor | None = None) -> None:
        """With an `executor` what is independent in a run is done side by side in it."""
        self.tools = tools
        self._catalog = catalog
        self._executor = executor

    def bring_to_rest(
        self,
        run: RunRecord,
        prepared: Prepared,
        *,
        notify: Callable[[Event], None] = lambda _event: None,
        stopping: Callable[[], bool] = lambda: False,
        new: bool = False,
    ) -> RunRecord:
        """Have the run at its end, or paused; gives it as it is then.

        `new`: nothing of it is on record but its row. Raises `BuildInterrupted` when it was stopped before, or when the
        record could not be written: then it can be gone on with, here or elsewhere.
        """
        tools = self.tools
        ledger = Ledger(
            tools.store,
            RunOwner(run),
            clock=tools.clock,
            monotonic=tools.monotonic,
            step_timeout=tools.settings.step_timeout,
            grace=tools.settings.takeover_grace,
            known=not new,
        )
        catalog = {**self._catalog, **self._parts(prepared, notify)}
        execution = WorkflowRun(run, prepared, ledger, tools, catalog, notify=notify, stopping=stopping)
        about = {"slipway.run.id": run.id, "slipway.run.name": run.name}
        with tools.traced(f"run {run.name}", about) as ledger.around:
            self._to_rest(execution, new=new)
        if ledger.state.has_ended and prepared.secrets and run.parent_id is None:
            tools.store.scrub()
        with tools.store.read(once=True) as tx:
            rested = runs.get(tx, run.id)
        execution.tell("run.end" if ledger.state.has_ended else "run.state", message=rested.waits_for or "")
        return rested

    def _to_rest(self, execution: WorkflowRun, *, new: bool) -> None:
        ledger = execution.ledger
        try:
            execution.tell("run.start" if new else "run.state")
            while ledger.state.at_work and not execution.paused:
                if ledger.state is RunState.RUNNING:
                    self._forward(execution)
                else:
                    self._back(execution)
        except (errors.StaleWorker, errors.StoreError, errors.UnexpectedState) as error:
            raise errors.BuildInterrupted(str(error)) from error
        except errors.HostElsewhere as error:
            raise errors.GoesOnElsewhere(error.host) from error
        except errors.BuildInterrupted:
            if not execution.paused:
                raise
        finally:
            self._leave(execution)

    def _parts(self, prepared: Prepared, notify: Callable[[Event], None]) -> Mapping[str, Task]:
        """The workflows that steps use, as tasks."""

        def carry_out(run: RunRecord, prepared: Prepared, stopping: Callable[[], bool]) -> RunRecord:
            return self.bring_to_rest(run, prepared, notify=notify, stopping=stopping)

        return {path: SubWorkflow(path, prepared, carry_out) for path in prepared.workflow.parts}

    def _forward(self, execution: WorkflowRun) -> None:
        try:
            self._steps(execution)
            self._finals(execution)
            outputs = resolve_all(execution.definition.outputs, execution.scope())
        except Exception as error:  # noqa: BLE001 - the run has the cause already, unless its outputs failed
            execution.failed("outputs", error)
            return
        encoded = execution.seal.seal(codec.encode(outputs))
        values = {"outputs": encoded, "outcome": None}
        try:
            self._conclude(execution, RunMove.SUCCEED, values)
        except errors.RunCancelled:
            execution.cancelled_meanwhile()

    def _back(self, execution: WorkflowRun) -> None:
        ledger = execution.ledger
        execution.recall()
        for effect in ledger.effects():
            undo(execution, effect)
        if execution.halted is not None:
            raise execution.halted
        self._finals(execution)
        stuck = ledger.stuck()
        if stuck:
            text = f"{len(stuck)} effects could not be undone, the first is {stuck[0].key}: {stuck[0].error}"
            execution.remember(stuck[0].step, errors.UndoFailed(text))
            ledger.conclude(RunMove.LEFT_OVER, values={"worker": None}, fault=execution.fault)
            return
        move = RunMove.CANCELLED if execution.ending is Ending.CANCELLED else RunMove.FAILED
        self._conclude(execution, move, {})

    def _steps(self, execution: WorkflowRun) -> None:
        """All steps, by the engine; every branch has ended afterwards."""
        # TaskFlow is what takes longest to load: only what goes forward waits for it.
        from taskflow.persistence.models import FlowDetail

        from slipway.flows.engine.engine import Engine
        from slipway.flows.runs.flow import flow_of

        flow = flow_of(execution, self._executor)
        Engine(flow, FlowDetail(flow.name, execution.run.id), options={"executor": self._executor}).run()

    def _conclude(self, execution: WorkflowRun, move: RunMove, values: Mapping[str, Any]) -> None:
        """Have the run at its end. Its secrets, and those of its parts, are kept no longer than the whole goes on."""
        whole = execution.run.parent_id is None
        execution.ledger.conclude(
            move,
            values={**values, "secrets": None} if whole else dict(values),
            fault=execution.fault,
            also=(lambda tx: runs.forget_secrets_of_parts(tx, execution.run.id)) if whole else None,
        )

    def _finals(self, execution: WorkflowRun) -> None:
        carry_out_finals(execution, partial(RunStep, execution, final=True))

    def _leave(self, execution: WorkflowRun) -> None:
        """Let anybody go on at once with what is not at its end; where even that cannot be written, they must wait."""
        ledger = execution.ledger
        if ledger.state.at_work and not execution.paused:
            with contextlib.suppress(errors.StoreError, errors.StaleWorker), self.tools.store.write() as tx:
                hold(tx, "run", execution.run.id, ledger.generation, None)
