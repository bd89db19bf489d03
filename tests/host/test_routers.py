"""Routers of a real host, by the packets that pass: guests behind them, and somebody outside, each in a namespace."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from uuid import uuid4

import pytest

from slipway.drivers.wiring.linuxbridge.namespace import inside
from slipway.networks.routing_attributes import GatewayRequest
from slipway.operations.batch import Status
from slipway.orchestrator import Orchestrator
from slipway.runfile import RunFile, loads
from tests.host.hosts import NetworkHost, Things, processes, run, things
from tests.waiting import until

pytestmark = pytest.mark.host

OUTSIDE, HOST = "192.0.2.9", "192.0.2.1"
"""Somebody outside, and the host on the same wire; each in a range that nobody has."""
FAR = "198.51.100.9"
"""Who is outside, on the wire of a physical network."""


@dataclass
class Site:
    """A host with an uplink to the outside; guests are joined by hand to the bridges of their networks."""

    host: NetworkHost
    outside: str
    state: Path
    slipway: Orchestrator
    guests: list[str] = field(default_factory=list)

    def entry(self) -> str:
        drivers = 'compute: libvirt, uri: "test:///default", accel: tcg, disks: sim, wiring: linuxbridge'
        where = f"netns: {self.host.name}, physical_nic: wire"
        return f"{self.host.name}: {{vcpus: 8, memory: 8GiB, disk: 1TiB, {drivers}, {where}}}"

    def file(self, text: str, instances: str = "") -> RunFile:
        whole = f"""
