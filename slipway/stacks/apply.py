"""What a run file says besides its instances, compared with the record and brought about; and its inverse."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from msgspec import Struct

from slipway import errors
from slipway.drivers.network.base import NetworkDriver
from slipway.drivers.registry import Drivers
from slipway.model.network import Context, Network, SecurityGroup, Subnet
from slipway.model.neutron import DHCP_OWNER
from slipway.operations.batch import Ended
from slipway.runfile.entries import DEFAULT_GATEWAY, NetworkEntry, PortEntry, RunFile, SecurityGroupEntry, SubnetEntry
from slipway.states import hosts
from slipway.states.store import Store, Transaction


class Changes(Struct, frozen=True):
    """What a file changed on record, a line each for a person. `kept`: where file and record differ and stay so."""

    created: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


class RunResult(Struct, frozen=True):
    """What a run came to: `changes` of the record besides instances, and each instance of the file, in its order."""

    changes: Changes
    ended: tuple[Ended, ...]


def bring_about(file: RunFile, store: Store, drivers: Drivers) -> Changes:
    """Put the file's hosts, security groups, networks, subnets and ports on record where they are not.

    All or nothing where the network is in our own database. Raises the network service's error for what it refuses.
    """
    with _transaction(store, drivers.network) as tx:
        work = _Apply(file, drivers.network, tx)
        with _own(store, tx) as host_tx:
            work.hosts(host_tx)
        for group in file.security_groups:
            work.security_group(group)
        for network in file.networks:
            work.network(network)
    return Changes(tuple(work.created), tuple(work.changed), (), tuple(work.kept))


def take_back(file: RunFile, store: Store, drivers: Drivers) -> Changes:
    """Take the file's ports, networks, security groups and hosts off the record where nothing uses them any more."""
    with _transaction(store, drivers.network) as tx:
        work = _TakeBack(file, drivers.network, tx)
        for network in file.networks:
            work.network(network)
        for group in file.security_groups:
            work.security_group(group)
        with _own(store, tx) as host_tx:
            work.hosts(host_tx)
    return Changes(removed=tuple(work.removed), kept=tuple(work.kept))


@contextmanager
def _transaction(store: Store, network: NetworkDriver) -> Iterator[Transaction | None]:
    """One transaction around all of it for a local network; none for a foreign one, which must not be called in one."""
    if not network.local:
        yield None
        return
    with store.write() as tx:
        yield tx


@contextmanager
def _own(store: Store, tx: Transaction | None) -> Iterator[Transaction]:
    """The transaction for our own rows: the open one, or one of its own."""
    if tx is not None:
        yield tx
        return
    with store.write() as own:
        yield own


