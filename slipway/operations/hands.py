"""What this worker does to the domain and the NICs of an instance that it has taken, each call only while it may."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from slipway import errors
from slipway.drivers.compute.base import ComputeDriver
from slipway.drivers.deadline import within
from slipway.drivers.registry import HostDrivers
from slipway.flows.run import Run
from slipway.flows.tasks.wiring import Plug
from slipway.model.machine import ENDED, PowerState
from slipway.model.record import Effect, EffectState
from slipway.operations.refresh import NICS, rejoin, release
from slipway.operations.things import missing_disks
from slipway.operations.wired import check_ports
from slipway.states import instances
from slipway.states.machines import State, VmState

log = logging.getLogger(__name__)

T = TypeVar("T")


class Hands:
    """An instance that was built, in this worker's hands. `word` is what is done to it, as in its fault."""

    def __init__(self, run: Run, word: str) -> None:
        self.run = run
        self.word = word
        self.seen: PowerState | None = None
        """What the domain did when it was looked at last."""
        self._held_up = False

    def look(self) -> None:
        """Before a guest is ended that is to run again: whether all that its start needs is there, and is its own."""
        run = self.run
        self.check()
        check_ports(run.instance, list(reversed(run.ledger.effects())), run.tools.drivers.network)
        self.check()
        with within(run.tools.settings.step_timeout):
            gone = list(missing_disks(run.instance.id, self.done(), self.drivers().disk))
        gone += self.ask(lambda compute: compute.obstacles(run.instance.id))
        if gone:
            raise errors.StartImpossible(f"{run.instance.name} cannot be started: {'; '.join(gone)}")
        # A host that cannot join its NICs would not do so later either.
        self.join()

    def start(self) -> None:
        """Have the domain run, its NICs joined before it can send anything."""
        run = self.run
        self.join()
        if self.power_state() is PowerState.PAUSED:
            self.resume()
        else:
            self.release()
            self.ask(lambda compute: compute.start(run.instance.id))
        if not self.becomes(lambda state: state is PowerState.RUNNING or state in ENDED):
            raise errors.StepTimeout(f"the domain of {run.instance.name} did not run in time")
        if (state := self.power_state()) in ENDED:
            raise errors.ComputeError(f"the domain of {run.instance.name} is {state} instead of running")

    def join(self, kinds: frozenset[str] = NICS) -> None:
        """Before a guest can send anything: the host may have been started anew since it was built."""
        drivers = self.drivers()
        if not drivers.wiring.local:
            network, effects = self.run.tools.drivers.network, self.run.ledger.effects()
            with within(self.run.tools.settings.step_timeout):
                rejoin(list(reversed(effects)), drivers.wiring, network, self._check_joining, kinds)
                if Plug.kind in kinds:
                    self._carry_routers()
            self.check()
            self.run.under_way.pop(self.word, None)

    def _carry_routers(self) -> None:
        from slipway.flows.tasks.hosting import carry_routers_on

        assert self.run.host is not None
        self.check()
        carry_routers_on(self.run.tools.store, self.run.tools.drivers, self.run.host)

    def release(self) -> None:
        """Have what its guest has leased forgotten."""
        wiring = self.drivers().wiring
        if not wiring.local:
            with within(self.run.tools.settings.step_timeout):
                release(self.run.ledger.effects(), wiring, self.check)

    def becomes(self, wanted: Callable[[PowerState], bool], *, seconds: float | None = None) -> bool:
        """Whether the domain does what is wanted before so many seconds have passed, a step's by default."""
        tools = self.run.tools
        give_up = tools.monotonic() + (tools.settings.step_timeout if seconds is None else seconds)
        while not wanted(self.power_state()):
            if tools.monotonic() >= give_up:
                return False
            tools.sleep(tools.settings.poll_interval)
        return True

    def power_state(self) -> PowerState:
        """What the domain does. Raises `DomainNotFound`."""
        self.seen = self.ask(lambda compute: compute.power_state(self.run.instance.id))
        return self.seen

    def stop(self, *, force: bool) -> None:
        """Ask the guest to shut down, or end it."""
        self._held_up = True
        self.ask(lambda compute: compute.stop(self.run.instance.id, force=force))

    def pause(self) -> None:
        """Freeze the guest."""
        self._held_up = True
        self.ask(lambda compute: compute.pause(self.run.instance.id))

    def have_run_on(self) -> None:
        """Have a guest run that was ended or frozen here when this worker had been replaced already, if it is to run by
        the record. Never raises.
        """
        if not self._held_up:
            return
        tools, instance_id = self.run.tools, self.run.instance.id
        try:
            with tools.store.read() as tx:
                found = instances.get(tx, instance_id)
            runs = found.vm_state == VmState.ACTIVE and State(found.vm_state, found.task_state).at_rest
            if not runs or found.host != self.run.host_name:
                return
            compute = self.drivers().compute
            with within(tools.settings.step_timeout):
                if compute.power_state(instance_id) in ENDED:
                    compute.start(instance_id)
                else:
                    compute.resume(instance_id)
        except Exception:
            log.exception("the guest of instance %s was ended or frozen late, and does not run on", instance_id)

    def resume(self) -> None:
        """Have the domain go on that is paused."""
        self.ask(lambda compute: compute.resume(self.run.instance.id))

    def ask(self, question: Callable[[ComputeDriver], T]) -> T:
        """What the hypervisor answers, if it may be asked."""
        self.check()
        with within(self.run.tools.settings.step_timeout):
            return question(self.drivers().compute)

    def check(self) -> None:
        """Raise where a next call is not to be made: by a worker that has not the instance any more, or is to stop."""
        self.run.check_going_on()
        self.run.ledger.check()
        self.run.ledger.hold(self.run.tools.settings.step_timeout)

    def done(self, *kinds: str) -> list[Effect]:
        """The effects that stand, newest first; only those of these kinds, where any is named."""
        standing = (effect for effect in self.run.ledger.effects() if effect.state is EffectState.DONE)
        return [effect for effect in standing if not kinds or effect.kind in kinds]

    def drivers(self) -> HostDrivers:
        """Those of its host."""
        if self.run.host is None:
            raise LookupError(f"{self.run.instance.name} has no host on record")
        return self.run.tools.drivers.on(self.run.host)

    def _check_joining(self, effect: Effect) -> None:
        self.check()
        self.run.under_way[self.word] = effect