schema: 1
hosts: {{{self.entry()}}}
flavors: {{tiny: {{vcpus: 1, memory: 128MiB, disk: 1GiB}}}}
images: {{guest: {{path: ./guest.qcow2, format: qcow2}}}}
instances: {{{instances}}}
{text}
"""
        return loads(whole, "routers.yaml")

    def run(self, text: str, instances: str = "") -> None:
        for ended in self.slipway.run(self.file(text, instances)).ended:
            assert ended.status in (Status.BUILT, Status.UNCHANGED), ended.message

    def guest(self, port: str, *more: str) -> str:
        """A namespace that is the guest of the port: what the domain would be at its tap is at the bridge."""
        (found,) = self.slipway.network.list_ports(name=port)
        name, end = f"{self.host.name}-g{len(self.guests)}", f"g{len(self.guests)}"
        run("ip", "netns", "add", name)
        self.guests.append(name)
        self.host.ip("link", "add", end, "type", "veth", "peer", "name", "eth0", "netns", name)
        self.host.ip("link", "set", end, "master", f"brq{found.network_id}"[:14], "up")
        inside = ("ip", "-n", name)
        run(*inside, "link", "set", "eth0", "address", found.mac_address, "up")
        run(*inside, "link", "set", "lo", "up")
        for ip in found.fixed_ips:
            subnet = self.slipway.network.show_subnet(ip.subnet_id)
            if subnet.ip_version == 4:
                run(*inside, "address", "add", f"{ip.ip_address}/{subnet.cidr.partition('/')[2]}", "dev", "eth0")
                run(*inside, "route", "add", "default", "via", subnet.gateway_ip or "")
        return name

    def findings(self) -> list[tuple[str, str, str]]:
        return [(str(one.difference), one.kind, one.detail) for one in self.slipway.audit()]

    def namespaces(self) -> list[str]:
        return [name for name in self.host.namespaces() if name.startswith("qrouter-")]

    def inside(self) -> str:
        (name,) = self.namespaces()
        return name


def pings(namespace: str, address: str, *more: str, seconds: int = 5) -> bool:
    words = ("ip", "netns", "exec", namespace, "ping", "-n", "-q", "-c", "1", "-W", str(seconds), *more, address)
    return subprocess.run(words, check=False, capture_output=True).returncode == 0


def ask(namespace: str, server: str, address: str, port: int, at: int, seconds: int = 8) -> str | None:
    """Who a TCP server in the namespace `server` sees, when somebody in another asks for it by address and port."""
    serve = (
        f"import socket; s = socket.create_server(('', {at})); s.settimeout(20); print(flush=True); "
        "c, a = s.accept(); c.send(a[0].encode())"
    )
    call = (
        f"import socket; print(socket.create_connection(('{address}', {port}), timeout={seconds}).recv(100).decode())"
    )
    with subprocess.Popen(
        ("ip", "netns", "exec", server, "python3", "-I", "-S", "-c", serve),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as serving:
        assert serving.stdout is not None
        serving.stdout.readline()
        words = ("ip", "netns", "exec", namespace, "python3", "-I", "-S", "-c", call)
        asked = subprocess.run(words, check=False, capture_output=True, text=True)
        if asked.returncode != 0:
            serving.kill()
            return None
        return asked.stdout.strip()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    pytest.importorskip("libvirt", reason="libvirt-python is not installed")
    name = f"slp-{uuid4().hex[:6]}"
    with ExitStack() as stack:
        for namespace in (name, f"{name}-out"):
            run("ip", "netns", "add", namespace)
            stack.callback(run, "ip", "netns", "del", namespace)
            run("ip", "-n", namespace, "link", "set", "lo", "up")
        host = NetworkHost(name)
        host.ip("link", "add", "uplink", "type", "veth", "peer", "name", "eth0", "netns", f"{name}-out")
        for namespace, device, address in ((name, "uplink", HOST), (f"{name}-out", "eth0", OUTSIDE)):
            run("ip", "-n", namespace, "address", "add", f"{address}/24", "dev", device)
            run("ip", "-n", namespace, "link", "set", device, "up")
        # Another one, with nothing but frames on it.
        host.ip("link", "add", "wire", "type", "veth", "peer", "name", "wire0", "netns", f"{name}-out")
        host.ip("link", "set", "wire", "up")
        run("ip", "-n", f"{name}-out", "address", "add", f"{FAR}/24", "dev", "wire0")
        run("ip", "-n", f"{name}-out", "link", "set", "wire0", "up")
        # For the floating IPs; nobody out there knows of the guests' own addresses, nor should.
        run("ip", "-n", f"{name}-out", "route", "add", "default", "via", HOST)
        slipway = stack.enter_context(Orchestrator(tmp_path / "state"))
        site = Site(host, f"{name}-out", tmp_path / "state", slipway)
        stack.callback(host.clear)
        stack.callback(lambda: [run("ip", "netns", "del", guest) for guest in site.guests])
        yield site


NETWORKS = """
networks:
  public: {external: true, provider: {type: local}, subnets: {pub: {cidr: 203.0.113.0/24}}}
  front:
    provider: {type: local}
    subnets: {front-4: {cidr: 10.9.0.0/24}, front-6: {cidr: fd00:9::/64, ipv6_ra_mode: slaac, ipv6_address_mode: slaac}}
    ports: {web: {}}
  back: {provider: {type: local}, subnets: {back-4: {cidr: 10.8.0.0/24}}, ports: {db: {}}}
