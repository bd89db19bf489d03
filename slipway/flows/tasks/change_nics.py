"""Whether the host carries the network of a NIC that an instance that was built is to get."""

from __future__ import annotations

from slipway.flows.tasks.base import BuildWork, Task, Tools
from slipway.model.machine import Allocation, PortRequest, Vif
from slipway.model.neutron import bridge_name
from slipway.model.request import Host
from slipway.states.intent import Durability


class CheckWiring(Task):
    """Ask the wiring of the host whether it could plug the NICs, before their ports are made.

    Needs no undo and no record: it only looks.
    """

    name = "check-wiring"
    kind = "wiring-check"
    in_build_only = True
    vital = True

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """A look at the host, that a resume repeats."""
        return Durability.PURE

    def do(self, work: BuildWork, allocation: Allocation) -> None:
        """Raises `WiringError`."""
        wiring = work.on_host.wiring
        for request in allocation.requests if not wiring.local else ():
            wiring.check_plug(_to_be(request))


def _to_be(request: PortRequest) -> Vif:
    """The VIF of a port that is not made yet, as far as its network tells."""
    network = request.network
    return Vif(
        port_id="",
        network_id=network.id,
        network_name=network.name,
        mac_address="",
        devname="",
        bridge=bridge_name(network.id),
        mtu=network.mtu,
        vif_type="bridge",
        vnic_type="normal",
        fixed_ips=(),
        subnets=request.subnets,
        active=False,
        preserve_on_delete=False,
        network_type=network.provider_network_type,
        physical_network=network.provider_physical_network,
        segmentation_id=network.provider_segmentation_id,
    )
