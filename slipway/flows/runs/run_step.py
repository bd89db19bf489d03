"""One step of a workflow's run."""

from __future__ import annotations

from functools import partial
from typing import Any, NoReturn

from slipway import errors
from slipway.flows.runs.step import Step
from slipway.flows.runs.workflow_run import WorkflowRun
from slipway.model.record import Effect
from slipway.states.intent import Intent


class RunStep(Step):
    """A step of a run, which may be paused."""

    _run: WorkflowRun

    def carry_out(self) -> None:
        """See `Step`; whoever listens is told of its end once."""
        super().carry_out()
        run, step = self._run, self._step
        if self._tells:
            run.tell("step.end", step.id, message=run.statuses[step.id])

    def _prepare(self, intent: Intent[Any]) -> None:
        """Nothing: what it was before is undone."""

    def _conclude(self, result: Any, tx: Any) -> None:
        """No step ends a run: it has ended when all have."""

    def _ends_all(self, error: Exception) -> bool:
        return isinstance(error, errors.RunCancelled)

    def _wait(self, effect: Effect, wait: errors.RunWaits) -> NoReturn:
        if self._final:
            raise errors.RunRefused(f"step {self._step.id} is one of the last, which wait for nobody") from wait
        run = self._run
        run.pause({"wake_at": wait.until, "waits_for": run.seal.mask(str(wait)), "waits_at": effect.key})

    def _pause(self, error: Exception) -> NoReturn:
        run, step = self._run, self._step
        run.remember(step.id, error)
        values = {"wake_at": None, "waits_for": f"step {step.id} failed: {run.named(error)}", "waits_at": None}
        run.pause(values, run.fault, partial(run.failing, step.id, error))
