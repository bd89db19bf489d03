"""Whom a network's dnsmasq asks for names that it does not know: the host's name servers, by a relay beside it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from slipway.drivers.files import make_directories
from slipway.drivers.wiring.linuxbridge.dhcp import relay
from slipway.drivers.wiring.linuxbridge.dhcp.config import user_name
from slipway.drivers.wiring.linuxbridge.dhcp.process import ServerProcess


class Forwarding:
    """The relay of the network whose files are in `directory`, which is locked by whoever changes something."""

    def __init__(self, directory: str, netns: str, outside: str | None) -> None:
        """`outside`: the host's namespace."""
        self._directory = f"{directory}/relay"
        self._process = ServerProcess(self._directory, netns, (relay.__file__, user_name()), outside)
        self._text = f"{relay.RESOLV_FILE}{_resolv_of(outside)}\n"

    def set(self, *, wanted: bool) -> None:
        """Have it run, or not. Raises `WiringError`."""
        if wanted:
            make_directories(Path(self._directory))
            self._process.apply(self._text)
        elif os.path.isdir(self._directory):
            self._process.stop()
            shutil.rmtree(self._directory)

    def is_set(self, *, wanted: bool) -> bool:
        """Whether it runs, or does not, as it is wanted."""
        return self._process.works_by(self._text) if wanted else not os.path.isdir(self._directory)


def _resolv_of(netns: str | None) -> str:
    """Where the host's name servers are named: a namespace may have a file of its own (ip-netns(8))."""
    own = f"/etc/netns/{netns}/resolv.conf"
    return own if netns is not None and os.path.exists(own) else "/etc/resolv.conf"
