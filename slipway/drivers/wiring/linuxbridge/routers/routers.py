"""A host's routers: for each a namespace, in which it forwards and translates."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from slipway.drivers.files import file_name, locked, make_directories, remove, replace
from slipway.drivers.wiring.linuxbridge import namespace, nft
from slipway.drivers.wiring.linuxbridge.dhcp.process import ServerProcess
from slipway.drivers.wiring.linuxbridge.links import Links
from slipway.drivers.wiring.linuxbridge.routers.advertised import configuration
from slipway.drivers.wiring.linuxbridge.routers.place import (
    Link,
    Place,
    Way,
    inside_name,
    link_of,
    outside_name,
    ways_of,
)
from slipway.drivers.wiring.linuxbridge.routers.ruleset import (
    INSIDE_TABLE,
    LINKS,
    PREFIX,
    HostLink,
    floating_addresses,
    inside_ruleset,
)
from slipway.drivers.wiring.linuxbridge.routers.uplink import OWNER, HostUplink
from slipway.errors import WiringError
from slipway.model.hosted import HostedRouter
from slipway.model.machine import Wired
from slipway.model.request import Host


class _Kept(Struct, frozen=True):
    """A router as it was brought, and its link to the host where that is its way out."""

    hosted: HostedRouter
    link: HostLink | None = None

    @property
    def links(self) -> list[Link]:
        """The links in the router's namespace."""
        found = [link_of(vif, inside_name(vif.port_id)) for vif in self.hosted.inside]
        if (outside := self.hosted.outside) is not None:
            name = outside_name(outside.port_id)
            if self.link is not None:
                own = (f"{self.link.router}/{PREFIX}",)
                return [*found, Link(name, outside.mac_address, outside.mtu, own)]
            found.append(link_of(outside, name, [f"{address}/32" for address in floating_addresses(self.hosted)]))
        return found

    @property
    def ways(self) -> list[Way]:
        """The routes in it."""
        return ways_of(self.hosted, self.link.host if self.link else None)

    @property
    def ruleset(self) -> str:
        """The rules in it."""
        outside = self.hosted.outside
        if outside is None:
            return inside_ruleset(self.hosted, None, None)
        own = next((ip.ip_address for ip in outside.fixed_ips if ":" not in ip.ip_address), None)
        return inside_ruleset(self.hosted, outside_name(outside.port_id), self.link.router if self.link else own)


