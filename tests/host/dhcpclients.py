"""Guests as a DHCP server sees them: one end of a veth pair in a namespace of its own, the other one in the bridge."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from slipway.drivers.wiring.linuxbridge.namespace import inside
from tests.waiting import PATIENCE, until

_SCRIPT = """#!/bin/sh
[ "$1" = bound ] && env > "$ANSWER"
exit 0
"""
_SOLICIT, _ADVERTISE, _REQUEST, _REPLY, _INFORMATION_REQUEST = 1, 2, 3, 7, 11
_CLIENT_ID, _SERVER_ID, _IA_NA, _IA_ADDRESS, _ORO = 1, 2, 3, 5, 6


def ip(*arguments: str, netns: str | None = None) -> str:
    lead = ["ip"] if netns is None else ["ip", "-n", netns]
    return subprocess.run([*lead, *arguments], check=True, capture_output=True, text=True).stdout


@dataclass(frozen=True)
class Client:
    netns: str
    mac: str
    scratch: Path
    duid: bytes = b""
    """By what it calls itself with DHCPv6, by default its MAC."""

    def ask(self, *options: str, seconds: int = int(PATIENCE)) -> dict[str, str]:
        """What busybox' udhcpc was told; empty: nobody answered."""
        script, answer = self.scratch / "script", self.scratch / f"answer-{self.netns}"
        if not script.exists():
            script.write_text(_SCRIPT)
            script.chmod(0o700)
        answer.unlink(missing_ok=True)
        wanted = [part for option in options for part in ("-O", option)]
        command = ["udhcpc", "-i", "eth0", "-n", "-q", "-f", "-t", str(seconds), "-T", "1", "-A", "1", *wanted]
        with inside(self.netns):
            subprocess.run(
                ["busybox", *command, "-s", str(script)],
                env={**os.environ, "ANSWER": str(answer)},
                check=False,
                capture_output=True,
            )
        lines = answer.read_text().splitlines() if answer.exists() else []
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def ask_v6(self, *options: int, seconds: float = PATIENCE) -> tuple[str, dict[int, bytes]]:
        """The address that a DHCPv6 server gave and its options. Raises `TimeoutError` when it gave none by then."""
        ia = _option(_IA_NA, struct.pack("!III", 1, 0, 0))
        server, advertised = self._exchange(_SOLICIT, _ADVERTISE, ia, options, seconds)
        chosen = _option(_SERVER_ID, server) + _option(_IA_NA, advertised[_IA_NA])
        _, given = self._exchange(_REQUEST, _REPLY, chosen, options)
        address = _options(given[_IA_NA][12:])[_IA_ADDRESS][:16]
        return socket.inet_ntop(socket.AF_INET6, address), given

    def ask_for_information(self, *options: int) -> dict[int, bytes]:
        """What a stateless DHCPv6 server says."""
        return self._exchange(_INFORMATION_REQUEST, _REPLY, b"", options)[1]

    def global_addresses(self) -> set[str]:
        lines = ip("-6", "-o", "addr", "show", "dev", "eth0", "scope", "global", netns=self.netns).splitlines()
        return {line.split()[3].split("/")[0] for line in lines}

    def _exchange(
        self, kind: int, answer: int, body: bytes, options: tuple[int, ...], seconds: float = PATIENCE
    ) -> tuple[bytes, dict[int, bytes]]:
        own = _option(_CLIENT_ID, self.duid or struct.pack("!HH", 3, 1) + bytes.fromhex(self.mac.replace(":", "")))
        wanted = _option(_ORO, b"".join(struct.pack("!H", option) for option in options))
        number = os.urandom(3)
        message = bytes([kind]) + number + own + body + _option(8, b"\0\0") + wanted
        with inside(self.netns), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("::", 546))
            sock.settimeout(0.5)
            for _ in range(int(2 * seconds)):
                sock.sendto(message, ("ff02::1:2", 547, 0, socket.if_nametoindex("eth0")))
                try:
                    said = sock.recv(2000)
                except TimeoutError:
                    continue
                found = _options(said[4:])
                if said[0] == answer and said[1:4] == number and (kind != _SOLICIT or _has_address(found)):
                    return found[_SERVER_ID], found
        raise TimeoutError


@contextmanager
def client(host: str, bridge: str, mac: str, scratch: Path) -> Iterator[Client]:
    netns = f"{host}-{mac.replace(':', '')[-4:]}"
    port = f"p{mac.replace(':', '')[-8:]}"
    ip("netns", "add", netns)
    try:
        ip("link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", netns, netns=host)
        with inside(netns):
            Path("/proc/sys/net/ipv6/conf/eth0/accept_dad").write_text("0")
        ip("link", "set", "eth0", "address", mac, netns=netns)
        ip("link", "set", port, "master", bridge, "up", netns=host)
        ip("link", "set", "eth0", "up", netns=netns)
        until(lambda: "fe80" in ip("-6", "address", "show", "dev", "eth0", netns=netns), "the guest's own address")
        yield Client(netns, mac, scratch)
    finally:
        ip("netns", "del", netns)


def _option(code: int, body: bytes) -> bytes:
    return struct.pack("!HH", code, len(body)) + body


def _options(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    while data:
        code, length = struct.unpack("!HH", data[:4])
        found[code], data = data[4 : 4 + length], data[4 + length :]
    return found


def _has_address(found: dict[int, bytes]) -> bool:
    return _IA_ADDRESS in _options(found.get(_IA_NA, b"\0" * 12)[12:])