"""
ROUTER = """
routers: {edge: {external_network: public, subnets: [front-4, front-6, back-4]}}
"""
WEB, DB = (f"{port}-1: {{flavor: tiny, image: guest, networks: [{{port: {port}}}]}}" for port in ("web", "db"))
BOTH = f"{WEB}, {DB}"


def _address(site: Site, port: str) -> str:
    return site.slipway.network.list_ports(name=port)[0].fixed_ips[0].ip_address


def _found(site: Site) -> Things:
    """All that there is but for what routers are kept in."""
    return things([site.host], site.state)


def _hears(namespace: str, source: str, action: Callable[[], object]) -> bool:
    """Whether a packet from that source comes to the namespace while something is done."""
    wanted = ip_address(source)
    ethertype, where = (0x0800, slice(12, 16)) if wanted.version == 4 else (0x86DD, slice(8, 24))
    with inside(namespace):
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ethertype))
    with wire:
        wire.settimeout(1)
        action()
        with suppress(TimeoutError):
            while True:
                if wire.recv(2000)[where] == wanted.packed:
                    return True
    return False


# --- what may be broken, and is found and mended ------------------------------------------------------------------


def _in_router(*words: str) -> Callable[[Site], object]:
    return lambda site: run("ip", "netns", "exec", site.inside(), *words)


def _on_host(*words: str) -> Callable[[Site], object]:
    return lambda site: run("ip", "netns", "exec", site.host.name, *words)


def _flush_on_host(site: Site) -> None:
    (router,) = site.slipway.network.list_routers()
    run("ip", "netns", "exec", site.host.name, "nft", "flush", "table", "inet", f"slipway-{router.id}")


def _out_of_its_bridge(site: Site) -> None:
    (port,) = site.slipway.network.list_ports(device_owner="network:router_interface", network_id=_network(site))
    site.host.ip("link", "set", f"tap{port.id}"[:14], "nomaster")


def _network(site: Site) -> str:
    return site.slipway.network.list_networks(name="back")[0].id


def _silence(site: Site) -> None:
    for one in processes(site.state):
        if f"{site.state}/routers/" in " ".join(one.cmdline()):
            one.kill()


DAMAGES: dict[str, Callable[[Site], object]] = {
    "rules flushed": _in_router("nft", "flush", "ruleset"),
    "rules on the host flushed": _flush_on_host,
    "host forwards nothing": _on_host("sysctl", "-qw", "net.ipv4.ip_forward=0"),
    "forwards nothing": _in_router("sysctl", "-qw", "net.ipv4.ip_forward=0"),
    "no way out": _in_router("ip", "route", "del", "default"),
    "namespace gone": lambda site: run("ip", "netns", "del", site.inside()),
    "out of its bridge": _out_of_its_bridge,
    "tells nobody": _silence,
}


def test_what_passes_a_router_on_the_hosts_own_uplink(site: Site) -> None:
    """One world for all: a way out only with a router, what the outside sees, ways in, what may not pass."""
    before = _found(site)
    site.run(NETWORKS, BOTH)
    web, db = site.guest("web"), site.guest("db")
    # Nobody has the gateway's address.
    assert not pings(web, OUTSIDE, seconds=1)
    assert not pings(web, "10.8.0.1", seconds=1)
    assert site.namespaces() == []
    assert site.findings() == []

    site.run(NETWORKS + ROUTER, BOTH)
    assert site.findings() == []
    # A bridge forwards by a new cable once it has heard that the other end is up.
    until(lambda: pings(web, OUTSIDE, seconds=1), "the way out")
    until(lambda: pings(web, _address(site, "db"), seconds=1), "the way to the other subnet")
    assert ask(web, site.outside, OUTSIDE, 8000, 8000) == HOST
    # Guests reach neither the host's services, nor what clouds keep at link-local addresses.
    assert not pings(web, HOST, seconds=1)
    assert ask(web, site.host.name, HOST, 8000, 8000, seconds=1) is None
    # Nobody begins a conversation with a guest by its own address.
    run("ip", "-n", site.host.name, "route", "add", "10.9.0.0/24", "via", "198.19.0.2")
    assert not pings(site.outside, _address(site, "web"), seconds=1)
    run("ip", "-n", site.host.name, "route", "del", "10.9.0.0/24")
    # IPv6: the router tells that it is the way out, and its other side is reached.
    until(lambda: "default" in run("ip", "-n", web, "-6", "route", "show", "proto", "ra"), "a way out by IPv6")
    # What says that it comes from elsewhere is not forwarded.
    run("ip", "-n", web, "address", "add", "10.77.0.1/32", "dev", "lo")
    assert _hears(db, _address(site, "web"), lambda: pings(web, _address(site, "db")))
    assert not _hears(db, "10.77.0.1", lambda: pings(web, _address(site, "db"), "-I", "10.77.0.1", seconds=1))

    router = site.slipway.network.list_routers(name="edge")[0]
    (public,) = site.slipway.network.list_networks(name="public")
    (port,) = site.slipway.network.list_ports(name="web")
    floating = site.slipway.network.create_floatingip(floating_network_id=public.id, port_id=port.id)
    assert pings(site.outside, floating.floating_ip_address)
    assert ask(site.outside, web, floating.floating_ip_address, 8000, 8000) == OUTSIDE
    assert ask(db, web, floating.floating_ip_address, 8000, 8000) == "198.19.0.2"
    site.slipway.network.update_floatingip(floating.id, port_id=None)
    assert not pings(site.outside, floating.floating_ip_address, seconds=1)
    (inner,) = site.slipway.network.list_ports(name="db")
    for outer, at in (("80", "8080"), ("7000:7002", "9000:9002"), ("6000:6002", "6000:6002")):
        site.slipway.network.create_port_forwarding(
            floating.id,
            protocol="tcp",
            internal_port_id=inner.id,
            internal_ip_address=inner.fixed_ips[0].ip_address,
            external_port_range=outer,
            internal_port_range=at,
        )
    assert ask(site.outside, db, floating.floating_ip_address, 80, 8080) == OUTSIDE
    assert ask(site.outside, db, floating.floating_ip_address, 7002, 9002) == OUTSIDE
    assert ask(site.outside, db, floating.floating_ip_address, 6001, 6001) == OUTSIDE
    assert ask(site.outside, db, floating.floating_ip_address, 8080, 8080, seconds=1) is None
    # A network behind a guest, by a static route.
    run("ip", "-n", db, "address", "add", "10.55.0.1/32", "dev", "lo")
    assert not pings(web, "10.55.0.1", seconds=1)
    site.slipway.network.add_extraroutes(
        router.id, [{"destination": "10.55.0.0/24", "nexthop": inner.fixed_ips[0].ip_address}]
    )
    assert pings(web, "10.55.0.1")
    assert pings(db, OUTSIDE, "-I", "10.55.0.1")
    assert site.findings() == []

    for name, damage in DAMAGES.items():
        damage(site)
        assert {kind for _, kind, _ in site.findings()} == {"router"}, name
        site.slipway.repair()
        assert site.findings() == [], name
        assert pings(web, OUTSIDE), name
    site.host.ip("link", "del", "g0")
    site.host.ip("link", "del", "g1")
    site.slipway.delete("web-1")
    assert len(site.namespaces()) == 1
    site.slipway.delete("db-1")
    assert _found(site) == before
    assert run("ip", "netns", "exec", site.host.name, "cat", "/proc/sys/net/ipv4/ip_forward") == "0\n"


PHYSICAL = """
networks:
  public:
    external: true
    provider: {type: flat, physical_network: physnet1}
    subnets: {pub: {cidr: 198.51.100.0/24, gateway: 198.51.100.9}}
  front: {provider: {type: local}, subnets: {front-4: {cidr: 10.9.0.0/24}}, ports: {web: {}}}
