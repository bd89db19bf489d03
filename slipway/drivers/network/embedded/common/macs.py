"""MAC addresses: read in any spelling, drawn at random below `base_mac`."""

from __future__ import annotations

import random
import re

from slipway import errors
from slipway.drivers.network.embedded.common import checks
from slipway.drivers.network.macs import spelled

_text = checks.text()
_SIX = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


def _usable(octets: str) -> bool:
    """Whether a NIC can have it: not all zeros, and not a group address, whose first octet is odd."""
    return octets != "00:00:00:00:00:00" and not int(octets[:2], 16) & 1


def canonical(text: object) -> str:
    """The MAC address in lower case with colons, however it was spelled.

    Raises `HTTPBadRequest` for what is none, for all zeros (as Neutron) and for group addresses, which no NIC can have.
    """
    octets = spelled(text)
    if octets is None or not _usable(octets):
        raise errors.HTTPBadRequest(f"mac_address: {text!r} is not a valid MAC address of a NIC")
    return octets


def as_spelled(value: object, name: str) -> str:
    """A MAC address to look for, however it was spelled; what is none, which nobody has, as it is."""
    text: str = _text(value, name)
    return spelled(text) or text


class MacGenerator:
    """Draws MACs from `base_mac`: three fixed octets, or four where the fourth is not 00 (Neutron).

    Raises `HTTPBadRequest` when `base_mac` is no MAC address, or a group address.
    """

    def __init__(self, base_mac: str, rng: random.Random) -> None:
        octets = base_mac.lower()
        if not _SIX.fullmatch(octets) or not _usable(octets):
            raise errors.HTTPBadRequest(
                f"base_mac: {base_mac!r} is not a MAC address that a NIC can have; give six octets, the first even"
            )
        self._fixed = octets[: 9 if octets[9:11] == "00" else 12]
        self._free = 6 - len(self._fixed) // 3
        self._rng = rng

    def draw(self) -> str:
        """One MAC at random; whether it is free is for the database to say."""
        return self._fixed + self._rng.randbytes(self._free).hex(":")
