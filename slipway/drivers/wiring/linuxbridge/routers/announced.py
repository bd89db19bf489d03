"""A router tells its neighbours that an address is at its link now, by an ARP announcement (RFC 5227) or an unsolicited
neighbour advertisement (RFC 4861, 7.2.6).

Whoever knew the address at another MAC would else go on sending there for as long as its neighbour cache says.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_interface

_ARP, _IPV6 = 0x0806, 0x86DD
_ICMPV6, _ADVERTISEMENT = 58, 136
_ROUTER_OVERRIDES = 0xA0000000
_ALL_NODES = IPv6Address("ff02::1")


def announce(link: str, mac_address: str, addresses: Iterable[str]) -> None:
    """Tell whoever is at the link, in the namespace in which we are, of the addresses. Raises `OSError`."""
    mac = bytes.fromhex(mac_address.replace(":", ""))
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind((link, 0))
        for address in addresses:
            ip = ip_interface(address).ip
            wire.send(_arp(mac, ip) if isinstance(ip, IPv4Address) else _advertisement(mac, ip))


def _arp(mac: bytes, ip: IPv4Address) -> bytes:
    request = struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, mac, ip.packed, b"\0" * 6, ip.packed)
    return b"\xff" * 6 + mac + struct.pack("!H", _ARP) + request


def _advertisement(mac: bytes, ip: IPv6Address) -> bytes:
    message = struct.pack("!BBHI16sBB6s", _ADVERTISEMENT, 0, 0, _ROUTER_OVERRIDES, ip.packed, 2, 1, mac)
    pseudo = ip.packed + _ALL_NODES.packed + struct.pack("!II", len(message), _ICMPV6)
    message = message[:2] + struct.pack("!H", _checksum(pseudo + message)) + message[4:]
    head = struct.pack("!IHBB16s16s", 6 << 28, len(message), _ICMPV6, 255, ip.packed, _ALL_NODES.packed)
    return b"\x33\x33\0\0\0\x01" + mac + struct.pack("!H", _IPV6) + head + message


def _checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
