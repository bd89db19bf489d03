"""Ports are bound to hosts by the first mechanism driver that can; all drivers are told of every change."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from slipway import errors
from slipway.drivers.network.embedded.topology.mechanisms import MechanismDriver, PortChange
from slipway.drivers.network.embedded.topology.segments import Segment
from slipway.model.network import Port
from slipway.states.store import Transaction

UNBOUND, FAILED = "unbound", "binding_failed"
UNPLUGGED = (UNBOUND, FAILED)
MAX_PROFILE = 4095
"""Characters of JSON that a binding profile may have (Neutron)."""


class Mechanisms:
    """All mechanism drivers as one."""

    def __init__(self, drivers: Sequence[MechanismDriver]) -> None:
        self._drivers = tuple(drivers)

    def bind(self, tx: Transaction, port: Port, row: Any) -> str:
        """The VIF type of the port on its host; `binding_failed` when no driver can bind it there.

        Raises `MechanismDriverError`.
        """
        segment = Segment(row.provider_network_type, row.provider_physical_network, row.provider_segmentation_id)
        for driver in self._drivers:
            with _translated(driver, f"port {port.id}: binding to {port.binding_host_id}"):
                if vif_type := driver.bind(tx, port, segment):
                    return vif_type
        return FAILED

    def precommit(self, tx: Transaction, change: PortChange) -> None:
        """Tell all drivers before the commit. Raises `MechanismDriverError`."""
        for driver in self._drivers:
            with _translated(driver, f"port {change.port.id}: {change.kind}, before the commit"):
                driver.precommit(tx, change)

    def postcommit(self, change: PortChange) -> None:
        """Tell all drivers after the commit. Raises `MechanismDriverError`."""
        for driver in self._drivers:
            with _translated(driver, f"port {change.port.id}: {change.kind}, after the commit"):
                driver.postcommit(change)


@contextmanager
def _translated(driver: MechanismDriver, what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise errors.MechanismDriverError(f"{what}: {type(driver).__name__} failed: {error}") from error


def changed(values: Mapping[str, Any], row: Any) -> dict[str, Any]:
    """The columns of a binding that the request changes; then the port is to be bound anew.

    Raises `PortInUse` for another VNIC type while the port is bound.
    """
    new = {name: values[name] for name in ("binding_host_id", "binding_vnic_type") if name in values}
    if "binding_profile" in values:
        new["binding_profile"] = values["binding_profile"] or None
    new = {name: value for name, value in new.items() if value != getattr(row, name)}
    if "binding_vnic_type" in new and row.binding_vif_type != UNBOUND:
        raise errors.PortInUse(f"port {row.id}: its VNIC type cannot be changed while it is bound")
    return new


def check_profile(profile: Mapping[str, Any]) -> None:
    """Raises `InvalidInput` when it is too large."""
    if len(json.dumps(profile)) > MAX_PROFILE:
        raise errors.InvalidInput(f"binding_profile: is larger than {MAX_PROFILE} characters")
