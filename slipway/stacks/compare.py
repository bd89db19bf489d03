"""What a run file says besides its instances against what is there: what is to be made, what differs, what has left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_network
from typing import Any

from msgspec.structs import replace

from slipway.drivers.network.base import NetworkDriver
from slipway.drivers.network.routing import routing_of
from slipway.model.network import Context, Network, Port, SecurityGroup, Subnet
from slipway.model.neutron import meaning
from slipway.model.request import Host
from slipway.model.routing import FloatingIp, Router
from slipway.runfile.entries import (
    FloatingIpEntry,
    NetworkEntry,
    PortEntry,
    RouterEntry,
    RunFile,
    SecurityGroupEntry,
    SubnetEntry,
)
from slipway.stacks import attributes
from slipway.stacks.lookups import Lookups
from slipway.stacks.ours import Ours, told
from slipway.stacks.plan import Change, Difference, How, Seen
from slipway.stacks.routing import Routing
from slipway.stacks.rules import rule
from slipway.stacks.words import shown
from slipway.states import hosts, stacks
from slipway.states.hosts import HostUsage
from slipway.states.stacks import Kind
from slipway.states.store import Transaction

_DELETE = "delete it"


class Comparison:
    """Compares and changes nothing.

    Afterwards `unchanged` has the labels of what is as the file says, `seen` what was looked at, and `meant` the ids of
    what the file's names stand for.
    """

    def __init__(self, file: RunFile, driver: NetworkDriver, ours: Ours, tx: Transaction | None) -> None:
        self._file, self._driver, self._ours, self._tx = file, driver, ours, tx
        self._user = Context(file.project)
        self._find = Lookups(driver, self._user, ours, tx)
        self._routing = Routing(file, driver, self._find, tx, ours.description)
        self._own = ours.all_ids()
        self.unchanged: list[str] = []
        self.seen: list[Seen] = []
        self.meant: dict[Kind, set[str]] = {kind: set() for kind in Kind}

    def changes(self) -> Iterator[Change]:
        """In the order in which they are to be carried out."""
        yield from self._hosts()
        for group in self._file.security_groups:
            yield from self._security_group(group)
        for network in self._file.networks:
            yield from self._network(network)
        for router in self._file.routers:
            yield from self._router(router)
        for address in self._file.floating_ips:
            yield from self._floating_ip(address)

    # --- hosts ----------------------------------------------------------------------------------------------------

    def _hosts(self) -> Iterator[Change]:
        with self._ours.reading() as tx:
            listed, damaged = hosts.usages_and_damaged(tx) if self._file.hosts else ((), {})
            usages = {usage.host.name: usage for usage in listed}
            for host in self._file.hosts:
                self.meant[Kind.HOST].add(host.name)
                known = usages.get(host.name)
                have = None if known is None else replace(known.host, place=None)
                self._see(f"host {host.name}", have)
                if have is None and host.name not in damaged:
                    yield Change(How.MAKE, Kind.HOST, host.name, why=_size(host), inverse=_DELETE)
                elif have == host:
                    self.unchanged.append(f"host {host.name}")
                elif (maker := stacks.stack_of(tx, Kind.HOST, host.name)) != self._file.stack:
                    because = told(maker, self._file.project)
                    text = f"it stays as it is, for {because} (the file says otherwise)"
                    yield Change(How.KEEP, Kind.HOST, host.name, host.name, why=text)
                elif have is None:
                    text = "its row is damaged, and is written anew"
                    yield Change(How.MEND, Kind.HOST, host.name, host.name, why=text)
                else:
                    found = [
                        difference
                        for name in attributes.HOST
                        for difference in _differing(Kind.HOST, have, host, (name,), met=_held(name, known, host))
                    ]
                    yield _change(Kind.HOST, host.name, host.name, tuple(found))

    # --- security groups ------------------------------------------------------------------------------------------

    def _security_group(self, entry: SecurityGroupEntry) -> Iterator[Change]:
        group = self._find.security_group(entry.name)
        if group is None:
            yield Change(How.MAKE, Kind.SECURITY_GROUP, entry.name, why=_rules(entry.rules), inverse=_DELETE)
            return
        wanted, there = {meaning(one) for one in entry.rules}, attributes.said(group)
        differences: tuple[Difference, ...] = ()
        if wanted | attributes.GIVEN != there | attributes.GIVEN:
            have = [one for one in group.rules if one.remote_group_id is None and meaning(one) not in attributes.GIVEN]
            differences = (self._difference(Kind.SECURITY_GROUP, "rules", _rules(have), _rules(entry.rules)),)
        yield from self._compared(Kind.SECURITY_GROUP, group, entry.name, differences)

    # --- networks -------------------------------------------------------------------------------------------------

    def _network(self, entry: NetworkEntry) -> Iterator[Change]:
        network = self._find.network(entry.name)
        if network is None:
            yield Change(How.MAKE, Kind.NETWORK, entry.name, inverse=_DELETE)
            for subnet in entry.subnets:
                yield _new_subnet(entry, subnet)
            for port in entry.ports:
                yield _new_port(entry, port)
            return
        found = _differing(Kind.NETWORK, network, attributes.network(entry), tuple(attributes.network(entry)))
        yield from self._compared(Kind.NETWORK, network, entry.name, tuple(found))
        for subnet in entry.subnets:
            yield from self._subnet(entry, network, subnet)
        for port in entry.ports:
            yield from self._port(entry, network, port)

    def _subnet(self, within: NetworkEntry, network: Network, entry: SubnetEntry) -> Iterator[Change]:
        subnet = self._find.subnet(network, entry.name)
        if subnet is None:
            yield replace(_new_subnet(within, entry), problem=self._overlap(network, entry))
            return
        wanted = attributes.subnet(entry, subnet)
        found = _differing(Kind.SUBNET, subnet, wanted, tuple(wanted))
        yield from self._compared(Kind.SUBNET, subnet, entry.name, tuple(found), within.name)

    def _overlap(self, network: Network, entry: SubnetEntry) -> str:
        """Why a new subnet cannot be made: a network has each address once."""
        mine = ip_network(entry.cidr)
        for other in self._driver.list_subnets(self._user, network_id=network.id, tx=self._tx):
            if ip_network(other.cidr).overlaps(mine):
                return f"subnet {other.name or other.id} of network {network.name} has {other.cidr} already"
        return ""

    def _port(self, within: NetworkEntry, network: Network, entry: PortEntry) -> Iterator[Change]:
        port = self._find.port(network, entry.name)
        if port is None:
            yield _new_port(within, entry)
            return
        found: list[Difference] = []
        addresses = [ip.ip_address for ip in port.fixed_ips]
        if entry.fixed_ip is not None and entry.fixed_ip not in addresses:
            found.append(self._difference(Kind.PORT, "fixed_ips", ", ".join(addresses) or "none", entry.fixed_ip))
        if entry.mac_address is not None and entry.mac_address != port.mac_address:
            used = bool(port.device_id)
            found.append(self._difference(Kind.PORT, "mac_address", port.mac_address, entry.mac_address, met=used))
        if entry.dns_name is not None and entry.dns_name != port.dns_name:
            found.append(self._difference(Kind.PORT, "dns_name", port.dns_name or "none", entry.dns_name))
        if (groups := self._other_groups(entry, port)) is not None:
            found.append(self._difference(Kind.PORT, "security_groups", *groups))
        yield from self._compared(Kind.PORT, port, entry.name, tuple(found), within.name)

    def _other_groups(self, entry: PortEntry, port: Port) -> tuple[str, str] | None:
        """Which groups the port has and which the file says, where that is not the same."""
        if entry.security_groups is None and not port.security_groups:
            return None
        names = ("default",) if entry.security_groups is None else entry.security_groups
        wanted = {name: self._find.security_group(name) for name in names}
        ids = {name if group is None else group.id for name, group in wanted.items()}
        if ids == set(port.security_groups):
            return None
        called = {group.id: name for name, group in wanted.items() if group is not None}
        called |= {one.id: one.name for one in self._driver.list_security_groups(self._user, tx=self._tx)}
        have = ", ".join(sorted(called.get(each, each) for each in port.security_groups))
        return have or "none", ", ".join(sorted(names)) or "none"

    # --- routers and floating IPs -----------------------------------------------------------------------------------

    def _router(self, entry: RouterEntry) -> Iterator[Change]:
        router = self._routing.router(entry.name)
        if router is None:
            why = f"leads to {', '.join(entry.subnets) or 'no subnet'}"
            why += f" and out by {entry.external_network}" if entry.external_network else ""
            yield Change(How.MAKE, Kind.ROUTER, entry.name, why=why, inverse=_DELETE)
            return
        found = self._routing.differing(entry, router)
        yield from self._compared(Kind.ROUTER, router, entry.name, self._differences(Kind.ROUTER, found))

    def _floating_ip(self, entry: FloatingIpEntry) -> Iterator[Change]:
        address = self._routing.floating_ip(entry.name)
        if address is None:
            wanted = (entry.address or f"auto ({entry.network})",)
            why = f"stands for port {entry.port}" if entry.port else "stands for no port"
            yield Change(How.MAKE, Kind.FLOATING_IP, entry.name, why=why, inverse="give it back", addresses=wanted)
            return
        found = self._routing.differing_address(entry, address)
        yield from self._compared(Kind.FLOATING_IP, address, entry.name, self._differences(Kind.FLOATING_IP, found))

    def _differences(self, kind: Kind, found: Mapping[str, tuple[Any, Any]]) -> tuple[Difference, ...]:
        return tuple(self._difference(kind, name, shown(have), shown(want)) for name, (have, want) in found.items())

    # --- what has left ----------------------------------------------------------------------------------------------

    def left(self) -> Iterator[tuple[Kind, str, str, str | None]]:
        """What the stack made and the file has no more: kind, name, id, and the network that it is in."""
        admin = Context(self._file.project, is_admin=True)
        called = {}
        for port_id in sorted(self._own[Kind.PORT] - self.meant[Kind.PORT]):
            for port in self._listed_ports(admin, port_id):
                yield Kind.PORT, port.name or port.id, port.id, port.network_id
        for kind, list_, context in (
            (Kind.NETWORK, self._driver.list_networks, admin),
            (Kind.SUBNET, self._driver.list_subnets, admin),
            (Kind.SECURITY_GROUP, self._driver.list_security_groups, self._user),
        ):
            # A service elsewhere may have what is not on record yet.
            if not (self._own[kind] - self.meant[kind] or self._ours.description):
                continue
            things: Sequence[Any] = list_(context, tx=self._tx)
            for thing in self._ours.of(kind, things):
                if thing.id not in self.meant[kind]:
                    called[thing.id] = thing.name or thing.id
                    yield kind, thing.name or thing.id, thing.id, getattr(thing, "network_id", None)
        yield from self._left_routing(admin)
        for name in sorted(self._own[Kind.HOST] - self.meant[Kind.HOST]):
            yield Kind.HOST, name, name, None

    def _left_routing(self, admin: Context) -> Iterator[tuple[Kind, str, str, str | None]]:
        """A floating IP before the router that leads to what it stands for."""
        gone = {kind: self._own[kind] - self.meant[kind] for kind in (Kind.FLOATING_IP, Kind.ROUTER)}
        if not any(gone.values()):
            return
        driver = routing_of(self._driver)
        for address in driver.list_floatingips(admin, tx=self._tx):
            if address.id in gone[Kind.FLOATING_IP]:
                yield Kind.FLOATING_IP, address.description or address.floating_ip_address, address.id, None
        for router in driver.list_routers(admin, tx=self._tx):
            if router.id in gone[Kind.ROUTER]:
                yield Kind.ROUTER, router.name or router.id, router.id, None

    def _listed_ports(self, admin: Context, port_id: str) -> Sequence[Port]:
        from slipway.errors import PortNotFound

        try:
            return (self._driver.show_port(admin, port_id, tx=self._tx),)
        except PortNotFound:
            return ()

    # --- all of them ------------------------------------------------------------------------------------------------

    def _difference(self, kind: Kind, name: str, have: str, want: str, *, met: bool = False) -> Difference:
        row = rule(kind, name)
        return Difference(name, have, want, row.applied(met=met), row.why)

    def _compared(
        self,
        kind: Kind,
        thing: Network | Subnet | Port | SecurityGroup | Router | FloatingIp,
        name: str,
        differences: tuple[Difference, ...],
        within: str | None = None,
    ) -> Iterator[Change]:
        """What becomes of something that is there; another's stays as it is."""
        self.meant[kind].add(thing.id)
        self._see(f"{kind} {name}", thing)
        mine = thing.id in self._own[kind]
        if not mine and self._ours.is_unrecorded(kind, thing):
            text = "a run was cut off when it had made it: it is put on record"
            yield Change(How.MEND, kind, name, thing.id, within, differences, text)
        elif not differences:
            self.unchanged.append(f"{kind} {name}")
        elif not mine:
            whose = self._ours.whose(kind, thing.id)
            kept = tuple(replace(one, how=How.KEEP, why=whose) for one in differences)
            yield Change(How.KEEP, kind, name, thing.id, within, kept)
        else:
            yield _change(kind, name, thing.id, differences, within=within)

    def _see(self, label: str, thing: Any) -> None:
        fields = () if thing is None else tuple(thing.__struct_fields__)
        said = tuple((field, shown(getattr(thing, field))) for field in fields if field not in _NOT_SEEN)
        self.seen.append(Seen(label, said or (("there", "no"),)))


