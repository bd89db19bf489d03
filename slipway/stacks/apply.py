"""What a run file says besides its instances, compared with the record and brought about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from slipway.drivers.network.base import NetworkDriver
from slipway.drivers.registry import Drivers
from slipway.model.network import Context, Network, Port, SecurityGroup, Subnet
from slipway.model.neutron import meaning
from slipway.model.request import Place
from slipway.operations.hosts import check_room
from slipway.runfile.entries import DEFAULT_GATEWAY, NetworkEntry, PortEntry, RunFile, SecurityGroupEntry, SubnetEntry
from slipway.stacks.changes import Changes
from slipway.stacks.lookups import Lookups, all_or_nothing
from slipway.stacks.ours import Ours, told
from slipway.states import hosts, stacks
from slipway.states.stacks import Kind
from slipway.states.store import Store, Transaction


def bring_about(file: RunFile, store: Store, drivers: Drivers) -> Changes:
    """Put the file's hosts, security groups, networks, subnets and ports on record where they are not.

    What is made bears the file's stack from then on; what was there before is only used. All or nothing where the
    network is in our own database. Raises the network service's error for what it refuses.
    """
    here = drivers.settle()
    with all_or_nothing(store, drivers.network) as tx:
        work = _Apply(file, drivers.network, Ours(file.stack, store, drivers.network, tx), tx)
        work.hosts(here)
        for group in file.security_groups:
            work.security_group(group)
        for network in file.networks:
            work.network(network)
    return Changes(tuple(work.created), tuple(work.changed), (), tuple(work.kept))


class _Apply:
    """Compares and creates; collects what a person is to be told."""

    def __init__(self, file: RunFile, driver: NetworkDriver, ours: Ours, tx: Transaction | None) -> None:
        self.file, self.driver, self.ours, self.tx = file, driver, ours, tx
        self.user = Context(file.project)
        self.admin = Context(file.project, is_admin=True)
        self.find = Lookups(driver, self.user, ours, tx)
        self.created: list[str] = []
        self.changed: list[str] = []
        self.kept: list[str] = []

    def hosts(self, here: Place) -> None:
        """The stack's own hosts may change at any time: what was claimed from them stays claimed."""
        with self.ours.transaction() as tx:
            known = {usage.host.name: replace(usage.host, place=None) for usage in hosts.usages(tx)}
            there = {*known, *hosts.damaged(tx)}
            for host in self.file.hosts:
                if host == known.get(host.name):
                    continue
                label, maker = f"host {host.name}", stacks.stack_of(tx, Kind.HOST, host.name)
                if host.name in there and maker != self.file.stack:
                    because = told(maker, self.file.project)
                    self.kept.append(f"{label}: it stays as it is, for {because} (the file says otherwise)")
                    continue
                check_room(tx, host)
                hosts.save(tx, host, here)
                stacks.add(tx, self.file.stack, Kind.HOST, host.name)
                (self.changed if host.name in there else self.created).append(label)

    def security_group(self, entry: SecurityGroupEntry) -> None:
        """Make the group with its rules, or say where its rules differ."""
        group = self.find.security_group(entry.name)
        cut_off = group is not None and self.ours.is_unrecorded(Kind.SECURITY_GROUP, group)
        if group is not None and not cut_off:
            if {meaning(rule) for rule in entry.rules} - _said(group):
                self.kept.append(f"security group {entry.name}: its rules stay as they are (the file has others)")
            return
        if group is None:
            group = self.driver.create_security_group(
                self.user, name=entry.name, description=self.ours.description, tx=self.tx
            )
        self._rules_of(group, entry)
        self.ours.add(Kind.SECURITY_GROUP, group.id)
        self.created.append(f"security group {entry.name}")

    def _rules_of(self, group: SecurityGroup, entry: SecurityGroupEntry) -> None:
        there = _said(group)
        for rule in entry.rules:
            if meaning(rule) in there:
                continue
            there.add(meaning(rule))
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

    def network(self, entry: NetworkEntry) -> None:
        """Make the network, its subnets and its ports, where they are not."""
        network = self.find.network(entry.name)
        if network is None:
            network = self.driver.create_network(
                self.admin,
                name=entry.name,
                mtu=entry.mtu,
                shared=entry.shared,
                port_security_enabled=entry.port_security_enabled,
                **_provider(entry),
                description=self.ours.description,
                project_id=self.file.project,
                tx=self.tx,
            )
            self.ours.add(Kind.NETWORK, network.id)
            self.created.append(f"network {entry.name}")
        else:
            self._take(Kind.NETWORK, network)
            self._differences(f"network {entry.name}", network, entry, ("mtu", "shared", "port_security_enabled"))
            self._differences(f"network {entry.name}", network, entry, tuple(_provider(entry)))
        for subnet in entry.subnets:
            self._subnet(network, subnet, self.find.subnet(network, subnet.name))
        for port in entry.ports:
            self._port(network, port)

    def _subnet(self, network: Network, entry: SubnetEntry, found: Subnet | None) -> None:
        label = f"subnet {entry.name}"
        if found is None:
            attributes = {**_subnet_attributes(entry), "description": self.ours.description}
            made = self.driver.create_subnet(self.user, network_id=network.id, tx=self.tx, **attributes)
            self.ours.add(Kind.SUBNET, made.id)
            self.created.append(label)
            return
        self._take(Kind.SUBNET, found)
        self._differences(label, found, entry, ("cidr", "enable_dhcp", "ipv6_ra_mode", "ipv6_address_mode"))
        if entry.gateway_ip != DEFAULT_GATEWAY:
            self._differences(label, found, entry, ("gateway_ip",))
        if entry.pools and tuple(entry.pools) != found.allocation_pools:
            self.kept.append(f"{label}: its pools stay as they are (the file has others)")
        if entry.dns and tuple(entry.dns) != found.dns_nameservers:
            self.kept.append(f"{label}: its DNS servers stay as they are (the file has others)")

    def _port(self, network: Network, entry: PortEntry) -> None:
        found = self.find.port(network, entry.name)
        if found is None:
            made = self.driver.create_port(
                self.admin,
                network_id=network.id,
                name=entry.name,
                fixed_ips=[{"ip_address": entry.fixed_ip}] if entry.fixed_ip else None,
                mac_address=entry.mac_address,
                security_groups=self._group_ids(entry.security_groups),
                project_id=self.file.project,
                description=self.ours.description,
                tx=self.tx,
            )
            self.ours.add(Kind.PORT, made.id)
            self.created.append(f"port {entry.name}")
            return
        self._take(Kind.PORT, found)
        addresses = [ip.ip_address for ip in found.fixed_ips]
        if entry.fixed_ip is not None and entry.fixed_ip not in addresses:
            have = ", ".join(addresses) or "none"
            self.kept.append(f"port {entry.name}: its address stays {have} (the file says {entry.fixed_ip})")

    def _group_ids(self, names: Sequence[str] | None) -> list[str] | None:
        if names is None:
            return None
        found = {name: self.find.security_group(name) for name in names}
        return [name if group is None else group.id for name, group in found.items()]

    def _take(self, kind: Kind, thing: Network | Subnet | Port) -> None:
        """Have on record what a run was cut off at."""
        if self.ours.is_unrecorded(kind, thing):
            self.ours.add(kind, thing.id)

    def _differences(self, label: str, found: object, entry: object, attributes: Sequence[str]) -> None:
        for name in attributes:
            have, want = getattr(found, name), getattr(entry, name)
            if have != want:
                self.kept.append(f"{label}: {name} stays {have} (the file says {want})")


def _provider(entry: NetworkEntry) -> dict[str, str | int]:
    """What the file says of the network's segment, by Neutron's names; what it leaves open is not among it."""
    said = {
        "provider_network_type": entry.provider_network_type,
        "provider_physical_network": entry.provider_physical_network,
        "provider_segmentation_id": entry.provider_segmentation_id,
    }
    return {name: value for name, value in said.items() if value is not None}


def _said(group: SecurityGroup) -> set[tuple[object, ...]]:
    """What the group's rules say, but for those about another group, of which no file speaks."""
    return {meaning(rule) for rule in group.rules if rule.remote_group_id is None}


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