routers: {edge: {external_network: public, external_ips: [198.51.100.5], subnets: [front-4]}}
floating_ips: {web: {network: public, address: 198.51.100.7}}
"""


def test_a_way_out_by_a_physical_network(site: Site) -> None:
    """The outside sees the router's address, or the floating IP, and asks for both on its wire."""
    before = _found(site)
    site.run(PHYSICAL, WEB)
    web = site.guest("web")
    assert ask(web, site.outside, FAR, 8000, 8000) == "198.51.100.5"
    assert pings(site.outside, "198.51.100.5")
    assert not pings(site.outside, "198.51.100.7", seconds=1)
    site.run(PHYSICAL.replace("network: public, address", "network: public, port: web, address"), WEB)
    assert ask(site.outside, web, "198.51.100.7", 8000, 8000) == FAR
    assert ask(web, site.outside, FAR, 8000, 8000) == "198.51.100.7"
    # Without SNAT a guest has its own address out there.
    (router,) = site.slipway.network.list_routers()
    site.slipway.network.update_floatingip(site.slipway.network.list_floatingips()[0].id, port_id=None)
    (public,) = site.slipway.network.list_networks(name="public")
    gateway: GatewayRequest = {"network_id": public.id, "enable_snat": False}
    site.slipway.network.update_router(router.id, external_gateway_info=gateway)
    run("ip", "-n", site.outside, "route", "add", "10.9.0.0/24", "via", "198.51.100.5")
    assert ask(web, site.outside, FAR, 8000, 8000) == _address(site, "web")
    assert site.findings() == []
    site.host.ip("link", "del", "g0")
    site.slipway.network.update_router(router.id, admin_state_up=False)
    assert site.namespaces() == []
    site.slipway.delete("web-1")
    assert _found(site) == before


