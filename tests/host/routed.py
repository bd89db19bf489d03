"""A host with an uplink to the outside, and guests of its networks that are namespaces: for tests of routers."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from uuid import uuid4

from slipway.drivers.wiring.linuxbridge.namespace import inside
from slipway.operations.batch import Status
from slipway.orchestrator import Orchestrator
from slipway.runfile import RunFile, loads
from tests.host.hosts import NetworkHost, run

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


def hears(namespace: str, source: str, action: Callable[[], object]) -> bool:
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


@contextmanager
def routed_site(state: Path) -> Iterator[Site]:
    """One that is gone at the end."""
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
        slipway = stack.enter_context(Orchestrator(state))
        site = Site(host, f"{name}-out", state, slipway)
        stack.callback(host.clear)
        stack.callback(lambda: [run("ip", "netns", "del", guest) for guest in site.guests])
        yield site
