"""Whether a host carries the networks of an instance that is to go there."""

from __future__ import annotations

from collections.abc import Sequence

from slipway import errors
from slipway.drivers.wiring.base import WiringDriver
from slipway.model.machine import Vif
from slipway.model.record import Effect, Instance
from slipway.states.effects import results


def check_wiring(instance: Instance, effects: Sequence[Effect], host: str, wiring: WiringDriver) -> None:
    """Ask the wiring of a host. Raises `MoveRefused` with what it does not have for one of the instance's NICs."""
    if wiring.local:
        return
    try:
        for vif in results(effects, "binding", Vif):
            wiring.check_plug(vif)
    except errors.WiringError as error:
        raise errors.MoveRefused(f"instance {instance.name} cannot go to host {host}: {error}") from error
