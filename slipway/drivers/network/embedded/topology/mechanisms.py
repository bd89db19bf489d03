"""What is told about ports, and what binds them to hosts (Neutron: ML2's mechanism drivers)."""

from __future__ import annotations

from typing import Literal, Protocol

import sqlalchemy as sa
from msgspec import Struct

from slipway.drivers.network.embedded.topology.segments import Segment
from slipway.model.network import Port
from slipway.settings import Settings
from slipway.states.schema import hosts
from slipway.states.store import Transaction


class PortChange(Struct, frozen=True):
    """A port that was made, changed or deleted; `before` is what it was, None for a new one."""

    kind: Literal["create", "update", "delete"]
    port: Port
    before: Port | None = None


class MechanismDriver(Protocol):
    """A part that takes part in each change of a port, and may bind ports."""

    def precommit(self, tx: Transaction, change: PortChange) -> None:
        """Called in the transaction of the change; what it raises undoes the change."""

    def postcommit(self, change: PortChange) -> None:
        """Called after the commit. What it raises deletes a new port again; a changed port stays as it is."""

    def bind(self, tx: Transaction, port: Port, segment: Segment) -> str | None:
        """The VIF type with which the port can be bound to its host, or None: not by this driver.

        Called in the transaction of the change; what it raises undoes the change.
        """


_REACHED = sa.select(
    sa.or_(
        sa.exists().where(hosts.c.name == sa.bindparam("host")), sa.not_(sa.exists(sa.select(hosts.c.name).limit(1)))
    )
)


class LinuxBridge:
    """Binds to bridges: normal VIFs on hosts that are on record, on physical networks that the settings name.

    A record without any host is that of a network used by itself; there, every host will do.
    """

    def __init__(self, settings: Settings) -> None:
        self._physical_networks = settings.physical_networks

    def precommit(self, tx: Transaction, change: PortChange) -> None:
        """Nothing to do."""

    def postcommit(self, change: PortChange) -> None:
        """Nothing to do."""

    def bind(self, tx: Transaction, port: Port, segment: Segment) -> str | None:
        """`bridge`, or None for special VIFs, unknown hosts and physical networks that no host reaches."""
        if port.binding_vnic_type != "normal":
            return None
        if segment.physical is not None and segment.physical not in self._physical_networks:
            return None
        return "bridge" if tx.scalar(_REACHED, {"host": port.binding_host_id}) else None
