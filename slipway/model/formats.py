"""The texts that stand for something: addresses, networks, ranges, MACs, ports and protocols.

Each function gives the parsed value or raises `ValueError`.
"""

import ipaddress
import re
from typing import TypeAlias

from slipway.model.neutron import ANY_PROTOCOL, PROTOCOLS

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Cidr: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


def parse_address(text: str) -> Address:
    """An IP address without a zone."""
    if "%" in text:
        raise ValueError("an address without a zone is needed")
    return ipaddress.ip_address(text)


def parse_cidr(text: str) -> Cidr:
    """A network as address and prefix length, with no bits of a host."""
    if not re.fullmatch(r"[0-9a-fA-F.:]+/[0-9]{1,3}", text):
        raise ValueError("an address and a prefix length are needed")
    return ipaddress.ip_network(text)


def suggest_cidr(text: str) -> str | None:
    """The network in which the address lies."""
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        return None


def parse_mac(text: str) -> str:
    """A MAC address in its usual spelling: lower case, colons. Multicast and all zero are refused, as a NIC's are."""
    mac = text.lower().replace("-", ":")
    if not re.fullmatch(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", mac) or int(mac[:2], 16) & 1 or mac == "00:00:00:00:00:00":
        raise ValueError("not a unicast MAC address")
    return mac


def parse_range(text: str) -> tuple[Address, Address]:
    """The first and the last address of a range."""
    first, _, last = text.partition("-")
    start, end = parse_address(first.strip()), parse_address(last.strip())
    if start.version != end.version or int(start) > int(end):
        raise ValueError("a range goes up, within one IP version")
    return start, end


def parse_ports(value: int | str) -> tuple[int, int]:
    """The first and the last port of a range, or of a single port."""
    match = re.fullmatch(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", str(value), re.ASCII)
    if match is None:
        raise ValueError("not a port or a range of ports")
    first, last = int(match[1]), int(match[2] or match[1])
    if not 1 <= first <= last <= 65535:
        raise ValueError("ports are 1 to 65535, and a range goes up")
    return first, last


def parse_protocol(value: int | str) -> str | None:
    """A protocol's name in lower case, or its number as text; None where it is any."""
    name = str(value).lower()
    if name in ANY_PROTOCOL:
        return None
    if name not in PROTOCOLS and not (re.fullmatch(r"[0-9]{1,3}", name, re.ASCII) and int(name) <= 255):
        raise ValueError("unknown protocol")
    return name