class _Apply:
    """Compares and creates; collects what a person is to be told."""

    def __init__(self, file: RunFile, driver: NetworkDriver, tx: Transaction | None) -> None:
        self.file, self.driver, self.tx = file, driver, tx
        self.user = Context(file.project)
        self.admin = Context(file.project, is_admin=True)
        self.created: list[str] = []
        self.changed: list[str] = []
        self.kept: list[str] = []

    def hosts(self, tx: Transaction) -> None:
        """Hosts may change at any time: what was claimed from them stays claimed."""
        known = {usage.host.name: usage.host for usage in hosts.usages(tx)}
        for host in self.file.hosts:
            if known.get(host.name) == host:
                continue
            hosts.save(tx, host)
            (self.changed if host.name in known else self.created).append(f"host {host.name}")

    def security_group(self, entry: SecurityGroupEntry) -> None:
        """Make the group with its rules, or say where its rules differ."""
        found = _own_group(self.driver, self.user, entry.name, self.tx)
        if found is not None:
            if _rules(entry) - {_rule_of(rule) for rule in found.rules}:
                self.kept.append(f"security group {entry.name}: its rules stay as they are (the file has others)")
            return
        group = self.driver.create_security_group(self.user, name=entry.name, tx=self.tx)
        for rule in entry.rules:
            attributes = {
                "direction": rule.direction,
                "ethertype": rule.ethertype,
                "protocol": rule.protocol,
                "port_range_min": rule.port_range_min,
                "port_range_max": rule.port_range_max,
                "remote_ip_prefix": rule.remote_ip_prefix,
            }
            self.driver.create_security_group_rule(
                self.user,
                security_group_id=group.id,
                tx=self.tx,
                **{k: v for k, v in attributes.items() if v is not None},
            )
        self.created.append(f"security group {entry.name}")

    def network(self, entry: NetworkEntry) -> None:
        """Make the network, its subnets and its ports, where they are not."""
        network = _own_network(self.driver, self.user, entry.name, self.tx)
        if network is None:
            network = self.driver.create_network(
                self.admin,
                name=entry.name,
                mtu=entry.mtu,
                shared=entry.shared,
                port_security_enabled=entry.port_security_enabled,
                **_provider(entry),
                project_id=self.file.project,
                tx=self.tx,
            )
            self.created.append(f"network {entry.name}")
        else:
            self._differences(f"network {entry.name}", network, entry, ("mtu", "shared", "port_security_enabled"))
            self._differences(f"network {entry.name}", network, entry, tuple(_provider(entry)))
        known = {s.name: s for s in self.driver.list_subnets(self.user, network_id=network.id, tx=self.tx)}
        for subnet in entry.subnets:
            self._subnet(network, subnet, known.get(subnet.name))
        for port in entry.ports:
            self._port(network, port)

    def _subnet(self, network: Network, entry: SubnetEntry, found: Subnet | None) -> None:
        label = f"subnet {entry.name}"
        if found is None:
            self.driver.create_subnet(self.user, network_id=network.id, tx=self.tx, **_subnet_attributes(entry))
            self.created.append(label)
            return
        self._differences(label, found, entry, ("cidr", "enable_dhcp", "ipv6_ra_mode", "ipv6_address_mode"))
        if entry.gateway_ip != DEFAULT_GATEWAY:
            self._differences(label, found, entry, ("gateway_ip",))
        if entry.pools and tuple(entry.pools) != found.allocation_pools:
            self.kept.append(f"{label}: its pools stay as they are (the file has others)")
        if entry.dns and tuple(entry.dns) != found.dns_nameservers:
            self.kept.append(f"{label}: its DNS servers stay as they are (the file has others)")

    def _port(self, network: Network, entry: PortEntry) -> None:
        found = self.driver.list_ports(self.user, network_id=network.id, name=entry.name, tx=self.tx)
        if not found:
            self.driver.create_port(
                self.admin,
                network_id=network.id,
                name=entry.name,
                fixed_ips=[{"ip_address": entry.fixed_ip}] if entry.fixed_ip else None,
                mac_address=entry.mac_address,
                security_groups=self._group_ids(entry.security_groups),
                project_id=self.file.project,
                tx=self.tx,
            )
            self.created.append(f"port {entry.name}")
            return
        addresses = [ip.ip_address for ip in found[0].fixed_ips]
        if entry.fixed_ip is not None and entry.fixed_ip not in addresses:
            have = ", ".join(addresses) or "none"
            self.kept.append(f"port {entry.name}: its address stays {have} (the file says {entry.fixed_ip})")

    def _group_ids(self, names: Sequence[str] | None) -> list[str] | None:
        if names is None:
            return None
        known = {g.name: g.id for g in self.driver.list_security_groups(self.user, tx=self.tx)}
        return [known.get(name, name) for name in names]

    def _differences(self, label: str, found: object, entry: object, attributes: Sequence[str]) -> None:
        for name in attributes:
            have, want = getattr(found, name), getattr(entry, name)
            if have != want:
                self.kept.append(f"{label}: {name} stays {have} (the file says {want})")


