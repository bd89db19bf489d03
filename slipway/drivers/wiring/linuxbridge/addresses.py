"""Addresses of links, and links by name, as pyroute2 has them in a namespace."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from ipaddress import IPv4Interface, IPv6Interface, ip_interface
from typing import TYPE_CHECKING, Any

from slipway.errors import WiringError

if TYPE_CHECKING:
    from pyroute2 import IPRoute

_NO_SUCH_DEVICE = errno.ENODEV
_GLOBAL = 0
"""The scope of an address that is not of this link only."""

_NODAD = 0x02
"""The address's flag that it is used at once, not when nobody has objected for a second."""

UP = 0x01
"""The flag of a link that is up."""


def addresses_at(links: IPRoute, index: int) -> set[IPv4Interface | IPv6Interface]:
    """Those of a link that are not of this link only."""
    return {
        ip_interface(f"{found.get_attr('IFA_ADDRESS')}/{found['prefixlen']}")
        for found in links.get_addr(index=index)
        if found["scope"] == _GLOBAL
    }


def set_addresses(links: IPRoute, link: str, addresses: Sequence[str]) -> list[str]:
    """Have the link have just these, which have prefix lengths; gives those that it did not have."""
    index = find(links, link)["index"]
    wanted = {ip_interface(address) for address in addresses}
    there = addresses_at(links, index)
    for address in there - wanted:
        links.addr("del", index=index, address=str(address.ip), prefixlen=address.network.prefixlen)
    for address in wanted - there:
        nodad = {"flags": _NODAD} if address.version == 6 else {}
        links.addr("add", index=index, address=str(address.ip), prefixlen=address.network.prefixlen, **nodad)
    return [str(address) for address in sorted(wanted - there, key=str)]


def set_ipv6(link: str, name: str, value: str) -> None:
    """Set what the kernel does by itself at a link of the namespace in which we are."""
    # Without IPv6, or where it may not be written, the server starts a second later at worst.
    with suppress(OSError), open(f"/proc/sys/net/ipv6/conf/{link}/{name}", "w") as file:
        file.write(value)


def find(links: IPRoute, name: str) -> Any:
    """The link; None where it is absent."""
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        return links.link("get", ifname=name)[0]
    except NetlinkError as error:
        if error.code != _NO_SUCH_DEVICE:
            raise
        return None


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Have an error of pyroute2's be a `WiringError`."""
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        yield
    except NetlinkError as error:
        raise WiringError(f"{what}: {os.strerror(error.code) if error.code > 0 else error}") from error
