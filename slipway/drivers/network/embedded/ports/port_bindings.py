"""Further bindings of a port: each is ready on a host to which the port's instance may come while it runs.

The port's own columns are the binding that counts, rows of a table the others (Neutron: `binding-extended`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import sqlalchemy as sa
from msgspec.structs import replace

from slipway import errors
from slipway.drivers.network.embedded.common.tables import port_bindings, ports
from slipway.drivers.network.embedded.ports import port_rows
from slipway.drivers.network.embedded.ports.ports import Ports
from slipway.drivers.network.embedded.topology.binding import UNBOUND, Mechanisms
from slipway.drivers.network.embedded.topology.mechanisms import PortChange
from slipway.model.network import Context, Port, PortBinding
from slipway.states.statements import insert_if_absent
from slipway.states.store import Transaction

ACTIVE, INACTIVE = "ACTIVE", "INACTIVE"

_OF_PORT = port_bindings.c.port_id == sa.bindparam("port")
_OF_HOST = sa.and_(_OF_PORT, port_bindings.c.host == sa.bindparam("on"))
_LIST = sa.select(port_bindings.c.host, port_bindings.c.vif_type).where(_OF_PORT).order_by(port_bindings.c.host)
_FURTHER = sa.select(port_bindings.c.port_id, port_bindings.c.host).order_by(
    port_bindings.c.port_id, port_bindings.c.host
)
_INSERT = insert_if_absent(port_bindings)
_DELETE = port_bindings.delete().where(_OF_HOST)
_COUNTS = (
    ports.update()
    .where(ports.c.id == sa.bindparam("port"))
    .values(binding_host_id=sa.bindparam("on"), binding_vif_type=sa.bindparam("vif_type"), status="DOWN")
)


class PortBindings:
    """The bindings in the database; only an administrator sees and changes them."""

    def __init__(self, ports: Ports, mechanisms: Mechanisms) -> None:
        self._ports = ports
        self._mechanisms = mechanisms

    def list(self, tx: Transaction, context: Context, port_id: str) -> Sequence[PortBinding]:
        """The one that counts first. Raises as `create`."""
        return self._of(tx, self._port(tx, context, port_id, lock=False))

    def further(self, tx: Transaction, context: Context, hosts: Collection[str]) -> Sequence[tuple[Port, str]]:
        """The ports that are bound to one of these hosts besides the one that counts. Raises `PolicyNotAuthorized`."""
        if not context.is_admin:
            raise errors.PolicyNotAuthorized("only an administrator sees the bindings of ports")
        found = [(row.port_id, row.host) for row in tx.execute(_FURTHER) if row.host in hosts]
        return [(port_rows.from_row(self._ports.row(tx, context, port_id)), host) for port_id, host in found]

    def create(self, tx: Transaction, context: Context, port_id: str, host: str) -> PortBinding:
        """Bind it to one more host, or give the binding to that host that there is.

        Raises `PortNotFound`, `PolicyNotAuthorized`, `BadRequest` for a port that is no instance's.
        """
        port = self._port(tx, context, port_id)
        row = self._ports.row(tx, context, port_id)
        for there in self._of(tx, port):
            if there.host == host:
                return there
        vif_type = self._mechanisms.bind(tx, replace(port, binding_host_id=host, binding_vif_type=UNBOUND), row)
        tx.execute(_INSERT, {"port_id": port_id, "host": host, "vif_type": vif_type})
        return PortBinding(host, INACTIVE, vif_type)

    def activate(self, tx: Transaction, context: Context, port_id: str, host: str) -> PortChange | None:
        """Have the binding to this host be the one that counts; None where it does already.

        Raises `PortNotFound`, `PortBindingNotFound`, `PolicyNotAuthorized`, `MechanismDriverError`.
        """
        before = self._port(tx, context, port_id)
        if before.binding_host_id == host:
            return None
        found = next((one for one in self._of(tx, before) if one.host == host), None)
        if found is None:
            raise errors.PortBindingNotFound(f"port {port_id}: is not bound to host {host}")
        tx.execute(_DELETE, {"port": port_id, "on": host})
        if before.binding_host_id:
            old = {"port_id": port_id, "host": before.binding_host_id, "vif_type": UNBOUND}
            tx.execute(_INSERT, old)
        tx.execute(_COUNTS, {"port": port_id, "on": host, "vif_type": found.vif_type})
        port = replace(before, binding_host_id=host, binding_vif_type=found.vif_type, status="DOWN")
        change = PortChange("update", port, before)
        self._mechanisms.precommit(tx, change)
        return change

    def delete(self, tx: Transaction, context: Context, port_id: str, host: str) -> None:
        """Take an INACTIVE one away. Absent: nothing happens. Raises `PolicyNotAuthorized`."""
        _check_admin(context, port_id)
        tx.execute(_DELETE, {"port": port_id, "on": host})

    def _port(self, tx: Transaction, context: Context, port_id: str, *, lock: bool = True) -> Port:
        _check_admin(context, port_id)
        port = port_rows.from_row(self._ports.row(tx, context, port_id, lock=lock))
        if not port.device_owner.startswith("compute:"):
            raise errors.BadRequest(f"port {port_id}: only an instance's port has further bindings")
        return port

    def _of(self, tx: Transaction, port: Port) -> Sequence[PortBinding]:
        further = [PortBinding(row.host, INACTIVE, row.vif_type) for row in tx.execute(_LIST, {"port": port.id})]
        if not port.binding_host_id:
            return further
        return [PortBinding(port.binding_host_id, ACTIVE, port.binding_vif_type), *further]


def _check_admin(context: Context, port_id: str) -> None:
    if not context.is_admin:
        raise errors.PolicyNotAuthorized(f"port {port_id}: only an administrator sees and changes its bindings")