class Routers:
    """May be used by many threads and processes at once: a host's routers are changed by one at a time.

    What each is to do is in `routers/<host>/<router id>.json` in the state directory, written before it is done and
    deleted after it is taken back: whoever is killed between the two is mended by the next. All raise `WiringError`.
    """

    def __init__(self, host: Host, state: Path, installation: str, links: Links) -> None:
        self._host, self._links = host, links
        self._directory = state.absolute() / "routers" / file_name(host.name)
        self._uplink = HostUplink(host, installation, self._directory)

    def set(self, wanted: Sequence[HostedRouter], *, anew: bool = False) -> None:
        """Have just these routers on the host. One that cannot be brought keeps no other one from it.

        `anew`: also what is on file as brought is looked at in all its parts.
        """
        if not wanted and not self._directory.is_dir():
            return
        with self._alone():
            there = self._read()
            errors: list[WiringError] = []
            for router_id in there.keys() - {hosted.router.id for hosted in wanted}:
                self._remove(there.pop(router_id))
            for hosted in wanted:
                try:
                    there[hosted.router.id] = self._bring(hosted, there, anew)
                except WiringError as error:
                    errors.append(WiringError(f"router {hosted.router.name or hosted.router.id}: {error}"))
            if not any(kept.link for kept in self._read().values()):
                self._uplink.leave()
            if errors:
                raise errors[0]

    def list(self, wanted: Sequence[HostedRouter]) -> Sequence[Wired]:
        """All that are there, by their ids. Wrong with one is what is not as it was brought, or as it is wanted now."""
        if not self._directory.is_dir():
            return ()
        asked = {hosted.router.id: hosted for hosted in wanted}
        with self._alone():
            return [
                Wired(router_id, "; ".join(self._faults(kept, asked.get(router_id))))
                for router_id, kept in sorted(self._read().items())
                if namespace.exists(self._netns(router_id))
            ]

    # --- brought and taken away -------------------------------------------------------------------------------------

    def _bring(self, hosted: HostedRouter, there: Mapping[str, _Kept], anew: bool) -> _Kept:
        router_id = hosted.router.id
        before = there.get(router_id)
        kept = _Kept(hosted, self._link(hosted, there))
        if kept == before and not any(self._faults(kept, None) if anew else self._loose(kept)):
            return kept
        if before is not None:
            self._let_go(before, kept)
        replace(self._path(router_id), msgspec.json.encode(kept))
        place = Place(self._netns(router_id))
        if before is not None and not namespace.exists(place.netns):
            # What is still in it may keep it alive without its name, and the cables with it.
            self._unplug(before)
        place.make()
        for vif in hosted.inside:
            self._links.join(vif, place.netns, inside_name(vif.port_id), OWNER)
        if hosted.outside is not None:
            if kept.link is not None:
                self._uplink.join(hosted, kept.link, place.netns)
            else:
                self._links.join(hosted.outside, place.netns, outside_name(hosted.outside.port_id), OWNER)
        # Before there is an address to send anything to.
        nft.load(place.netns, kept.ruleset)
        fresh = place.equip(kept.links)
        place.lead(kept.ways)
        self._advertise(hosted)
        names = {inside_name(vif.port_id): vif for vif in hosted.inside}
        if kept.link is None and hosted.outside is not None:
            names[outside_name(hosted.outside.port_id)] = hosted.outside
        self._links.await_forwarding([names[link.name].devname for link in fresh if link.name in names])
        place.tell([link for link in fresh if link.name in names])
        return kept

    def _let_go(self, before: _Kept, kept: _Kept) -> None:
        """Take away what the router had and has no longer."""
        if before.link is not None and (kept.link is None or before.hosted.outside != kept.hosted.outside):
            self._uplink.cut(before.hosted)
        left = {vif.devname for vif in kept.hosted.legs}
        for vif in before.hosted.legs:
            if vif.devname not in left:
                self._links.cut(vif.devname, vif.bridge)

    def _remove(self, kept: _Kept) -> None:
        router_id = kept.hosted.router.id
        self._unplug(kept)
        Place(self._netns(router_id)).delete()
        shutil.rmtree(self._advertising(router_id), ignore_errors=True)
        remove(self._path(router_id))

    def _unplug(self, kept: _Kept) -> None:
        """End what runs in its namespace, and take its cables away."""
        self._process(kept.hosted.router.id).stop()
        if kept.link is not None:
            self._uplink.cut(kept.hosted)
        for vif in kept.hosted.legs:
            self._links.cut(vif.devname, vif.bridge)

    def _link(self, hosted: HostedRouter, there: Mapping[str, _Kept]) -> HostLink | None:
        """The router's link to the host, as it was; a new one has addresses that nobody has there."""
        if not hosted.by_host:
            return None
        before = there.get(hosted.router.id)
        if before is not None and before.link is not None:
            return before.link
        given = {kept.link for kept in there.values()}
        taken = self._uplink.taken()
        for number in range(LINKS):
            link = HostLink(number)
            if link not in given and not taken & {link.host, link.router}:
                return link
        raise WiringError("there is no address left for a router's link to its host")

    def _advertise(self, hosted: HostedRouter) -> None:
        text, process = configuration(hosted), self._process(hosted.router.id)
        if text:
            make_directories(Path(self._advertising(hosted.router.id)))
            process.apply(text)
        elif os.path.isdir(self._advertising(hosted.router.id)):
            process.stop()
            shutil.rmtree(self._advertising(hosted.router.id), ignore_errors=True)

    # --- looked at --------------------------------------------------------------------------------------------------

    def _loose(self, kept: _Kept) -> Iterator[str]:
        """What goes by itself when a host is started anew, or with a bridge."""
        if not namespace.exists(self._netns(kept.hosted.router.id)):
            yield "its namespace is gone"
            return
        for vif in kept.hosted.legs:
            if fault := self._links.fault_of(vif):
                yield f"{vif.devname}: {fault}"

    def _faults(self, kept: _Kept, wanted: HostedRouter | None) -> Iterator[str]:
        hosted, netns = kept.hosted, self._netns(kept.hosted.router.id)
        if wanted is not None and wanted != hosted:
            yield "it works by another record than there is now"
        if any(loose := list(self._loose(kept))):
            yield from loose
            return
        yield from Place(netns).faults(kept.links, kept.ways)
        if nft.statements(netns, INSIDE_TABLE) != nft.meaning(kept.ruleset, INSIDE_TABLE):
            yield "its namespace has other rules than were applied"
        if kept.link is not None:
            yield from self._uplink.faults(hosted, kept.link)
        text = configuration(hosted)
        if text and not self._process(hosted.router.id).works_by(text):
            yield "nothing tells its IPv6 guests of it"

    # --- where it is kept -------------------------------------------------------------------------------------------

    def _read(self) -> dict[str, _Kept]:
        found = {}
        for path in sorted(self._directory.glob("*.json")):
            try:
                kept = msgspec.json.decode(path.read_bytes(), type=_Kept)
            except msgspec.MsgspecError as error:
                raise WiringError(f"{path} cannot be read: {error}; delete it, then repair") from error
            found[kept.hosted.router.id] = kept
        return found

    @contextmanager
    def _alone(self) -> Iterator[None]:
        try:
            make_directories(self._directory)
            with locked(self._directory):
                yield
        except (OSError, subprocess.SubprocessError) as error:
            raise WiringError(f"{self._host.name}: routers: {error}") from error

    def _process(self, router_id: str) -> ServerProcess:
        return ServerProcess(self._advertising(router_id), self._netns(router_id))

    def _advertising(self, router_id: str) -> str:
        return f"{self._directory}/{file_name(router_id)}"

    def _path(self, router_id: str) -> str:
        return f"{self._directory}/{file_name(router_id)}.json"

    def _netns(self, router_id: str) -> str:
        """Neutron's name; where hosts are namespaces of one machine, which share such names, each host has its own."""
        if self._host.netns is None:
            return f"qrouter-{router_id}"
        return f"qrouter-{router_id}-{hashlib.sha256(self._host.name.encode()).hexdigest()[:8]}"