_NOT_SEEN = frozenset({"subnets", "status", "revision_number", "place"})
"""What changes by itself or is seen elsewhere."""


def _change(
    kind: Kind, name: str, id_: str, differences: tuple[Difference, ...], *, within: str | None = None, why: str = ""
) -> Change:
    """What becomes of a thing of ours: changed where any of it can be, else it stays."""
    changed = [one for one in differences if one.how is How.CHANGE]
    inverse = "; ".join(f"{one.attribute} back to {one.have}" for one in changed)
    return Change(How.CHANGE if changed else How.KEEP, kind, name, id_, within, differences, why, inverse)


def _differing(kind: Kind, have: Any, want: Any, names: Sequence[str], *, met: bool = False) -> Iterator[Difference]:
    """Where the attributes of a record differ from those of another one, or from what a mapping has."""
    for name in names:
        old, new = getattr(have, name), want[name] if isinstance(want, dict) else getattr(want, name)
        if old != new:
            row = rule(kind, name)
            yield Difference(name, shown(old, name), shown(new, name), row.applied(met=met), row.why)


def _new_subnet(within: NetworkEntry, entry: SubnetEntry) -> Change:
    return Change(How.MAKE, Kind.SUBNET, entry.name, within=within.name, why=entry.cidr, inverse=_DELETE)


def _new_port(within: NetworkEntry, entry: PortEntry) -> Change:
    addresses = (entry.fixed_ip,) if entry.fixed_ip else tuple(f"auto ({one.name})" for one in within.subnets)
    return Change(How.MAKE, Kind.PORT, entry.name, within=within.name, inverse=_DELETE, addresses=addresses)


def _size(host: Host) -> str:
    return f"{host.vcpus} vCPUs, {shown(host.memory, 'memory')} of memory, {shown(host.disk, 'disk')} of disk"


def _rules(rules: Sequence[Any]) -> str:
    return "; ".join(map(attributes.rule_text, rules)) or "no rules"


def _held(attribute: str, known: HostUsage | None, host: Host) -> bool:
    """Whether what is on a host keeps an attribute as it is: more is given out than there would be, or anything is."""
    if known is None:
        return False
    most = hosts.limits(host)
    match attribute:
        case "vcpus" | "cpu_ratio":
            return known.vcpus_used > most.vcpus
        case "memory" | "memory_ratio":
            return known.memory_used > most.memory
        case "disk" | "disk_ratio":
            return known.disk_used > most.disk
    return any((known.vcpus_used, known.memory_used, known.disk_used))
