"""Whether a guest is reached from a network namespace."""

from __future__ import annotations

import socket

from slipway.drivers.wiring.linuxbridge.namespace import inside, run

_PATIENCE = 1
"""Seconds for one answer; whoever waits for a guest asks again."""

_SSH_BEGINS = b"SSH-"


def pings(netns: str, address: str) -> bool:
    """Whether it answers a ping. Raises `WiringError` where none can be sent."""
    ping = ["ping", "-n", "-q", "-c", "1", "-W", str(_PATIENCE), address]
    return run(netns, ping, timeout=10 * _PATIENCE, check=False).returncode == 0


def greets(netns: str, address: str, port: int) -> bool:
    """Whether an SSH server there says what it is (RFC 4253). Raises `WiringError` where the namespace is absent."""
    with inside(netns):
        try:
            with socket.create_connection((address, port), timeout=_PATIENCE) as connection:
                return connection.recv(len(_SSH_BEGINS), socket.MSG_WAITALL) == _SSH_BEGINS
        except OSError:
            return False
