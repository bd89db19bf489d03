"""Wait until a guest is seen to be ready, by the signs that its request names."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from slipway.drivers.files import put_aside
from slipway.errors import ComputeError, StepTimeout, UnsupportedHardware
from slipway.flows.tasks.base import BuildWork, Tools
from slipway.flows.tasks.domain import ComputeTask
from slipway.model.machine import PowerState, Vif
from slipway.model.record import Instance
from slipway.model.request import Host, Readiness, Sign
from slipway.states.intent import Durability

_SSH = 22

_LOOK = 60.0
"""Seconds that a look may take beyond the time of the sign that it is for."""


class WaitReady(ComputeTask):
    """Wait for the signs of `wait_for`, one after the other, each within its own time since the domain runs.

    A simulated host has no guest, so there is nothing to wait for. Needs no undo and no record: it only looks.
    """

    name = "wait-ready"
    kind = "ready"
    in_build_only = True

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """Looks at the guest, which a resume repeats."""
        return Durability.PURE

    @property
    def tells_of_host(self) -> bool:
        """What a guest does, or leaves undone, is its image's or its user's."""
        return False

    def timeout(self, instance: Instance, given: float) -> float:
        """Until the last sign's time is over."""
        return min(given, max((one.within for one in instance.request.wait_for), default=0.0) + _LOOK)

    def do(self, work: BuildWork, vifs: tuple[Vif, ...]) -> None:
        """Raises `StepTimeout` for the sign that did not come, `ComputeError` when the domain ended meanwhile.

        `UnsupportedHardware`: the host has no wiring by which the sign could be seen.
        """
        wanted = work.instance.request.wait_for
        if not wanted or work.on_host.compute.console_log(work.instance.id) is None:
            return
        tools, began = work.tools, work.tools.monotonic()
        for readiness in wanted:
            while not _seen(work, readiness, vifs):
                self._check_runs(work)
                if tools.monotonic() - began >= readiness.within:
                    raise StepTimeout(f"{work.instance.name}: no {_named(readiness)} within {readiness.within:g} s")
                work.check()
                tools.sleep(tools.settings.poll_interval)

    def _check_runs(self, work: BuildWork) -> None:
        state = work.on_host.compute.power_state(work.instance.id)
        if state in (PowerState.CRASHED, PowerState.SHUTDOWN):
            raise ComputeError(f"the domain of {work.instance.name} is {state}, it did not become ready")


def _named(readiness: Readiness) -> str:
    named = {Sign.LEASE: "lease", Sign.PING: "answer to a ping", Sign.SSH: "answer of an SSH server"}
    return named.get(readiness.sign, f"text {readiness.text!r} in the console log")


def _seen(work: BuildWork, readiness: Readiness, vifs: tuple[Vif, ...]) -> bool:
    if readiness.sign is Sign.MARKER:
        return _says(work, readiness.text.encode())
    wiring = work.on_host.wiring
    if wiring.local or not vifs or not vifs[0].fixed_ips:
        why = "has no wiring" if wiring.local else "knows no address of it"
        raise UnsupportedHardware(f"{work.instance.name} is to wait for {readiness.sign}, and its host {why}")
    if readiness.sign is Sign.LEASE:
        return bool(wiring.leases(vifs[0]))
    return wiring.answers(vifs[0], vifs[0].fixed_ips[0].ip_address, port=_SSH if readiness.sign is Sign.SSH else None)


def _says(work: BuildWork, text: bytes) -> bool:
    log = work.on_host.compute.console_log(work.instance.id)
    if log is None:
        return False
    with suppress(FileNotFoundError):
        # Across the end of what was put aside as well.
        return text in b"".join(Path(path).read_bytes() for path in (*reversed(put_aside(log)), log))
    return False
