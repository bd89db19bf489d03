"""Ports that the network makes for itself: those of routers and floating IPs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from slipway.drivers.network.embedded.addressing.fixed_ips import Wanted
from slipway.drivers.network.embedded.ports.port_changes import PortChanges
from slipway.drivers.network.embedded.ports.ports import Ports
from slipway.drivers.network.embedded.topology.mechanisms import PortChange
from slipway.model.network import Port
from slipway.model.neutron import ADMIN
from slipway.states.store import Transaction


class ServicePorts:
    """Makes, changes and deletes such ports whoever asks for them, and has `told` tell of each."""

    def __init__(self, ports: Ports, changes: PortChanges, told: Callable[[Transaction, PortChange], None]) -> None:
        self._ports = ports
        self._changes = changes
        self._told = told

    def create(self, tx: Transaction, *, status: str = "DOWN", **given: Any) -> Port:
        """Make a port, on no quota. Raises what taking its addresses raises."""
        port = self._ports.create_unasked(tx, given, status)
        self._told(tx, PortChange("create", port))
        return port

    def update(self, tx: Transaction, port_id: str, **given: Any) -> Port:
        """Change what is named. Raises as `PortChanges.update`."""
        change = self._changes.update(tx, ADMIN, port_id, given)
        self._told(tx, change)
        return change.port

    def delete(self, tx: Transaction, port_id: str) -> None:
        """Delete a port with what it is to routers and floating IPs. Raises `FipInUseByPortForwarding`."""
        port = self._ports.delete(tx, ADMIN, port_id)
        self._told(tx, PortChange("delete", port, port))


def as_asked(wanted: Sequence[Wanted]) -> list[dict[str, str]]:
    """Addresses as a port is asked for them."""
    return [
        ({} if each.subnet_id is None else {"subnet_id": each.subnet_id})
        | ({} if each.address is None else {"ip_address": str(each.address)})
        for each in wanted
    ]
