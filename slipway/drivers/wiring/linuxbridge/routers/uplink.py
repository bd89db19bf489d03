"""The host's own uplink as a router's way out: a cable between the two, and what is done with what comes there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_interface
from pathlib import Path

from slipway.drivers.files import replace
from slipway.drivers.wiring.linuxbridge import namespace, nft
from slipway.drivers.wiring.linuxbridge.addresses import addresses_at, find, set_addresses, translated
from slipway.drivers.wiring.linuxbridge.kernel import kernel_of
from slipway.drivers.wiring.linuxbridge.links import cable
from slipway.drivers.wiring.linuxbridge.routers.place import outside_name, read, write
from slipway.drivers.wiring.linuxbridge.routers.ruleset import (
    PREFIX,
    HostLink,
    floating_addresses,
    gone,
    host_ruleset,
    host_table,
)
from slipway.errors import WiringError
from slipway.model.hosted import HostedRouter
from slipway.model.request import Host

OWNER = "router"
"""What the aliases of routers' links say after our tag."""

_FORWARDS = "net/ipv4/ip_forward"
_PROTOCOL = "113"
_PATIENCE = 10.0


class HostUplink:
    """The host's end of its routers' cables. All raise `WiringError`.

    A host that forwarded nothing is made to forward as long as a router needs that; the file `forwarding` says so.
    """

    def __init__(self, host: Host, installation: str, directory: Path) -> None:
        self._host, self._installation = host, installation
        self._said = directory / "forwarding"

    def join(self, hosted: HostedRouter, link: HostLink, netns: str) -> None:
        """Make what is missing of the router's way out, and mend what differs."""
        outside, host = hosted.outside, self._host
        assert outside is not None
        device, what = outside.devname, "the router's link to its host"
        with kernel_of(host.name, host.netns, self._installation, what) as kernel:
            end = cable(kernel, outside, netns, outside_name(outside.port_id), OWNER)
            kernel.set(end, state="up")
        with translated(what), namespace.open_links(host.netns) as links:
            set_addresses(links, device, [f"{link.host}/{PREFIX}"])
        self._lead(hosted, link)
        nft.load(host.netns, host_ruleset(hosted, link, device))
        with namespace.inside(host.netns):
            if read(_FORWARDS) == "0":
                # Known before it is so: whoever goes on after a kill sets it back.
                replace(str(self._said), b"net.ipv4.ip_forward was 0 before there was a router\n")
                write(_FORWARDS, "1")

    def cut(self, hosted: HostedRouter) -> None:
        """Take the cable and the rules away. Absent: nothing happens."""
        if hosted.outside is None or not namespace.exists(self._host.netns):
            return
        host = self._host
        if nft.statements(host.netns, host_table(hosted.router.id)):
            nft.load(host.netns, gone(host_table(hosted.router.id)))
        with kernel_of(host.name, host.netns, self._installation, "the router's link cannot be deleted") as kernel:
            end = kernel.find(hosted.outside.devname)
            if end is not None and end.kind == "veth" and end.owner is not None:
                kernel.delete(end)

    def leave(self) -> None:
        """No router needs the host's uplink any more: it forwards as it did before there was one."""
        if self._said.exists():
            if namespace.exists(self._host.netns):
                with namespace.inside(self._host.netns):
                    write(_FORWARDS, "0")
            self._said.unlink()

    def taken(self) -> set[str]:
        """The addresses that the host has, so that no cable gets one of them."""
        with namespace.open_links(self._host.netns) as links:
            return {str(found.get_attr("IFA_ADDRESS")) for found in links.get_addr()}

    def faults(self, hosted: HostedRouter, link: HostLink) -> Iterator[str]:
        """What is not as it is to be."""
        assert hosted.outside is not None
        device, netns = hosted.outside.devname, self._host.netns
        with translated("the router's link to its host"), namespace.open_links(netns) as links:
            found = find(links, device)
            if found is None:
                yield f"its link {device} to the host is gone"
                return
            if addresses_at(links, found["index"]) != {ip_interface(f"{link.host}/{PREFIX}")}:
                yield f"the host has another address than {link.host} on {device}"
        if lost := sorted(set(floating_addresses(hosted)) - self._led(device)):
            yield f"the host has no route to {', '.join(lost)}"
        text = host_ruleset(hosted, link, device)
        table = host_table(hosted.router.id)
        if nft.statements(netns, table) != nft.meaning(text, table):
            yield f"the host has other rules in table {table} than were applied"
        with namespace.inside(netns):
            if read(_FORWARDS) == "0":
                yield "the host forwards no packets: net.ipv4.ip_forward is 0"

    def _lead(self, hosted: HostedRouter, link: HostLink) -> None:
        assert hosted.outside is not None
        device, wanted = hosted.outside.devname, set(floating_addresses(hosted))
        for address in sorted(self._led(device) - wanted):
            with suppress(WiringError):
                self._ip("route", "del", address, "dev", device, "proto", _PROTOCOL)
        for address in sorted(wanted - self._led(device)):
            try:
                self._ip("route", "add", address, "via", link.router, "dev", device, "proto", _PROTOCOL)
            except WiringError as error:
                raise WiringError(f"floating IP {address} cannot be led to the router: {error}") from error

    def _led(self, device: str) -> set[str]:
        listed = self._ip("-4", "-j", "route", "show", "dev", device, "proto", _PROTOCOL)
        return {route["dst"] for route in json.loads(listed or "[]")}

    def _ip(self, *words: str) -> str:
        return namespace.run(self._host.netns, ["ip", *words], timeout=_PATIENCE).stdout
