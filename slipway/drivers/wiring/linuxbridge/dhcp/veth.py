"""The DHCP server's own namespace, and the veth pair that joins it to the network's bridge."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_interface
from typing import TYPE_CHECKING

from slipway.drivers.wiring.linuxbridge import namespace
from slipway.drivers.wiring.linuxbridge.addresses import UP, addresses_at, find, set_addresses, set_ipv6, translated
from slipway.errors import WiringError
from slipway.model.network import Port
from slipway.model.neutron import tap_name

if TYPE_CHECKING:
    from pyroute2 import IPRoute

_PATIENCE = 10.0


class ServerLinks:
    """`ns-<11 of the port's id>` in the server's namespace, `tap<11>` in the bridge, both with our tag as alias."""

    def __init__(self, netns: str | None, server_netns: str, alias: str) -> None:
        """`netns`: where the bridge is."""
        self._netns = netns
        self._server_netns = server_netns
        self._alias = alias

    def is_connected(self, port_id: str, bridge: str) -> bool:
        """Whether it was connected, which takes four times as long to do again."""
        tap = tap_name(port_id)
        if not namespace.exists(self._server_netns):
            return False
        with translated(f"the DHCP server's link {tap}"), namespace.open_links(self._netns) as links:
            found, master = find(links, tap), find(links, bridge)
            if found is None or master is None:
                return False
            # As the last thing it was put in the bridge, and up. Its other end cannot go without it.
            return bool(found.get("master") == master["index"] and found["flags"] & UP)

    def fault(self, server: Port, addresses: Sequence[str]) -> str:
        """What is wrong with the server's end of a pair that is connected."""
        inner = inner_name(server.id)
        with translated(f"the DHCP server's link {inner}"), namespace.open_links(self._server_netns) as own:
            link = find(own, inner)
            if link is None or not link["flags"] & UP:
                return f"its server's link {inner} is {'gone' if link is None else 'down'}"
            there, wanted = addresses_at(own, link["index"]), set(map(ip_interface, addresses))
        return "" if there == wanted else f"its server's link {inner} has other addresses than {', '.join(addresses)}"

    def connect(self, server: Port, addresses: Sequence[str], bridge: str, mtu: int) -> bool:
        """Make what is missing and mend what differs; whether the server's link is a new one.

        `addresses` have prefix lengths. Raises `WiringError`.
        """
        if not namespace.exists(self._server_netns):
            namespace.run(None, ["ip", "netns", "add", self._server_netns], timeout=_PATIENCE)
        tap, inner = tap_name(server.id), inner_name(server.id)
        # One after the other: without a name, the host's namespace is the one where we are.
        anew = not self._has(inner)
        if anew:
            self._make_pair(server, mtu)
        with translated(f"the DHCP server's link {inner}"), namespace.open_links(self._server_netns) as own:
            if anew:
                # Nobody else has its address: it need not wait until that is found out, nor take addresses of others.
                for name in ("accept_dad", "accept_ra"):
                    set_ipv6(inner, name, "0")
            own.link("set", ifname=inner, address=server.mac_address, mtu=mtu, ifalias=self._alias, state="up")
            own.link("set", ifname="lo", state="up")
            set_addresses(own, inner, addresses)
        with translated(f"the DHCP server's link {tap}"), namespace.open_links(self._netns) as links:
            master = _bridge(links, bridge)
            links.link("set", ifname=tap, master=master, mtu=mtu, ifalias=self._alias, state="up")
        return anew

    def disconnect(self, port_id: str) -> None:
        """Take the pair and the namespace away. Absent: nothing happens."""
        if namespace.exists(self._netns):
            self._delete_tap(tap_name(port_id))
        if namespace.exists(self._server_netns):
            namespace.run(None, ["ip", "netns", "delete", self._server_netns], timeout=_PATIENCE)

    def _has(self, inner: str) -> bool:
        with translated(f"the DHCP server's link {inner}"), namespace.open_links(self._server_netns) as own:
            return find(own, inner) is not None

    def _make_pair(self, server: Port, mtu: int) -> None:
        tap, inner = tap_name(server.id), inner_name(server.id)
        self._delete_tap(tap)
        with translated(f"the DHCP server's link {tap}"), namespace.open_links(self._netns) as links:
            links.link(
                "add",
                ifname=tap,
                kind="veth",
                mtu=mtu,
                peer={"ifname": inner, "net_ns_fd": self._server_netns, "address": server.mac_address},
            )
            # Soon after: what bears no tag is not ours to delete.
            links.link("set", ifname=tap, ifalias=self._alias)

    def _delete_tap(self, tap: str) -> None:
        with translated(f"the DHCP server's link {tap}"), namespace.open_links(self._netns) as links:
            found = find(links, tap)
            if found is None:
                return
            if found.get("ifalias") not in (self._alias, None):
                raise WiringError(f"{tap} exists already and is not ours")
            links.link("del", index=found["index"])


def inner_name(port_id: str) -> str:
    """The server's end."""
    return f"ns-{port_id}"[:14]


def _bridge(links: IPRoute, name: str) -> int:
    if (found := find(links, name)) is None:
        raise WiringError(f"there is no bridge {name} for the DHCP server to be in")
    return int(found["index"])
