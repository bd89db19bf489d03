"""The wiring of one host: its links, its filters and its DHCP servers, each a part of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from slipway.drivers.wiring.linuxbridge.dhcp import DhcpServers  # type: ignore[import-not-found]
from slipway.drivers.wiring.linuxbridge.filters import Filters  # type: ignore[import-not-found]
from slipway.drivers.wiring.linuxbridge.links import Links
from slipway.model import Host, Port, SecurityGroupRule, Vif


class LinuxBridgeWiring:
    """May be used by many threads and processes at once."""

    local: ClassVar[bool] = False

    def __init__(self, host: Host, state: Path, installation: str) -> None:
        """`installation` is in the tag of all that is made."""
        self._links = Links(host, state, installation)
        self._filters = Filters(host, state, installation)
        self._dhcp = DhcpServers(host, state, installation)

    def plug(self, instance_id: str, vif: Vif) -> None:
        """Make the tap, in its network's bridge. Raises `WiringError`."""
        self._links.plug(instance_id, vif)

    def unplug(self, instance_id: str, devname: str) -> None:
        """Delete the tap, and the bridge when nothing else is in it. Raises `WiringError`."""
        self._links.unplug(devname)

    def list_taps(self) -> Sequence[str]:
        """The names of all taps of this installation. Raises `WiringError`."""
        return self._links.list_taps()

    def apply_filter(self, instance_id: str, vif: Vif, rules: Sequence[SecurityGroupRule]) -> None:
        """Filter at the tap. Raises `WiringError`."""
        self._filters.apply(instance_id, vif, rules)

    def remove_filter(self, port_id: str) -> None:
        """Remove the filter. Raises `WiringError`."""
        self._filters.remove(port_id)

    def list_filters(self) -> Sequence[str]:
        """The ids of all ports with a filter. Raises `WiringError`."""
        found: Sequence[str] = self._filters.list()
        return found

    def serve_dhcp(self, instance_id: str, vif: Vif, server: Port) -> None:
        """Have the VIF served. Raises `WiringError`."""
        self._dhcp.serve(instance_id, vif, server)

    def withdraw_dhcp(self, network_id: str, port_id: str) -> None:
        """Remove the entry, and what only its server had kept. Raises `WiringError`."""
        self._dhcp.withdraw(network_id, port_id)
        self._links.release_bridge(f"brq{network_id}"[:14])

    def list_dhcp(self) -> Sequence[str]:
        """The ids of all ports that are served. Raises `WiringError`."""
        found: Sequence[str] = self._dhcp.list()
        return found
