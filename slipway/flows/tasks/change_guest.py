"""The steps by which a guest that runs is ended for what cannot be done while it runs, and started again."""

from __future__ import annotations

from collections.abc import Callable

from slipway.drivers.compute.base import ComputeDriver
from slipway.errors import ComputeError, StepTimeout
from slipway.flows.ending import end
from slipway.flows.tasks.base import BuildWork
from slipway.flows.tasks.domain import ComputeTask
from slipway.flows.tasks.wiring import ServeDhcp, WiringTask, has_wiring
from slipway.model.machine import ENDED, PowerState
from slipway.states.effects import done, effects_of
from slipway.states.machines import VmState


class GuestInStep:
    """The guest of an instance while a step has it in hand; each wait ends by the step's deadline."""

    def __init__(self, work: BuildWork, compute: ComputeDriver) -> None:
        self._work = work
        self._compute = compute

    def end(self, patience: float | None = None) -> None:
        """End it, after so many seconds in which it may shut down by itself, the settings' by default.

        Raises `ComputeError`, and `StepTimeout` where it does not even end by force.
        """
        tools = self._work.tools
        given = tools.settings.shutdown_timeout if patience is None else patience
        end(self, self._work.instance.name, tools.monotonic, min(given, self._left()))

    def power_state(self) -> PowerState:
        """What its domain does."""
        return self._compute.power_state(self._work.instance.id)

    def stop(self, *, force: bool) -> None:
        """See `ComputeDriver.stop`."""
        self._compute.stop(self._work.instance.id, force=force)

    def resume(self) -> None:
        """See `ComputeDriver.resume`."""
        self._compute.resume(self._work.instance.id)

    def becomes(self, wanted: Callable[[PowerState], bool], *, seconds: float | None = None) -> bool:
        """Whether its domain does what is wanted within so many seconds, or before the step's deadline."""
        left = self._left()
        give_up = min(left, left if seconds is None else seconds)
        return self._work.until(lambda: wanted(self.power_state()), give_up)

    def _left(self) -> float:
        return max(0.0, self._work.deadline - self._work.tools.monotonic())


class StopGuest(ComputeTask):
    """Have the guest shut down, or end it where it does not, for what cannot be done while it runs."""

    name = "stop-guest"
    kind = "stopped-guest"
    in_build_only = True
    vital = True
    passing = True
    holds_up = True
    uses = frozenset({"claim", "more-claimed", "binding", "disk", "seed", "vif", "filter", "dhcp", "definition"})

    def do(self, work: BuildWork) -> None:
        """Raises `ComputeError`, `StepTimeout` where it does not even end by force."""
        assert work.change is not None
        if work.instance.vm_state == VmState.ACTIVE:
            GuestInStep(work, work.on_host.compute).end(0.0 if work.change.force else None)

    def undo(self, work: BuildWork, result: None) -> None:
        """Start it as it was."""
        if work.instance.vm_state == VmState.ACTIVE:
            work.on_host.compute.start(work.instance.id)


class ReleaseLeases(WiringTask):
    """Have what the guest has leased forgotten: started anew it may give itself another id, and no lease is its sign.

    Needs no undo: it leases its addresses again.
    """

    name = "release-leases"
    kind = "released-leases"
    in_build_only = True
    vital = True

    def do(self, work: BuildWork) -> None:
        """Raises `WiringError`."""
        if not has_wiring(work.tools, work.host):
            return
        with work.tools.store.read() as tx:
            served = done(effects_of(tx, work.instance.id), ServeDhcp.kind)
        for service in (ServeDhcp().arguments_of(effect).service for effect in served):
            if service.server is not None:
                work.check()
                work.on_host.wiring.release_leases(service.vif.network_id, service.vif.port_id)


class StartGuest(ComputeTask):
    """Start the guest that was stopped, as it is defined by now, and see that it runs."""

    name = "start-guest"
    kind = "started-guest"
    in_build_only = True
    vital = True
    passing = True
    uses = StopGuest.uses | {"stopped-guest", "aside", "restored-disk", "remade-disk"}

    def do(self, work: BuildWork) -> None:
        """Raises `ComputeError`, `StepTimeout`."""
        if work.instance.vm_state != VmState.ACTIVE:
            return
        guest = GuestInStep(work, work.on_host.compute)
        work.on_host.compute.start(work.instance.id)
        if not guest.becomes(lambda state: state is PowerState.RUNNING or state in ENDED):
            raise StepTimeout(f"the domain of {work.instance.name} did not run in time")
        if (state := guest.power_state()) in ENDED:
            raise ComputeError(f"the domain of {work.instance.name} is {state} instead of running")

    def undo(self, work: BuildWork, result: None) -> None:
        """End it: it is to be started as it was."""
        if work.instance.vm_state == VmState.ACTIVE:
            work.on_host.compute.stop(work.instance.id, force=True)


OF_GUESTS = (StopGuest, ReleaseLeases, StartGuest)
