"""What every network driver guarantees: Neutron's rules, as `slipway.drivers.network.base` says them."""

from __future__ import annotations

from slipway.testing.contracts.network.keys import KeysContract
from slipway.testing.contracts.network.networks import NetworksContract
from slipway.testing.contracts.network.ports import PortsContract
from slipway.testing.contracts.network.routing import RoutingContract

__all__ = ["NetworkContract", "RoutingContract"]


class NetworkContract(NetworksContract, PortsContract, KeysContract):
    """Subclass it, override the fixture `make_driver`, and where ports are not bound by bridges, `vif_type`.

    Beside it `RoutingContract`, where the service has routers.
    """
