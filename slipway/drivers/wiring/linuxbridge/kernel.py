"""The links of a network namespace as the kernel has them, and which of them are ours.

Ours bears `slipway:<installation>:...` as its alias. Bridges and uplinks get it just after they are made, so they are
made with a MAC address that nobody else would choose: one that was cut off between the two is known by that.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from slipway.drivers.wiring.linuxbridge.namespace import open_links
from slipway.errors import WiringError

if TYPE_CHECKING:
    from pyroute2 import IPRoute

_TUNSETIFF, _TUNSETPERSIST = 0x400454CA, 0x400454CB
_TAP_NO_PI_VNET_HDR_EXCLUSIVE = 0x0002 | 0x1000 | 0x4000 | 0x8000
_IFF_UP = 1
_LINK_SCOPE = 253
_MODULES = {"vlan": "8021q", "vxlan": "vxlan", "bridge": "bridge", "veth": "veth"}


class Link(Struct, frozen=True):
    """A link. `owner` is what its alias says after our tag, None where it is not ours; `master` the bridge's index.

    `joined`: something is at its other end; a tap's is the process that has it open.
    """

    index: int
    name: str
    kind: str | None
    owner: tuple[str, ...] | None
    master: int | None
    mtu: int
    up: bool
    joined: bool


class Kernel:
    """Looks at links and changes them one at a time. May be used by one thread, inside the namespace."""

    def __init__(self, links: IPRoute, installation: str) -> None:
        """`installation` is what tells our links from others'."""
        self._links, self._installation = links, installation
        self._tag = f"slipway:{installation}:"

    def find(self, name: str) -> Link | None:
        """The link of that name."""
        try:
            (found,) = self._ask("link", "get", ifname=name)
        except OSError as error:
            if error.errno == errno.ENODEV:
                return None
            raise
        return self._link(found)

    def is_operational(self, name: str) -> bool:
        """Whether the kernel has told the link's bridge that its other end is up; so where there is no such link."""
        found = self.find(name)
        return found is None or self._ask("link", "get", index=found.index)[0].get("operstate") == "UP"

    def all(self) -> Sequence[Link]:
        """All links."""
        return [self._link(found) for found in self._ask("get_links")]

    def of_kind(self, kind: str) -> Sequence[Link]:
        """All links of a kind."""
        return [self._link(found) for found in self._ask("get_links", kind=kind)]

    def in_bridge(self, bridge: Link) -> Sequence[Link]:
        """The links that are in the bridge."""
        return [self._link(found) for found in self._ask("get_links", master=bridge.index)]

    def has_address(self, link: Link) -> bool:
        """Whether the host itself is reached there: link-local addresses, which come by themselves, do not count."""
        return any(found["scope"] != _LINK_SCOPE for found in self._ask("get_addr", index=link.index))

    def make(self, name: str, kind: str, **attributes: Any) -> Link:
        """Make a link of ours. Raises `WiringError` where the kernel has no such links."""
        try:
            self._ask("link", "add", ifname=name, kind=kind, address=self._address(name), **attributes)
        except OSError as error:
            if error.errno == errno.EOPNOTSUPP:
                module = _MODULES[kind]
                raise WiringError(
                    f"{name} cannot be made: this kernel has no {module}; load the module (modprobe {module}), "
                    f"or use a kernel that has it"
                ) from error
            raise
        found = self.find(name)
        if found is None:
            raise WiringError(f"{name} was deleted by somebody else when it had just been made")
        return found

    def make_tap(self, name: str, owner: str) -> Link:
        """Make a tap that stays when it has all it is known by: before, it goes with the process that makes it."""
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _TAP_NO_PI_VNET_HDR_EXCLUSIVE))
            made = self.find(name)
            if made is None:
                raise WiringError(f"{name} was deleted by somebody else when it had just been made")
            self.tag(made, owner)
            keep_host_away(name)
            fcntl.ioctl(fd, _TUNSETPERSIST, 1)
        finally:
            os.close(fd)
        return made

    def tag(self, link: Link, owner: str) -> None:
        """Say in the link's alias that it is ours."""
        self.set(link, ifalias=self._tag + owner)

    def set(self, link: Link, **attributes: Any) -> None:
        """Change the link."""
        self._ask("link", "set", index=link.index, **attributes)

    def delete(self, link: Link) -> None:
        """Delete the link. Absent: nothing happens."""
        try:
            self._ask("link", "del", index=link.index)
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise

    def _ask(self, call: str, *arguments: str, **attributes: Any) -> list[Any]:
        """What the kernel answers. Raises `OSError` in place of pyroute2's own error, which is none."""
        from pyroute2.netlink.exceptions import NetlinkError

        try:
            return list(getattr(self._links, call)(*arguments, **attributes))
        except NetlinkError as error:
            raise OSError(error.code, os.strerror(error.code)) from error

    def _link(self, found: Any) -> Link:
        alias = found.get("ifalias")
        owner = None
        if alias is not None:
            owner = tuple(alias.removeprefix(self._tag).split(":")) if alias.startswith(self._tag) else None
        elif found.get("address") == self._address(found.get("ifname")):
            owner = ()
        return Link(
            index=found["index"],
            name=found.get("ifname"),
            kind=found.get(("linkinfo", "kind")),
            owner=owner,
            master=found.get("master"),
            mtu=found.get("mtu"),
            up=bool(found["flags"] & _IFF_UP),
            joined=bool(found.get("carrier")),
        )

    def _address(self, name: str) -> str:
        """A locally administered unicast address."""
        octets = hashlib.sha256(f"{self._installation}/{name}".encode()).digest()[:5]
        return "02:" + ":".join(f"{octet:02x}" for octet in octets)


def keep_host_away(name: str) -> None:
    """Have the host take nothing at a link where it has no address, nor say there that it has others.

    Else guests would reach it by an address of IPv6 that it gives itself there, or, by frames to the link's own MAC,
    by any of its addresses, and whoever it forwards to.
    """
    for setting in (f"ipv6/conf/{name}/disable_ipv6", f"ipv4/conf/{name}/rp_filter", f"ipv4/conf/{name}/arp_ignore"):
        with suppress(FileNotFoundError), open(f"/proc/sys/net/{setting}", "w") as file:
            file.write("1")


@contextmanager
def kernel_of(host: str, netns: str | None, installation: str, what: str) -> Iterator[Kernel]:
    """The links of the host's namespace. Any error becomes a `WiringError` that names the host and `what` was done."""
    try:
        with open_links(netns) as links:
            yield Kernel(links, installation)
    except WiringError as error:
        raise WiringError(f"{host}: {error}") from error
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise WiringError(f"{host}: {what}: {where}{error.strerror}") from error
