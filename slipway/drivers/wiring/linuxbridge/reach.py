"""Guests as they are reached from a network namespace."""

from __future__ import annotations

import socket

from slipway.drivers.wiring.linuxbridge.namespace import inside, run
from slipway.errors import GuestUnreachable

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


def dial(netns: str | None, address: str, port: int, *, within: float) -> socket.socket:
    """A connection that was made there: it stays one of that namespace wherever it is used.

    Raises `GuestUnreachable`, where nothing was answered with the address that asked, and `WiringError` as `greets`.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with inside(netns):
        connection = socket.socket(family, socket.SOCK_STREAM)
    where = f"[{address}]:{port}" if family == socket.AF_INET6 else f"{address}:{port}"
    try:
        connection.settimeout(within)
        connection.connect((address, port))
        connection.settimeout(None)
    except OSError as error:
        source = connection.getsockname()[0]
        connection.close()
        if isinstance(error, ConnectionRefusedError):
            raise GuestUnreachable(f"nothing listens at {where}: {error.strerror}") from error
        silent = isinstance(error, TimeoutError)
        why = f"no answer within {within:.3g} s" if silent else error.strerror or str(error)
        unreachable = GuestUnreachable(f"{where} is not reached: {why}")
        unreachable.asked_from = source if silent else None
        raise unreachable from error
    return connection
