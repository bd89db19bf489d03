"""A host's own address on a network: a cable into the network's bridge, and rules that let in answers alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from ipaddress import ip_interface, ip_network
from typing import TYPE_CHECKING

from slipway.drivers.wiring.linuxbridge import namespace, nft
from slipway.drivers.wiring.linuxbridge.addresses import UP, addresses_at, find, set_addresses, set_ipv6, translated
from slipway.drivers.wiring.linuxbridge.kernel import keep_host_away
from slipway.errors import WiringError
from slipway.model.machine import Vif
from slipway.model.network import Port

if TYPE_CHECKING:
    from pyroute2 import IPRoute

_PATIENCE = 10.0
_ARP = {"arp_ignore": "1", "arp_announce": "2"}
"""The host answers there for this address alone, and asks as nobody else."""


class HostAddress:
    """`hst<11 of the network's id>` with the address, `taph<10>` in the bridge, and a table of nftables.

    Guests get no more from the host than they would without it: answers to what it asked, and echoes. Nothing is
    forwarded by it. All raise `WiringError`.
    """

    def __init__(self, netns: str | None, installation: str, network_id: str) -> None:
        """`netns`: the host's."""
        self._netns = netns
        self._inner, self._tap = f"hst{network_id}"[:14], f"taph{network_id}"[:14]
        self._table = f"slipway-host-{network_id[:11]}"
        self._alias = f"slipway:{installation}:host"

    def set(self, vif: Vif, addresses: Sequence[str]) -> None:
        """Have the host have these, with their prefix lengths, in the VIF's bridge; none: nothing of it."""
        port = vif.host_port
        if not self.fault(vif, addresses):
            return
        if port is None or not addresses:
            self.clear()
            return
        self._check_free(addresses)
        with translated(f"the host's link {self._inner}"), namespace.open_links(self._netns) as links:
            master = find(links, vif.bridge)
            if master is None:
                raise WiringError(f"there is no bridge {vif.bridge} for the host to be in")
            self._check_ours(links)
            if find(links, self._inner) is None or find(links, self._tap) is None:
                self._make(links, port)
            # Before there is an address to send anything to.
            nft.load(self._netns, self._rules(addresses))
            links.link("set", ifname=self._inner, address=port.mac_address, mtu=vif.mtu, state="up")
            set_addresses(links, self._inner, addresses)
            links.link("set", ifname=self._tap, master=master["index"], mtu=vif.mtu, state="up")

    def clear(self) -> None:
        """Take it all away. Absent: nothing happens."""
        if not namespace.exists(self._netns):
            return
        with translated(f"the host's link {self._inner}"), namespace.open_links(self._netns) as links:
            self._check_ours(links)
            # Whoever deleted the link has left the rules.
            if nft.statements(self._netns, self._table):
                nft.load(self._netns, f"delete table inet {self._table}\n")
            found = [one for name in (self._inner, self._tap) if (one := find(links, name)) is not None]
            if found:
                # With one end the other one goes.
                links.link("del", index=found[0]["index"])

    def fault(self, vif: Vif, addresses: Sequence[str]) -> str:
        """What is not as it is to be."""
        with translated(f"the host's link {self._inner}"), namespace.open_links(self._netns) as links:
            own, tap, bridge = (find(links, name) for name in (self._inner, self._tap, vif.bridge))
            if vif.host_port is None or not addresses:
                return "" if own is None else f"the host has a link {self._inner} that it is not to have"
            if own is None or tap is None or not own["flags"] & tap["flags"] & UP:
                return f"the host's link {self._inner} is {'gone' if own is None or tap is None else 'down'}"
            if bridge is None or tap.get("master") != bridge["index"]:
                return f"the host's link {self._tap} is not in its bridge {vif.bridge}"
            if addresses_at(links, own["index"]) != set(map(ip_interface, addresses)):
                return f"the host has other addresses at {self._inner} than {', '.join(addresses)}"
            if own.get("address") != vif.host_port.mac_address or vif.mtu not in (0, own.get("mtu")):
                return f"the host's link {self._inner} has another MAC or MTU than its port"
        if nft.statements(self._netns, self._table) != nft.meaning(self._rules(addresses), self._table):
            return f"the host has other rules in table {self._table} than were applied"
        return ""

    def _make(self, links: IPRoute, port: Port) -> None:
        for name in (self._inner, self._tap):
            if (found := find(links, name)) is not None:
                links.link("del", index=found["index"])
        peer = {"ifname": self._inner, "address": port.mac_address}
        links.link("add", ifname=self._tap, kind="veth", peer=peer)
        for name in (self._tap, self._inner):
            links.link("set", ifname=name, ifalias=self._alias)
        keep_host_away(self._tap)
        # Nobody else has its address: it need not wait until that is found out, nor take addresses of others.
        for name in ("accept_dad", "accept_ra"):
            set_ipv6(self._inner, name, "0")
        for name, value in _ARP.items():
            with open(f"/proc/sys/net/ipv4/conf/{self._inner}/{name}", "w") as file:
                file.write(value)

    def _check_ours(self, links: IPRoute) -> None:
        for name in (self._inner, self._tap):
            found = find(links, name)
            if found is not None and found.get("ifalias") not in (self._alias, None):
                raise WiringError(f"{name} exists already and is not ours")

    def _check_free(self, addresses: Sequence[str]) -> None:
        """Raise where the host would not reach by its own way any more what it reaches now."""
        for version in ("-4", "-6"):
            listed = namespace.run(self._netns, ["ip", version, "-j", "route"], timeout=_PATIENCE).stdout
            for route in json.loads(listed or "[]"):
                if route["dst"] == "default" or route.get("dev") in (None, "lo", self._inner):
                    continue
                there = ip_network(route["dst"])
                for address in map(ip_interface, addresses):
                    if there.version == address.version and not there.is_link_local and there.overlaps(address.network):
                        raise WiringError(
                            f"the host cannot have {address} on the network: it reaches {there} by {route['dev']}; "
                            "give the subnet another range, or have the network without host_address"
                        )

    def _rules(self, addresses: Sequence[str]) -> str:
        own = {version: [str(a.ip) for a in map(ip_interface, addresses) if a.version == version] for version in (4, 6)}
        echo = [
            f"{family} daddr {{ {', '.join(own[version])} }} {kind} type echo-request accept"
            for version, family, kind in ((4, "ip", "icmp"), (6, "ip6", "icmpv6"))
            if own[version]
        ]
        guests = ["ct state established,related accept", *echo]
        guests += ["icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept", "drop"]
        return (
            f"add table inet {self._table}\ndelete table inet {self._table}\ntable inet {self._table} {{\n"
            f"chain guests {{\n{chr(10).join(guests)}\n}}\n"
            f'chain input {{\ntype filter hook input priority -10\niifname "{self._inner}" jump guests\n}}\n'
            f'chain forward {{\ntype filter hook forward priority -10\niifname "{self._inner}" drop\n'
            f'oifname "{self._inner}" drop\n}}\n}}\n'
        )
