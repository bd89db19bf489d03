"""Device owners that have rules of their own (Neutron: `neutron_lib.constants`)."""

from __future__ import annotations

from slipway.model.neutron import DHCP_OWNER, HOST_OWNER
from slipway.model.neutron import ROUTER_GATEWAY as ROUTER_GATEWAY
from slipway.model.neutron import ROUTER_INTERFACE as ROUTER_INTERFACE
from slipway.model.neutron import ROUTER_INTERFACES as ROUTER_INTERFACES

FLOATING_IP = "network:floatingip"
ROUTER_INTERFACES_SNAT = (*ROUTER_INTERFACES, "network:router_centralized_snat")
ROUTER_PORTS = (*ROUTER_INTERFACES_SNAT, ROUTER_GATEWAY)
AUTO_DELETED = (DHCP_OWNER, HOST_OWNER, "network:distributed", "network:floatingip_agent_gateway")
"""Ports that do not keep a network or subnet from being deleted, and go with it."""


def is_trusted(device_owner: str) -> bool:
    """Whether it is a port of the network's own, which has no security groups."""
    return device_owner.startswith("network:")
