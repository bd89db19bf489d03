"""One step of the build of an instance."""

from __future__ import annotations

from functools import partial
from typing import Any, NoReturn

from slipway import errors
from slipway.flows.late import take_back
from slipway.flows.run import Run
from slipway.flows.runs.step import Step, carry_out_finals
from slipway.flows.values import SUCCEEDED, resolve_all
from slipway.model.record import Effect
from slipway.states import codec, runs
from slipway.states.intent import Intent


class BuildStep(Step):
    """A step of a build, which brings the instance from phase to phase and is done anew on each host that is tried."""

    _gathers = tuple

    _tells_of_items = True
    _run: Run

    def _prepare(self, intent: Intent[Any]) -> None:
        if self._is_last and self._run.definition.finals:
            # After it the instance is at rest, and nobody would go on with them.
            self._run.ended(intent.step, SUCCEEDED)
            finish_off(self._run)
        if self._run.ledger.attempt > 1:
            self._run.supersede(intent)

    def _conclude(self, result: Any, tx: Any) -> None:
        run = self._run
        if not run.definition.outputs:
            return
        run.ended(self._step.id, SUCCEEDED, result)
        outputs = resolve_all(run.definition.outputs, run.scope())
        runs.rewrite(tx, run.instance.run_id or "", outputs=codec.encode(outputs))

    # --- when it fails --------------------------------------------------------------------------------------------

    def _stopped(self, error: Exception) -> errors.BuildInterrupted:
        """Why this worker goes no further; as one that was replaced it leaves nothing behind that nobody expects."""
        if isinstance(error, errors.StaleWorker):
            take_back(self._run, self._step.id)
        return super()._stopped(error)

    def _ends_all(self, error: Exception) -> bool:
        ends = isinstance(error, (errors.InstanceDeleting, errors.AttemptEnded))
        return ends or self._run.outcome is not None

    def _give_up(self, error: Exception) -> None:
        self._run.failed(self._step.id, error, of_host=self._task.tells_of_host)
        self._run.let_go(self._step.id)

    def _wait(self, effect: Effect, wait: errors.RunWaits) -> NoReturn:
        raise wait

    def _pause(self, error: Exception) -> NoReturn:
        raise error


def finish_off(run: Run) -> None:
    """Do the steps at the end of a build, whatever came of the others."""
    with run.at_its_end():
        carry_out_finals(run, partial(BuildStep, run, final=True))
