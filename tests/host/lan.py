"""Hosts that are network namespaces with a bridge each, and guests that are namespaces at their taps."""

from __future__ import annotations

import ipaddress
import json
import os
import socket
import struct
import subprocess
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from slipway.drivers.wiring.linuxbridge.namespace import inside
from slipway.model.machine import Vif
from slipway.model.network import AddressPair, FixedIp, SecurityGroupRule
from slipway.model.request import Host
from tests.waiting import PATIENCE

_NOTHING_COMES = 0.25
"""Seconds after which what was sent over a bridge is taken for dropped: the sender's own system call takes it there."""

ARP, IPV4, IPV6 = 0x0806, 0x0800, 0x86DD
BROADCAST = "ff:ff:ff:ff:ff:ff"


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@dataclass
class Lan:
    """Namespaces with names of their own, all gone at the end."""

    tag: str = field(default_factory=lambda: f"swf-{uuid.uuid4().hex[:6]}")
    network_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    namespaces: list[str] = field(default_factory=list)
    guests: int = 0

    @property
    def bridge(self) -> str:
        return f"brq{self.network_id[:11]}"

    def namespace(self, name: str) -> str:
        namespace = f"{self.tag}-{name}"
        ip("netns", "add", namespace)
        self.namespaces.append(namespace)
        ip("-n", namespace, "link", "set", "lo", "up")
        return namespace

    def host(self, name: str = "one") -> Host:
        host = Host(name, 1, 1, 1, netns=self.namespace(name))
        self.add_bridge(host, self.bridge)
        return host

    def add_bridge(self, host: Host, bridge: str) -> None:
        assert host.netns is not None
        ip("-n", host.netns, "link", "add", bridge, "type", "bridge", "mcast_snooping", "0", "forward_delay", "0")
        ip("-n", host.netns, "link", "set", bridge, "up")

    def join(self, one: Host, other: Host) -> None:
        """A cable between the bridges of two hosts."""
        assert one.netns is not None
        assert other.netns is not None
        ip("-n", one.netns, "link", "add", "uplink", "type", "veth", "peer", "name", "uplink", "netns", other.netns)
        for namespace in (one.netns, other.netns):
            ip("-n", namespace, "link", "set", "uplink", "master", self.bridge, "up")
        for namespace in (one.netns, other.netns):
            _await_forwarding(namespace, "uplink")

    def guest(self, host: Host, *, network_id: str = "", number: int = 0, **says: Any) -> Guest:
        """A guest with its tap in the bridge, with an IPv4 and an IPv6 address."""
        assert host.netns is not None
        self.guests += 1
        number = number or self.guests
        namespace = self.namespace(f"g{self.guests}")
        port_id, network_id = str(uuid.uuid4()), network_id or self.network_id
        vif = Vif(
            port_id=port_id,
            network_id=network_id,
            network_name="net",
            mac_address=f"fa:16:3e:00:00:{number:02x}",
            devname=f"tap{port_id[:11]}",
            bridge=f"brq{network_id[:11]}",
            mtu=1500,
            vif_type="bridge",
            vnic_type="normal",
            fixed_ips=(FixedIp("4", f"10.9.0.{number}"), FixedIp("6", f"fd00::{number:x}")),
            subnets=(),
            active=True,
            preserve_on_delete=False,
        )
        vif = replace(vif, **says)
        ip("-n", host.netns, "link", "add", vif.devname, "type", "veth", "peer", "name", "eth0", "netns", namespace)
        ip("-n", host.netns, "link", "set", vif.devname, "master", vif.bridge, "up")
        ip("-n", namespace, "link", "set", "eth0", "address", vif.mac_address, "up")
        ip("-n", namespace, "addr", "add", f"{vif.fixed_ips[0].ip_address}/24", "dev", "eth0")
        ip("-n", namespace, "addr", "add", f"{vif.fixed_ips[1].ip_address}/64", "dev", "eth0", "nodad")
        _await_forwarding(host.netns, vif.devname)
        return Guest(namespace, vif)

    def close(self) -> None:
        for namespace in self.namespaces:
            with suppress(subprocess.CalledProcessError):
                ip("netns", "del", namespace)