class _TakeBack:
    """Removes what nothing uses; collects what a person is to be told."""

    def __init__(self, file: RunFile, driver: NetworkDriver, tx: Transaction | None) -> None:
        self.file, self.driver, self.tx = file, driver, tx
        self.user = Context(file.project)
        self.admin = Context(file.project, is_admin=True)
        self.removed: list[str] = []
        self.kept: list[str] = []

    def network(self, entry: NetworkEntry) -> None:
        """Remove the file's ports, then the network with its subnets, unless others have ports on it."""
        network = _own_network(self.driver, self.user, entry.name, self.tx)
        if network is None:
            return
        mine = {port.name for port in entry.ports}
        for port in self.driver.list_ports(self.admin, network_id=network.id, tx=self.tx):
            if port.name in mine and not port.device_id:
                self.driver.delete_port(self.admin, port.id, tx=self.tx)
                self.removed.append(f"port {port.name}")
        ports = self.driver.list_ports(self.admin, network_id=network.id, tx=self.tx)
        # A DHCP server's port goes with its network (Neutron).
        left = [port for port in ports if port.device_owner != DHCP_OWNER]
        if left:
            self.kept.append(f"network {entry.name}: {len(left)} ports are on it")
            return
        for subnet in self.driver.list_subnets(self.admin, network_id=network.id, tx=self.tx):
            self.driver.delete_subnet(self.admin, subnet.id, tx=self.tx)
            self.removed.append(f"subnet {subnet.name}")
        self.driver.delete_network(self.admin, network.id, tx=self.tx)
        self.removed.append(f"network {entry.name}")

    def security_group(self, entry: SecurityGroupEntry) -> None:
        """Remove the group, unless a port uses it."""
        group = _own_group(self.driver, self.user, entry.name, self.tx)
        if group is None:
            return
        used = [p for p in self.driver.list_ports(self.admin, tx=self.tx) if group.id in p.security_groups]
        if used:
            self.kept.append(f"security group {entry.name}: {len(used)} ports use it")
            return
        self.driver.delete_security_group(self.admin, group.id, tx=self.tx)
        self.removed.append(f"security group {entry.name}")

    def hosts(self, tx: Transaction) -> None:
        """Take the hosts off the record from which nothing is claimed."""
        claims = hosts.all_claims(tx)
        known = {usage.host.name for usage in hosts.usages(tx)}
        for host in self.file.hosts:
            count = sum(claim.host == host.name for claim in claims)
            if count:
                self.kept.append(f"host {host.name}: {count} instances are on it")
            elif host.name in known:
                hosts.remove(tx, host.name)
                self.removed.append(f"host {host.name}")


def _provider(entry: NetworkEntry) -> dict[str, str | int]:
    """What the file says of the network's segment, by Neutron's names; what it leaves open is not among it."""
    said = {
        "provider_network_type": entry.provider_network_type,
        "provider_physical_network": entry.provider_physical_network,
        "provider_segmentation_id": entry.provider_segmentation_id,
    }
    return {name: value for name, value in said.items() if value is not None}


def _own_network(driver: NetworkDriver, user: Context, name: str, tx: Transaction | None) -> Network | None:
    """The project's own network of that name; a shared one of another project is not ours to change."""
    found = [n for n in driver.list_networks(user, name=name, tx=tx) if n.project_id == user.project_id]
    if len(found) > 1:
        raise errors.NetworkAmbiguous(f"project {user.project_id} has several networks called {name}")
    return found[0] if found else None


def _own_group(driver: NetworkDriver, user: Context, name: str, tx: Transaction | None) -> SecurityGroup | None:
    found = driver.list_security_groups(user, name=name, tx=tx)
    return next((group for group in found if group.project_id == user.project_id), None)


def _rules(entry: SecurityGroupEntry) -> set[tuple[object, ...]]:
    return {_rule_of(rule) for rule in entry.rules}


def _rule_of(rule: Any) -> tuple[object, ...]:
    """What makes two rules the same."""
    low, high = rule.port_range_min, rule.port_range_max
    return (rule.direction, rule.ethertype, rule.protocol, low, high, rule.remote_ip_prefix)


def _subnet_attributes(entry: SubnetEntry) -> dict[str, Any]:
    """The entry as Neutron's attributes; what the file does not say is left to the network service."""
    attributes: dict[str, Any] = {
        "name": entry.name,
        "cidr": entry.cidr,
        "ip_version": entry.ip_version,
        "enable_dhcp": entry.enable_dhcp,
    }
    if entry.gateway_ip != DEFAULT_GATEWAY:
        attributes["gateway_ip"] = entry.gateway_ip
    if entry.pools:
        attributes["allocation_pools"] = [{"start": pool.start, "end": pool.end} for pool in entry.pools]
    if entry.dns:
        attributes["dns_nameservers"] = list(entry.dns)
    if entry.host_routes:
        attributes["host_routes"] = [{"destination": r.destination, "nexthop": r.nexthop} for r in entry.host_routes]
    for name in ("ipv6_ra_mode", "ipv6_address_mode"):
        if getattr(entry, name) is not None:
            attributes[name] = getattr(entry, name)
    return attributes
