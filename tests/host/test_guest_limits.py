"""What a guest cannot reach, by packets: its host, what others have, the outside unless it was told so.

The guests here have no filter at their taps: what is shown holds also for a port without port security. What guests may
not say in another's name is in `test_filters.py`.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

import pytest

from slipway.drivers.wiring.linuxbridge.namespace import inside
from tests.host import lan as net
from tests.host.hosts import run
from tests.host.routed import HOST, OUTSIDE, Site, pings
from tests.waiting import until

pytestmark = pytest.mark.host

PORT = 9753
METADATA = "169.254.169.254"
MINE = """
networks:
  mine: {nat: true, subnets: {mine-4: {cidr: 10.9.0.0/24}}, ports: {web: {}}}
  dry: {subnets: {dry-4: {cidr: 10.6.0.0/24}}, ports: {lone: {}}}
"""
WEB = "web-1: {flavor: tiny, image: guest, networks: [{port: web}]}"
LONE = "lone-1: {flavor: tiny, image: guest, networks: [{port: lone}]}"
THEIRS = """
project: rival
networks: {theirs: {nat: true, subnets: {theirs-4: {cidr: 10.7.0.0/24}}, ports: {safe: {}}}}
"""
SAFE = "safe-1: {flavor: tiny, image: guest, networks: [{port: safe}]}"


@dataclass
class Guest:
    """A namespace at a bridge, which says whatever it likes."""

    namespace: str
    mac: str
    address: str
    bridge: str
    site: Site

    def says(self, to: str, *, source: str = "", mac: str = "") -> None:
        """A datagram to an address, to the router unless another MAC is named."""
        with inside(self.namespace):
            wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        with wire:
            wire.bind(("eth0", 0))
            data = net.udp(PORT, PORT)
            wire.send(net.ipv4(self.mac, source or self.address, to, 17, data, to_mac=mac or self.router))

    @property
    def router(self) -> str:
        gateway = self.address.rpartition(".")[0] + ".1"
        said = run("ip", "-n", self.namespace, "neigh", "show", gateway).split()
        return said[said.index("lladdr") + 1] if "lladdr" in said else net.BROADCAST

    @property
    def bridges(self) -> str:
        """The MAC that the host itself has in the network."""
        return self.site.host.ip("-br", "link", "show", self.bridge).split()[2]


@contextmanager
def listening(*namespaces: str) -> Iterator[Callable[[Callable[[], object]], bool]]:
    """Whether a server in one of the namespaces gets a datagram while something is done."""
    with ExitStack() as stack:
        servers = []
        for namespace in namespaces:
            with inside(namespace):
                server = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                server.bind(("", PORT))
                server.settimeout(0.5)
                servers.append(server)

        def hears(action: Callable[[], object]) -> bool:
            action()
            return sum(map(_got, servers)) > 0

        yield hears


def _got(server: socket.socket) -> bool:
    try:
        return bool(server.recv(100))
    except TimeoutError:
        return False


def made(site: Site, port: str) -> Guest:
    (found,) = site.slipway.network.list_ports(name=port)
    bridge = f"brq{found.network_id}"[:14]
    return Guest(site.guest(port), found.mac_address, found.fixed_ips[0].ip_address, bridge, site)


def test_a_guest_reaches_what_it_was_told_and_nothing_else(site: Site) -> None:
    """One world: a guest with a way out, one without, another project's, their host, and somebody outside."""
    site.run(MINE, f"{WEB}, {LONE}")
    site.run(THEIRS, SAFE)
    web, lone, safe = made(site, "web"), made(site, "lone"), made(site, "safe")
    for guest in (web, safe):
        until(partial(pings, guest.namespace, OUTSIDE, seconds=1), "the way out")
    host, outside = site.host.name, site.outside
    # What a host has besides: clouds keep what is for it alone there; a source that it can answer.
    run("ip", "-n", host, "address", "add", f"{METADATA}/32", "dev", "lo")
    run("ip", "-n", host, "route", "add", "default", "via", OUTSIDE)
    ends = [line.split()[3] for line in run("ip", "-n", host, "-o", "-4", "address").splitlines() if "198.19." in line]
    links = [address.partition("/")[0] for address in ends]
    assert len(links) == 2
    routers = [link.rpartition(".")[0] + f".{int(link.rpartition('.')[2]) + 1}" for link in links]

    with listening(outside) as hears:
        assert hears(lambda: web.says(OUTSIDE)), "told so"
        leaks = {
            "the outside without a router": hears(lambda: lone.says(OUTSIDE, mac=lone.bridges)),
            "the outside past the router": hears(lambda: web.says(OUTSIDE, mac=web.bridges)),
            "the outside in another's name": hears(lambda: web.says(OUTSIDE, source="10.9.0.77", mac=web.bridges)),
            "the outside from a source elsewhere": hears(lambda: web.says(OUTSIDE, source=safe.address)),
        }
    with listening(host) as hears:
        for name, address in {
            "the host": HOST,
            "the host's loopback": "127.0.0.1",
            "what the host has at link-local": METADATA,
            "the host's end of the router's link": links[0],
            "the host's end of another router's link": links[1],
        }.items():
            for way, mac in {"by the router": "", "by the bridge": web.bridges, "by all": net.BROADCAST}.items():
                leaks[f"{name} {way}"] = hears(partial(web.says, address, mac=mac))
        leaks["the host from a network without a router"] = hears(lambda: lone.says(HOST, mac=lone.bridges))
    with listening(safe.namespace) as hears:
        leaks["another project's guest by the router"] = hears(lambda: web.says(safe.address))
        leaks["another project's guest by the bridge"] = hears(lambda: web.says(safe.address, mac=web.bridges))
    other = [name for name in site.namespaces() if name != _router_of(site, "mine-router")]
    with listening(*other) as hears:
        for address in (*routers, "10.7.0.1"):
            leaks[f"another project's router at {address}"] = hears(partial(web.says, address))
    for address in (HOST, METADATA, *links):
        leaks[f"the host's answer to ARP for {address}"] = _answers_arp(web, address)
    assert {name for name, leaked in leaks.items() if leaked} == set()


def _router_of(site: Site, name: str) -> str:
    (router,) = site.slipway.network.list_routers(name=name)
    return next(each for each in site.namespaces() if router.id in each)


def _answers_arp(guest: Guest, address: str) -> bool:
    with inside(guest.namespace):
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(net.ARP))
    with wire:
        wire.bind(("eth0", net.ARP))
        wire.settimeout(0.5)
        wire.send(net.arp(guest.mac, guest.address, target=address))
        try:
            while True:
                said = wire.recv(100)
                if said[20:22] == b"\0\x02" and said[28:32] == socket.inet_aton(address):
                    return True
        except TimeoutError:
            return False
