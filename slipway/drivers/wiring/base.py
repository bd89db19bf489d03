"""What a wiring driver must do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Protocol

from slipway.model.machine import Lease, Vif, Wired
from slipway.model.network import DhcpOption, Port, SecurityGroupRule

if TYPE_CHECKING:
    import socket

    from slipway.model.hosted import HostedRouter


class WiringDriver(Protocol):
    """The bridges, taps, filters and DHCP servers of one host. Every call is safe to repeat.

    A tap is found by its name, which is made from its port's id; a filter and a DHCP entry by the port's id.
    Raises `WiringError` for what this host cannot do.
    """

    local: ClassVar[bool]

    def nics(self) -> Sequence[str]:
        """The links of the host by which a network could leave it, by name."""

    def plug(self, instance_id: str, vif: Vif) -> None:
        """Make the VIF's tap and put it into its network's bridge, which is made if it is not there."""

    def check_plug(self, vif: Vif) -> None:
        """Raise what `plug` would now for what the VIF's network needs of the host. Nothing is made."""

    def refresh_tap(self, vif: Vif) -> None:
        """Have the VIF's tap, where there is one, and what it leads to be as `vif` says: of its network's MTU."""

    def tap_is_current(self, vif: Vif) -> bool:
        """Whether the VIF's tap is as `vif` says; so where there is none."""

    def unplug(self, instance_id: str, devname: str) -> None:
        """Delete the tap, and the bridge when nothing else is in it. Absent: nothing happens."""

    def list_taps(self) -> Sequence[Wired]:
        """All taps that bear our tag, by name. Wrong with one is what keeps packets from where its network leads."""

    def apply_filter(self, instance_id: str, vif: Vif, rules: Sequence[SecurityGroupRule]) -> None:
        """Let through at the VIF's tap what its own addresses, its address pairs and `rules` allow, and nothing else.

        A port without port security is let alone. `rules` are those of all its security groups; where one names a
        remote group, that is all ports whose filters were applied, on whichever host. There already: it is replaced.
        """

    def refresh_filter(self, vif: Vif, rules: Sequence[SecurityGroupRule]) -> None:
        """Replace the port's filter, where there is one, after the port or its groups' rules have changed."""

    def filter_is_current(self, vif: Vif, rules: Sequence[SecurityGroupRule]) -> bool:
        """Whether the port's filter is by what `vif` and `rules` say; so where there is none."""

    def remove_filter(self, port_id: str) -> None:
        """Take the port's filter away, and the port out of the groups of the others. Absent: nothing happens."""

    def list_filters(self) -> Sequence[Wired]:
        """All filters with our tag, by their ports' ids. Wrong with one is that it is not as it was applied."""

    def serve_dhcp(self, instance_id: str, vif: Vif, server: Port) -> None:
        """Have the network's DHCP server on this host, whose own port is `server`, hand the VIF its addresses.

        Starts the server when it is not there, or no longer. Served already: its entry is replaced.
        """

    def refresh_dhcp(self, vifs: Sequence[Vif], server: Port) -> None:
        """Replace the entries, where there are any, of these ports of one network, after a port or subnet has changed.

        `server` is the server's own port as it is now.
        """

    def outdated_dhcp(self, vifs: Sequence[Vif], server: Port) -> Sequence[str]:
        """The ids of those of these ports of one network that are served by something else than this says."""

    def release_leases(self, network_id: str, port_id: str) -> None:
        """Forget what the port's guest has leased, so that it gets its addresses again whatever id it gives itself.

        Its entry stays. Absent: nothing happens.
        """

    def withdraw_dhcp(self, network_id: str, port_id: str) -> None:
        """Release the port's lease and remove its entry, and the server when it serves nobody else. Absent: nothing."""

    def check_dhcp_options(self, options: Sequence[DhcpOption]) -> None:
        """Raises `InvalidInput` for options of a port that the host's DHCP servers would refuse."""

    def list_dhcp(self) -> Sequence[Wired]:
        """The ports that are served, by id: those with an entry at a server that lives.

        Wrong with one is that its server does not work by what it was told.
        """

    def set_routers(self, wanted: Sequence[HostedRouter], *, anew: bool = False) -> None:
        """Have just these routers on this host, whichever it had. One that fails keeps no other one from it.

        `anew`: also what seems to be as it is to be is looked at in all its parts, and mended.
        """

    def list_routers(self, wanted: Sequence[HostedRouter]) -> Sequence[Wired]:
        """All routers of this host, by their ids.

        Wrong with one is what is not as it was set, or that one of `wanted` says something else of it.
        """

    def leases(self, vif: Vif) -> Sequence[Lease]:
        """The addresses of its port that the VIF's guest has got from the DHCP server on this host."""

    def answers(self, vif: Vif, address: str, *, port: int | None) -> bool:
        """Whether the guest answers at the address when it is asked from where the network's DHCP server is.

        A ping; with a `port`, a TCP connection on which an SSH server says what it is.
        """

    def connect(self, vif: Vif, address: str, port: int, *, within: float) -> socket.socket:
        """A TCP connection to the guest at this address and port, from where the network's DHCP server is.

        Raises `GuestUnreachable`, after `within` seconds where nothing answers.
        """
