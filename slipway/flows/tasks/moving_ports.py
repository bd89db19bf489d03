"""Whether a port can be bound to the host that its instance is to go to, seen before its guest is stopped."""

from __future__ import annotations

from slipway.errors import PortBindingFailed
from slipway.flows.tasks.base import BuildWork
from slipway.flows.tasks.requirements import NetworkTask
from slipway.model.machine import Nic
from slipway.model.record import Scope


class TryBinding(NetworkTask):
    """Bind a port to the new host as well, to see whether that can be, and take that binding away again.

    Where the network service knows but one binding a port, nothing is seen, and binding it later says so.
    """

    name = "try-binding"
    kind = "tried-binding"
    in_build_only = True
    vital = True
    passing = True
    scope = Scope.HOST

    def do(self, work: BuildWork, nic: Nic) -> None:
        """Raises `PortBindingFailed`."""
        network = work.tools.drivers.network
        assert work.host is not None
        if not network.binds_twice(work.admin):
            return
        binding = network.create_binding(work.admin, nic.port.id, work.host.name, tx=work.tx)
        network.delete_binding(work.admin, nic.port.id, work.host.name, tx=work.tx)
        if binding.vif_type == "binding_failed":
            raise PortBindingFailed(
                f"port {nic.port.id} cannot be bound to host {work.host.name}, which does not carry network "
                f"{nic.request.network.name}"
            )

    def undo(self, work: BuildWork, result: None, nic: Nic) -> None:
        """Take it away where a kill came between."""
        network = work.tools.drivers.network
        if work.effect.host is not None and network.binds_twice(work.admin):
            network.delete_binding(work.admin, nic.port.id, work.effect.host, tx=work.tx)
