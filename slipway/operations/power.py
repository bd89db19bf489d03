"""Stop, start and reboot: what is done to a domain that was built, and in which state that leaves its instance."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

from slipway import errors
from slipway.drivers.compute.base import ComputeDriver
from slipway.drivers.deadline import within
from slipway.drivers.registry import HostDrivers
from slipway.flows.run import Run
from slipway.model.machine import ENDED, PowerState
from slipway.model.record import Effect, EffectState, Fault
from slipway.model.request import Shutdown
from slipway.operations.refresh import rejoin, release
from slipway.operations.settle import set_wired, settle
from slipway.operations.things import missing_disks
from slipway.operations.wired import check_ports
from slipway.states.machines import Move, State, TaskState
from slipway.texts import said

T = TypeVar("T")

log = logging.getLogger(__name__)

_ASK_AGAIN = 10.0
"""Seconds after which a guest that still runs is asked once more: it may not have listened yet (Nova: the same)."""


def change_power(run: Run, shutdown: Shutdown) -> None:
    """Bring an instance to rest whose state says that it is to be stopped, started or both; see `PowerChange`."""
    PowerChange(run, shutdown).bring_to_rest()


class PowerChange:
    """One stop, start or reboot that this worker has to bring to its end; to do it again is safe."""

    def __init__(self, run: Run, shutdown: Shutdown) -> None:
        self._run = run
        self._shutdown = shutdown
        self._word, self._steps = {
            TaskState.POWERING_OFF: ("power_off", (self._off, self._let_go)),
            TaskState.POWERING_ON: ("power_on", (self._look, self._on)),
            TaskState.REBOOTING: ("reboot", (self._look, self._off, self._on)),
        }[TaskState(run.ledger.state.task_state or "")]

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
            self._run.take_back(self._word)
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
        event = Move.HALTED if seen in ENDED else Move.RUNS
        error = error or unseen
        fault = None
        if error is not None:
            fault = Fault(type(error).__name__, said(error), self._word, run.tools.clock())
        detail = f"{self._word}: {fault.type}: {fault.message}" if fault else ""
        also = partial(set_wired, run.tools, run.instance.id, event is Move.RUNS)
        values = {"worker": None, "fault": None}
        run.ledger.conclude(event, detail=detail, values=values, fault=fault, also=also)
        if seen is PowerState.PAUSED:
            settle(run.tools, run.instance.id)
        end = "error" if fault else "end"
        run.tell(f"instance.{self._word}.{end}", message=f"{fault.type}: {fault.message}" if fault else "")

    def _seen(self) -> tuple[PowerState, Exception | None]:
        """What the domain does now, one that is gone does not run; where nobody can say, nothing has changed."""
        before = PowerState.SHUTDOWN if State(self._run.ledger.state.vm_state, None).stopped else PowerState.RUNNING
        try:
            return self._power_state(), None
        except (errors.StaleWorker, errors.StoreError, errors.InstanceDeleting):
            raise
        except errors.DomainNotFound as error:
            return PowerState.SHUTDOWN, error
        except Exception as error:  # noqa: BLE001 - as above
            return before, error

    # --- the steps ------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Before a guest is ended that is to run again: whether all that its start needs is there, and is its own."""
        run = self._run
        self._check()
        check_ports(run.instance, list(reversed(run.ledger.effects())), run.tools.drivers.network)
        self._check()
        done = [effect for effect in run.ledger.effects() if effect.state is EffectState.DONE]
        with within(run.tools.settings.step_timeout):
            gone = list(missing_disks(run.instance.id, done, self._drivers().disk))
        gone += self._ask(lambda compute: compute.obstacles(run.instance.id))
        if gone:
            raise errors.StartImpossible(f"{run.instance.name} cannot be started: {'; '.join(gone)}")
        # A host that cannot join its NICs would not do so later either.
        self._join()

    def _off(self) -> None:
        run = self._run
        if not self._shutdown.force:
            self._wake()
            timeout = self._shutdown.timeout
            if self._asked(run.tools.settings.shutdown_timeout if timeout is None else timeout):
                return
        self._ask(lambda compute: compute.stop(run.instance.id, force=True))
        if not self._becomes(lambda state: state in ENDED):
            raise errors.StepTimeout(f"the domain of {run.instance.name} did not end in time")

    def _wake(self) -> None:
        """Have a guest that is paused go on, for frozen it cannot be asked; one that cannot go on is ended."""
        with suppress(errors.ComputeError):
            if self._power_state() is PowerState.PAUSED:
                self._ask(lambda compute: compute.resume(self._run.instance.id))

    def _asked(self, patience: float) -> bool:
        """Ask the guest to shut down, and again; whether it did in time."""
        monotonic = self._run.tools.monotonic
        give_up, again = monotonic() + patience, False
        while (now := monotonic()) < give_up:
            if self._asked_once(min(_ASK_AGAIN, give_up - now), again=again):
                return True
            again = True
        return self._power_state() in ENDED

    def _asked_once(self, seconds: float, *, again: bool) -> bool:
        """Ask, and look whether it ends. Raises what the hypervisor answers where that is no sign of its ending."""
        try:
            self._ask(lambda compute: compute.stop(self._run.instance.id, force=False))
        except errors.ComputeError:
            # Asked before, it may be just ending, and nobody can ask it any more.
            with suppress(errors.ComputeError):
                if again and self._becomes(lambda state: state in ENDED, seconds=seconds):
                    return True
            raise
        return self._becomes(lambda state: state in ENDED, seconds=seconds)

    def _on(self) -> None:
        run = self._run
        self._join()
        if self._power_state() is PowerState.PAUSED:
            self._ask(lambda compute: compute.resume(run.instance.id))
        else:
            self._release()
            self._ask(lambda compute: compute.start(run.instance.id))
        if not self._becomes(lambda state: state is PowerState.RUNNING or state in ENDED):
            raise errors.StepTimeout(f"the domain of {run.instance.name} did not run in time")
        if (state := self._power_state()) in ENDED:
            raise errors.ComputeError(f"the domain of {run.instance.name} is {state} instead of running")

    def _join(self) -> None:
        """Before a guest can send anything: the host may have been started anew since it was built."""
        drivers = self._drivers()
        if not drivers.wiring.local:
            network, effects = self._run.tools.drivers.network, self._run.ledger.effects()
            with within(self._run.tools.settings.step_timeout):
                rejoin(list(reversed(effects)), drivers.wiring, network, self._check_joining)
            self._check()
            self._run.under_way.pop(self._word, None)

    def _let_go(self) -> None:
        """What an ended guest has leased is nobody's; where that cannot be said now it is when it is started."""
        try:
            self._release()
        except errors.WiringError:
            log.info("the leases of instance %s", self._run.instance.id, exc_info=True)

    def _release(self) -> None:
        wiring = self._drivers().wiring
        if not wiring.local:
            with within(self._run.tools.settings.step_timeout):
                release(self._run.ledger.effects(), wiring, self._check)

    def _becomes(self, wanted: Callable[[PowerState], bool], *, seconds: float | None = None) -> bool:
        tools = self._run.tools
        give_up = tools.monotonic() + (tools.settings.step_timeout if seconds is None else seconds)
        while not wanted(self._power_state()):
            if tools.monotonic() >= give_up:
                return False
            tools.sleep(tools.settings.poll_interval)
        return True

    def _power_state(self) -> PowerState:
        return self._ask(lambda compute: compute.power_state(self._run.instance.id))

    def _ask(self, question: Callable[[ComputeDriver], T]) -> T:
        """What the hypervisor answers, if it may be asked."""
        self._check()
        with within(self._run.tools.settings.step_timeout):
            return question(self._drivers().compute)

    def _check_joining(self, effect: Effect) -> None:
        self._check()
        self._run.under_way[self._word] = effect

    def _check(self) -> None:
        """Raise where a next call is not to be made: by a worker that has not the instance any more, or is to stop."""
        self._run.check_going_on()
        self._run.ledger.check()
        self._run.ledger.hold(self._run.tools.settings.step_timeout)

    def _drivers(self) -> HostDrivers:
        if self._run.host is None:
            raise LookupError(f"{self._run.instance.name} has no host on record")
        return self._run.tools.drivers.on(self._run.host)
