"""No wiring: for simulated hosts, where a tap would have no other end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from slipway.errors import GuestUnreachable
from slipway.model.machine import Lease, Vif, Wired
from slipway.model.network import DhcpOption, Port, SecurityGroupRule
from slipway.model.request import Host

if TYPE_CHECKING:
    import socket

    from slipway.model.hosted import HostedRouter


class NullWiring:
    """Has no effect outside the record, so that its `done` needs one commit only."""

    local: ClassVar[bool] = True

    def __init__(self, host: Host, state: Path, installation: str) -> None:
        """Of what every driver of a host is given only the host's name is used."""
        self._name = host.name

    def nics(self) -> Sequence[str]:
        """None: no network leaves the host."""
        return ()

    def plug(self, instance_id: str, vif: Vif) -> None:
        """Do nothing."""

    def check_plug(self, vif: Vif) -> None:
        """Do nothing: every network will do."""

    def refresh_tap(self, vif: Vif) -> None:
        """Do nothing: there are no taps."""

    def tap_is_current(self, vif: Vif) -> bool:
        """Always: there are no taps."""
        return True

    def unplug(self, instance_id: str, devname: str) -> None:
        """Do nothing."""

    def list_taps(self) -> Sequence[Wired]:
        """None: there are no taps."""
        return ()

    def apply_filter(self, instance_id: str, vif: Vif, rules: Sequence[SecurityGroupRule]) -> None:
        """Do nothing."""

    def refresh_filter(self, vif: Vif, rules: Sequence[SecurityGroupRule]) -> None:
        """Do nothing."""

    def filter_is_current(self, vif: Vif, rules: Sequence[SecurityGroupRule]) -> bool:
        """Always: no rules are kept."""
        return True

    def remove_filter(self, port_id: str) -> None:
        """Do nothing."""

    def list_filters(self) -> Sequence[Wired]:
        """None: nothing is filtered."""
        return ()

    def serve_dhcp(self, instance_id: str, vif: Vif, server: Port) -> None:
        """Do nothing."""

    def refresh_dhcp(self, vifs: Sequence[Vif], server: Port) -> None:
        """Do nothing."""

    def outdated_dhcp(self, vifs: Sequence[Vif], server: Port) -> Sequence[str]:
        """None: no addresses are kept."""
        return ()

    def release_leases(self, network_id: str, port_id: str) -> None:
        """Do nothing: nobody is served."""

    def withdraw_dhcp(self, network_id: str, port_id: str) -> None:
        """Do nothing."""

    def check_dhcp_options(self, options: Sequence[DhcpOption]) -> None:
        """Take them all: there is no server."""

    def list_dhcp(self) -> Sequence[Wired]:
        """None: nobody is served."""
        return ()

    def set_routers(self, wanted: Sequence[HostedRouter], *, anew: bool = False) -> None:
        """Do nothing: there is nobody to forward for."""

    def list_routers(self, wanted: Sequence[HostedRouter]) -> Sequence[Wired]:
        """None: nothing is forwarded."""
        return ()

    def leases(self, vif: Vif) -> Sequence[Lease]:
        """None: nobody is served."""
        return ()

    def answers(self, vif: Vif, address: str, *, port: int | None) -> bool:
        """Never: nobody is reached."""
        return False

    def connect(self, vif: Vif, address: str, port: int, *, within: float) -> socket.socket:
        """Nobody is reached. Raises `GuestUnreachable`."""
        raise GuestUnreachable(f"{self._name} has no wiring by which a guest could be reached")