DUAL = """
networks:
  public:
    external: true
    provider: {type: flat, physical_network: physnet1}
    subnets:
      pub: {cidr: 198.51.100.0/24, gateway: 198.51.100.9}
      pub-6: {cidr: "2001:db8:51::/64", gateway: "2001:db8:51::9"}
  front:
    provider: {type: local}
    subnets:
      front-4: {cidr: 10.9.0.0/24}
      front-6: {cidr: "2001:db8:9::/64", ipv6_ra_mode: slaac, ipv6_address_mode: slaac}
    ports: {web: {}}
"""
EDGE = """
routers: {edge: {external_network: public, external_ips: [198.51.100.5, "2001:db8:51::5"], subnets: [front-4, front-6]}}
floating_ips: {web: {network: public, port: web, address: 198.51.100.7}}
"""


def _remembers(namespace: str, device: str, address: str) -> Callable[[], bool]:
    """Have the namespace know the address at a MAC that has gone; gives whether it knows a better one by now."""
    gone = "02:00:00:00:00:66"
    run("ip", "-n", namespace, "neigh", "replace", address, "lladdr", gone, "dev", device, "nud", "stale")
    return lambda: gone not in run("ip", "-n", namespace, "neigh", "show", address, "dev", device)


def test_neighbours_hear_of_addresses_and_ipv6_leaves_as_it_is(site: Site) -> None:
    """Nobody asks: whoever knew an address elsewhere is told of the router's link, inside and outside."""
    before = _found(site)
    run("ip", "-n", site.outside, "address", "add", "2001:db8:51::9/64", "dev", "wire0", "nodad")
    site.run(DUAL, WEB)
    web = site.guest("web")
    outside, known = ("198.51.100.5", "198.51.100.7", "2001:db8:51::5"), []
    known += [(address, _remembers(site.outside, "wire0", address)) for address in outside]
    known += [(address, _remembers(web, "eth0", address)) for address in ("10.9.0.1", "2001:db8:9::")]
    time.sleep(1.1)  # What a kernel has just been told it believes for a second.
    site.run(DUAL + EDGE, WEB)
    for address, is_told in known:
        until(is_told, f"word of {address}")
    # A floating IP that comes later.
    (floating,) = site.slipway.network.list_floatingips()
    port = floating.port_id
    site.slipway.network.update_floatingip(floating.id, port_id=None)
    is_told = _remembers(site.outside, "wire0", "198.51.100.7")
    time.sleep(1.1)
    site.slipway.network.update_floatingip(floating.id, port_id=port)
    until(is_told, "word of the floating IP")

    own = next(ip.ip_address for ip in site.slipway.network.list_ports(name="web")[0].fixed_ips if ":" in ip.ip_address)
    until(lambda: "default" in run("ip", "-n", web, "-6", "route", "show", "proto", "ra"), "a way out by IPv6")
    run("ip", "-n", site.outside, "route", "add", "2001:db8:9::/64", "via", "2001:db8:51::5")
    until(lambda: pings(web, "2001:db8:51::9", seconds=1), "the way out by IPv6")
    assert _hears(site.outside, own, lambda: pings(web, "2001:db8:51::9"))
    assert site.findings() == []
    site.host.ip("link", "del", "g0")
    site.slipway.delete("web-1")
    assert _found(site) == before


NAT = """
networks: {front: {nat: true, subnets: {front-4: {cidr: 10.9.0.0/24}}, ports: {web: {}}}}
"""


def test_nat_is_a_router_by_itself(site: Site) -> None:
    """A host that forwards already goes on doing so."""
    before = _found(site)
    run("ip", "netns", "exec", site.host.name, "sysctl", "-qw", "net.ipv4.ip_forward=1")
    site.run(NAT, WEB)
    assert ask(site.guest("web"), site.outside, OUTSIDE, 8000, 8000) == HOST
    assert site.findings() == []
    site.host.ip("link", "del", "g0")
    site.slipway.destroy(site.file(NAT, WEB))
    assert _found(site) == before
    assert list(site.slipway.network.list_routers()) == []
    assert run("ip", "netns", "exec", site.host.name, "cat", "/proc/sys/net/ipv4/ip_forward") == "1\n"
