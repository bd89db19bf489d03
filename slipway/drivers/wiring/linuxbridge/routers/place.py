"""A router's own namespace: its links, addresses and routes, and that the kernel forwards in it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from ipaddress import ip_interface, ip_network

from msgspec import Struct
from msgspec.structs import replace

from slipway.drivers.wiring.linuxbridge import namespace
from slipway.drivers.wiring.linuxbridge.addresses import (
    UP,
    addresses_at,
    find,
    set_addresses,
    set_ipv6,
    translated,
)
from slipway.drivers.wiring.linuxbridge.routers.announced import announce
from slipway.model.hosted import HostedRouter
from slipway.model.machine import Vif

_PATIENCE = 10.0
_PROTOCOL = "113"
"""By which our routes are known: whatever else is routed there stays."""

_FORWARDS = ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding")
_ARP = {"net/ipv4/conf/all/arp_ignore": "1", "net/ipv4/conf/all/arp_announce": "2"}
"""Each link answers for its own addresses alone: of two on one network the other one would answer as well."""


class Link(Struct, frozen=True):
    """A link of the router: its name, MAC, MTU and addresses with their prefix lengths."""

    name: str
    mac_address: str
    mtu: int
    addresses: tuple[str, ...]


class Way(Struct, frozen=True, order=True):
    """A route; `device` where the next hop need not be on a subnet of the link."""

    destination: str
    nexthop: str
    device: str = ""


def inside_name(port_id: str) -> str:
    """The router's end of the link into a network behind it."""
    return f"qr-{port_id}"[:14]


def outside_name(port_id: str) -> str:
    """The router's end of the link to the outside."""
    return f"qg-{port_id}"[:14]


def link_of(vif: Vif, name: str, more: Sequence[str] = ()) -> Link:
    """The link that has the VIF's addresses, and more."""
    lengths = {subnet.id: ip_network(subnet.cidr).prefixlen for subnet in vif.subnets}
    own = [f"{ip.ip_address}/{lengths[ip.subnet_id]}" for ip in vif.fixed_ips if ip.subnet_id in lengths]
    return Link(name, vif.mac_address, vif.mtu, (*own, *more))


def ways_of(hosted: HostedRouter, default: str | None) -> list[Way]:
    """The routes that the router is to have; `default`: the next hop of IPv4 where its host is the way out."""
    routes = [Way(route.destination, route.nexthop) for route in hosted.router.routes]
    if hosted.outside is not None:
        name = outside_name(hosted.outside.port_id)
        hops = [subnet.gateway_ip for subnet in hosted.outside.subnets if subnet.gateway_ip and not hosted.by_host]
        hops = [default] if default else hops
        routes += [Way("::/0" if ":" in hop else "0.0.0.0/0", hop, name) for hop in hops]
    return sorted(routes)


class Place:
    """The namespace. All raise `WiringError`."""

    def __init__(self, netns: str) -> None:
        self.netns = netns

    def make(self) -> None:
        """Make it, and have it forward."""
        if not namespace.exists(self.netns):
            namespace.run(None, ["ip", "netns", "add", self.netns], timeout=_PATIENCE)
        with namespace.inside(self.netns):
            for name, value in {**dict.fromkeys(_FORWARDS, "1"), **_ARP}.items():
                write(name, value)
        with translated("the router's links"), namespace.open_links(self.netns) as own:
            own.link("set", ifname="lo", state="up")

    def delete(self) -> None:
        """Delete it with its links. Absent: nothing happens."""
        if namespace.exists(self.netns):
            namespace.run(None, ["ip", "netns", "delete", self.netns], timeout=_PATIENCE)

    def equip(self, links: Sequence[Link]) -> list[Link]:
        """Have the links, which are there, be as they are to be; gives those with the addresses that are new there."""
        fresh = []
        for link in links:
            with translated(f"the router's link {link.name}"), namespace.open_links(self.netns) as own:
                if not (find(own, link.name) or {"flags": UP})["flags"] & UP:
                    # Nobody else has its address: it need not wait until that is found out, nor hear other routers.
                    for name in ("accept_dad", "accept_ra"):
                        set_ipv6(link.name, name, "0")
                mtu = {"mtu": link.mtu} if link.mtu > 0 else {}
                own.link("set", ifname=link.name, address=link.mac_address, state="up", **mtu)
                if added := set_addresses(own, link.name, link.addresses):
                    fresh.append(replace(link, addresses=tuple(added)))
        return fresh

    def tell(self, links: Sequence[Link]) -> None:
        """Tell those at the links of their addresses. What nobody hears is no error: it only saves them time."""
        with namespace.inside(self.netns):
            for link in links:
                with suppress(OSError):
                    announce(link.name, link.mac_address, link.addresses)

    def lead(self, ways: Sequence[Way]) -> None:
        """Have just these routes."""
        there = self._ways()
        for way in sorted(there - {*ways}):
            self._ip(*_family(way), "route", "del", *_words(way))
        for way in sorted({*ways} - there):
            self._ip(*_family(way), "route", "replace", *_words(way))

    def names(self) -> list[str]:
        """The links that lead to networks, or outside."""
        if not namespace.exists(self.netns):
            return []
        listed = json.loads(self._ip("-j", "link"))
        return sorted(link["ifname"] for link in listed if link["ifname"].startswith(("qr-", "qg-")))

    def faults(self, links: Sequence[Link], ways: Sequence[Way]) -> Iterator[str]:
        """What is not as it is to be."""
        with namespace.inside(self.netns):
            if any(read(name) != "1" for name in _FORWARDS):
                yield "its namespace forwards no packets"
        with translated("the router's links"), namespace.open_links(self.netns) as own:
            for link in links:
                found = find(own, link.name)
                if found is None or not found["flags"] & UP:
                    yield f"its link {link.name} is {'gone' if found is None else 'down'}"
                elif addresses_at(own, found["index"]) != {*map(ip_interface, link.addresses)}:
                    yield f"its link {link.name} has other addresses than {', '.join(link.addresses)}"
        if lost := sorted({*ways} - self._ways()):
            yield f"it has no route to {', '.join(way.destination for way in lost)}"

    def _ways(self) -> set[Way]:
        found = set()
        for version, everywhere in (("-4", "0.0.0.0/0"), ("-6", "::/0")):
            for route in json.loads(self._ip(version, "-j", "route", "show", "proto", _PROTOCOL) or "[]"):
                to = everywhere if route["dst"] == "default" else str(ip_network(route["dst"]))
                onlink = "onlink" in route.get("flags", ())
                found.add(Way(to, route.get("gateway", ""), route["dev"] if onlink else ""))
        return found

    def _ip(self, *words: str) -> str:
        return namespace.run(self.netns, ["ip", *words], timeout=_PATIENCE).stdout


def _family(way: Way) -> tuple[str]:
    return ("-6" if ":" in way.destination else "-4",)


def _words(way: Way) -> list[str]:
    where = ["dev", way.device, "onlink"] if way.device else []
    return [way.destination, "via", way.nexthop, *where, "proto", _PROTOCOL]


def read(name: str) -> str:
    """What a setting of the namespace says in which we are; "" where the kernel has none."""
    try:
        with open(f"/proc/sys/{name}") as file:
            return file.read().strip()
    except FileNotFoundError:
        return ""


def write(name: str, value: str) -> None:
    """Set it, where it is not so; a kernel without IPv6 has no such settings."""
    if read(name) not in ("", value):
        with open(f"/proc/sys/{name}", "w") as file:
            file.write(value)
