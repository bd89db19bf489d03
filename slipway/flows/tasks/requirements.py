"""What all steps with networks share, and what the hypervisor has to say about them."""

from __future__ import annotations

from slipway import errors
from slipway.flows.tasks.base import BuildWork, Task, Tools
from slipway.model.machine import VifRequirements
from slipway.model.network import Port
from slipway.model.request import Host
from slipway.settings import Settings
from slipway.states.intent import Durability


class NetworkTask(Task):
    """A step that asks the network service; what is transient is tried again, with waits of 1, 2, 4 ... 30 s."""

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """The embedded network is rows of our own, any other is not."""
        return Durability.LOCAL if tools.drivers.network.local else Durability.FOREIGN

    def retries(self, settings: Settings) -> int:
        """Nova: `network_allocate_retries`."""
        return settings.network_allocate_retries


class RequireVifs(Task):
    """Ask the hypervisor which MACs and DHCP options it dictates (N1).

    Needs no undo and no record. A step of its own, so that the hypervisor is not asked inside a transaction.
    """

    name = "vif-requirements"
    kind = "requirements"
    in_build_only = True
    vital = True

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """A look at the hypervisor, that a resume repeats."""
        return Durability.PURE

    def do(self, work: BuildWork) -> VifRequirements:
        """Raises `ComputeError`."""
        compute = work.on_host.compute
        macs = compute.macs_for_instance(work.instance.id)
        options = compute.dhcp_options_for_instance(work.instance.id)
        return VifRequirements(None if macs is None else tuple(sorted(macs)), options)


def check_free(work: BuildWork, port: Port) -> None:
    """Raise `PortInUse` for a port that another instance has."""
    if port.device_id not in ("", work.instance.id):
        raise errors.PortInUse(f"port {port.name or port.id} is in use by {port.device_id}")


def check_mac(port: Port, requirements: VifRequirements) -> None:
    """Raise `PortNotUsable` for a MAC that the hypervisor does not allow."""
    if requirements.macs is not None and port.mac_address not in requirements.macs:
        raise errors.PortNotUsable(f"port {port.name or port.id}: the host does not allow its MAC {port.mac_address}")
