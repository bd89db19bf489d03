"""Stop, start, reboot, pause, unpause, repair: what is done to what was built, and in which state that leaves it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial

from slipway import errors
from slipway.flows.ending import end
from slipway.flows.late import take_back
from slipway.flows.run import Run
from slipway.model.machine import ENDED, PowerState
from slipway.model.record import Fault
from slipway.model.request import GRACEFUL, Shutdown
from slipway.operations.audit import Finding
from slipway.operations.hands import Hands
from slipway.operations.mender import Mender, should_run
from slipway.operations.settle import set_wired
from slipway.states.machines import Move, TaskState, VmState
from slipway.texts import said

log = logging.getLogger(__name__)

_WORDS = {
    TaskState.POWERING_OFF: "power_off",
    TaskState.POWERING_ON: "power_on",
    TaskState.REBOOTING: "reboot",
    TaskState.PAUSING: "pause",
    TaskState.UNPAUSING: "unpause",
    TaskState.REPAIRING: "repair",
}
_LEADS_TO = {
    PowerState.RUNNING: Move.RUNS,
    PowerState.PAUSED: Move.SUSPENDED,
    PowerState.SHUTDOWN: Move.HALTED,
    PowerState.CRASHED: Move.HALTED,
}
_BEFORE: dict[str, PowerState] = {
    VmState.ACTIVE: PowerState.RUNNING,
    VmState.PAUSED: PowerState.PAUSED,
    VmState.STOPPED: PowerState.SHUTDOWN,
}
"""What the domain of an instance did before, as far as anybody knows."""


def change_power(run: Run, shutdown: Shutdown = GRACEFUL, findings: Sequence[Finding] | None = None) -> None:
    """Bring an instance to rest whose state says that it is to be stopped, started and so on; see `PowerChange`."""
    PowerChange(run, shutdown, findings).bring_to_rest()


class PowerChange:
    """One stop, start, repair and so on that this worker has to bring to its end; to do it again is safe."""

    def __init__(self, run: Run, shutdown: Shutdown, findings: Sequence[Finding] | None) -> None:
        """`findings`: what a repair is to mend; None: whatever there is."""
        self._run = run
        self._shutdown = shutdown
        doing = TaskState(run.ledger.state.task_state or "")
        self._word = _WORDS[doing]
        self._hands = hands = Hands(run, self._word)
        self._steps = {
            TaskState.POWERING_OFF: (self._off, self._let_go),
            TaskState.POWERING_ON: (hands.look, hands.start),
            TaskState.REBOOTING: (hands.look, self._off, hands.start),
            TaskState.PAUSING: (self._pause,),
            TaskState.UNPAUSING: (hands.start,),
            TaskState.REPAIRING: (Mender(hands, findings).mend,),
        }[doing]

    def bring_to_rest(self) -> None:
        """Do it. Whatever came of it, the instance is then in the state in which its domain was seen last.

        A failure is on record as its fault, a success clears it. Where a delete came between, the run's outcome is
        that. Raises `BuildInterrupted`, `StaleWorker`, `StoreError`.
        """
        self._run.tell(f"instance.{self._word}.start")
        try:
            self._rest(self._error())
        except errors.InstanceDeleting:
            self._run.deleted_meanwhile()
        except errors.StaleWorker:
            take_back(self._run, self._word)
            self._hands.have_run_on()
            raise

    def _error(self) -> Exception | None:
        try:
            for step in self._steps:
                step()
        except (errors.InstanceDeleting, errors.StaleWorker, errors.StoreError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever a driver raises is the instance's fault on record
            return error
        return None

    def _rest(self, error: Exception | None) -> None:
        run = self._run
        seen, unseen = self._seen()
        error = error or unseen
        # A repair that failed has not made it an instance that is not to run.
        kept = self._word == _WORDS[TaskState.REPAIRING] and error is not None and should_run(run)
        event = Move.RUNS if kept else _LEADS_TO[seen]
        fault = None
        if error is not None:
            fault = Fault(type(error).__name__, said(error), self._word, run.tools.clock())
        detail = f"{self._word}: {fault.type}: {fault.message}" if fault else ""
        also = partial(set_wired, run.tools, run.instance.id, seen not in ENDED)
        values = {"worker": None, "fault": None}
        run.ledger.conclude(event, detail=detail, values=values, fault=fault, also=also)
        end = "error" if fault else "end"
        run.tell(f"instance.{self._word}.{end}", message=f"{fault.type}: {fault.message}" if fault else "")

    def _seen(self) -> tuple[PowerState, Exception | None]:
        """What the domain does now, one that is gone does not run; where nobody can say, what it did when it was looked
        at last, or before."""
        try:
            return self._hands.power_state(), None
        except (errors.StaleWorker, errors.StoreError, errors.InstanceDeleting):
            raise
        except errors.DomainNotFound as error:
            return PowerState.SHUTDOWN, error
        except Exception as error:  # noqa: BLE001 - as above
            return self._hands.seen or _BEFORE[self._run.ledger.state.vm_state], error

    # --- the steps ------------------------------------------------------------------------------------------------

    def _off(self) -> None:
        tools, given = self._run.tools, self._shutdown.timeout
        patience = tools.settings.shutdown_timeout if given is None else given
        end(self._hands, self._run.instance.name, tools.monotonic, 0.0 if self._shutdown.force else patience)

    def _pause(self) -> None:
        """Freeze the guest, and see that it is."""
        self._hands.pause()
        if not self._hands.becomes(lambda state: state is not PowerState.RUNNING):
            raise errors.StepTimeout(f"the domain of {self._run.instance.name} was not paused in time")

    def _let_go(self) -> None:
        """What an ended guest has leased is nobody's; where that cannot be said now it is when it is started."""
        try:
            self._hands.release()
        except errors.WiringError:
            log.info("the leases of instance %s", self._run.instance.id, exc_info=True)