@dataclass(frozen=True)
class Guest:
    namespace: str
    vif: Vif

    @property
    def mac(self) -> str:
        return self.vif.mac_address

    def address(self, version: int = 4) -> str:
        return self.vif.fixed_ips[0 if version == 4 else 1].ip_address

    def add_address(self, address: str) -> None:
        ip("-n", self.namespace, "addr", "add", address, "dev", "eth0", *(["nodad"] if ":" in address else []))

    def socket_of(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        with inside(self.namespace):
            made = socket.socket(family, kind, protocol)
        made.settimeout(_NOTHING_COMES)
        return made

    def wire(self) -> socket.socket:
        """All frames that come and go at its NIC."""
        made = self.socket_of(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        made.bind(("eth0", 3))
        return made


def _await_forwarding(namespace: str, device: str) -> None:
    """The kernel may tell the bridge only a second later that the other end is up."""
    give_up = time.monotonic() + PATIENCE
    state = ""
    while state != "forwarding":
        assert time.monotonic() < give_up, f"{device} is {state}"
        listed = subprocess.check_output(["ip", "-n", namespace, "-d", "-j", "link", "show", "dev", device])
        state = json.loads(listed)[0]["linkinfo"]["info_slave_data"]["state"]
        time.sleep(0.01)


def arrives(sender: Guest, receiver: Guest, sent: bytes) -> bool:
    """Whether the frame gets through, by the time that a question for an address, asked after it, has done so."""
    mark = random_address()
    with sender.wire() as out, receiver.wire() as wire:
        with _on_one_processor():
            out.send(sent)
            out.send(arp(sender.mac, sender.address(), target=mark))
        wire.settimeout(PATIENCE)
        seen: list[bytes] = []
        while not (seen and socket.inet_aton(mark) in seen[-1]):
            seen.append(wire.recv(2000))
        return any(frame.startswith(sent) or sent.startswith(frame) for frame in seen)


@contextmanager
def _on_one_processor() -> Iterator[None]:
    """Where the kernel keeps the order of frames: each processor has a queue of its own."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def random_address() -> str:
    return str(ipaddress.IPv4Address(0xC6120000 + int.from_bytes(os.urandom(2))))


def ethernet(source: str, kind: int, payload: bytes, to: str = BROADCAST) -> bytes:
    return (_mac(to) + _mac(source) + kind.to_bytes(2) + payload).ljust(60, b"\0")


def arp(source: str, address: str, *, target: str, claims: str | None = None, operation: int = 1) -> bytes:
    said = _mac(claims or source) + socket.inet_aton(address) + bytes(6) + socket.inet_aton(target)
    return ethernet(source, ARP, struct.pack("!HHBBH", 1, IPV4, 6, 4, operation) + said)


def ipv4(source: str, address: str, to: str, protocol: int, payload: bytes, *, to_mac: str = BROADCAST) -> bytes:
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0)
    header += socket.inet_aton(address) + socket.inet_aton(to)
    return ethernet(source, IPV4, header[:10] + checksum(header).to_bytes(2) + header[12:] + payload, to_mac)


def ipv6(source: str, address: str, to: str, protocol: int, payload: bytes, *, options: bytes = b"") -> bytes:
    """Of ICMPv6 and UDP the checksum, at a place of its own, is put in. `options`: a header of them before it."""
    ends = socket.inet_pton(socket.AF_INET6, address) + socket.inet_pton(socket.AF_INET6, to)
    at = 2 if protocol == socket.IPPROTO_ICMPV6 else 6
    of = checksum(ends + struct.pack("!II", len(payload), protocol) + payload)
    payload = payload[:at] + of.to_bytes(2) + payload[at + 2 :]
    if options:
        payload, protocol = bytes((protocol, 0)) + options + payload, socket.IPPROTO_DSTOPTS
    return ethernet(source, IPV6, struct.pack("!IHBB", 6 << 28, len(payload), protocol, 255) + ends + payload)


def udp(source: int, to: int, data: bytes = b"slipway") -> bytes:
    return struct.pack("!HHHH", source, to, 8 + len(data), 0) + data


def checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


# --- what a guest's own network stack can do -----------------------------------------------------------------------


def connects(one: Guest, other: Guest, port: int, version: int = 4) -> bool:
    """Whether a TCP connection is had and an answer comes back on it."""
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    with other.socket_of(family, socket.SOCK_STREAM) as server, one.socket_of(family, socket.SOCK_STREAM) as client:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((other.address(version), port))
        server.listen()
        try:
            client.connect((other.address(version), port))
        except TimeoutError:
            return False
        accepted, _ = server.accept()
        with accepted:
            accepted.settimeout(PATIENCE)
            client.settimeout(PATIENCE)
            client.sendall(b"?")
            assert accepted.recv(1) == b"?"
            accepted.sendall(b"!")
            return client.recv(1) == b"!"


def answers_udp(one: Guest, other: Guest, port: int, version: int = 4) -> bool:
    """Whether a datagram gets there and its answer back."""
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    with other.socket_of(family, socket.SOCK_DGRAM) as server, one.socket_of(family, socket.SOCK_DGRAM) as client:
        server.bind((other.address(version), port))
        client.sendto(b"?", (other.address(version), port))
        try:
            _, back = server.recvfrom(10)
        except TimeoutError:
            return False
        server.sendto(b"!", back)
        client.settimeout(PATIENCE)
        return client.recv(10) == b"!"


def pings(one: Guest, other: Guest, version: int = 4, kind: int | None = None) -> bool:
    """Whether an echo is answered, or an ICMP message of another type gets there."""
    family, protocol = (socket.AF_INET, 1) if version == 4 else (socket.AF_INET6, 58)
    request, reply = (8, 0) if version == 4 else (128, 129)
    number = int.from_bytes(os.urandom(2))
    message = struct.pack("!BBHHH", kind or request, 0, 0, number, 1)
    message = message[:2] + checksum(message).to_bytes(2) + message[4:]
    at_client, at_server = (
        one.socket_of(family, socket.SOCK_RAW, protocol),
        other.socket_of(family, socket.SOCK_RAW, protocol),
    )
    with at_client, at_server:
        at_client.sendto(message, (other.address(version), 0))
        waiting, expected = (at_client, reply) if kind is None else (at_server, kind)
        with suppress(TimeoutError):
            while True:
                heard = waiting.recv(200)[20 if version == 4 else 0 :]
                if heard[0] == expected and heard[4:6] == number.to_bytes(2):
                    return True
        return False


# --- rules ---------------------------------------------------------------------------------------------------------


def rule(direction: str = "ingress", ethertype: str = "IPv4", **says: Any) -> SecurityGroupRule:
    made = SecurityGroupRule(str(uuid.uuid4()), str(uuid.uuid4()), "p", direction, ethertype)
    return replace(made, **says)


def out_to_all() -> Sequence[SecurityGroupRule]:
    return [rule("egress", "IPv4"), rule("egress", "IPv6")]


def default_group(group: str) -> Sequence[SecurityGroupRule]:
    """What Neutron's default group says."""
    return [*out_to_all(), *(rule(ethertype=kind, remote_group_id=group) for kind in ("IPv4", "IPv6"))]


def pair(address: str, mac: str) -> tuple[AddressPair, ...]:
    return (AddressPair(address, mac),)
