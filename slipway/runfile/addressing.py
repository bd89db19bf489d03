"""Checks of networks: subnets, gateways, pools, ports, and who wants which fixed IP. The rules are Neutron's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

from slipway.model.formats import Address, Cidr, parse_address, parse_cidr, parse_mac, parse_range
from slipway.model.neutron import AUTO_ADDRESS_MODES
from slipway.yamlfile.document import Document, NodePath
from slipway.yamlfile.mistakes import quoted

_LAST_VLAN = 4094


class _Subnet(NamedTuple):
    name: str
    path: NodePath
    cidr: Cidr
    auto_address: bool


class _Pool(NamedTuple):
    version: int
    start: int
    end: int
    at: int
    text: str


@dataclass(slots=True)
class _Network:
    """What is known of a network. Not `complete`: a subnet could not be read, so nothing is said to lie outside."""

    name: str
    complete: bool
    subnets: list[_Subnet] = field(default_factory=list)
    taken: dict[Address, NodePath] = field(default_factory=dict)


def check_networks(document: Document) -> None:
    """Note what is wrong with the networks, and with the addresses that ports and instances want in them."""
    tree = document.value
    damaged = {path[1:2] for path in document.dropped if path[:1] == ("networks",) and path[2:3] in ((), ("subnets",))}
    networks = {
        name: _check_network(document, name, entry, complete=(name,) not in damaged)
        for name, entry in tree.get("networks", {}).items()
    }
    for path, network, address in _fixed_ips(tree):
        if network in networks:
            _check_fixed_ip(document, path, networks[network], address)


def _check_provider(document: Document, path: NodePath, provider: dict[str, Any]) -> None:
    kind = provider["type"]
    if kind == "flat" and "physical_network" not in provider:
        document.problem(path, "a flat network needs its physical_network", key=True)
    if kind not in ("flat", "vlan") and "physical_network" in provider:
        document.problem((*path, "physical_network"), f"a {kind} network has no physical_network", key=True)
    if kind not in ("vlan", "vxlan") and "segmentation_id" in provider:
        document.problem((*path, "segmentation_id"), f"a {kind} network has no segmentation_id", key=True)
    elif kind == "vlan" and provider.get("segmentation_id", 1) > _LAST_VLAN:
        document.problem((*path, "segmentation_id"), f"a VLAN's id is at most {_LAST_VLAN}")
    elif kind == "vlan" and "segmentation_id" in provider and "physical_network" not in provider:
        document.problem(path, "a VLAN with a segmentation_id needs its physical_network", key=True)


def _check_network(document: Document, name: str, entry: dict[str, Any], *, complete: bool) -> _Network:
    if "type" in entry.get("provider", {}):
        _check_provider(document, ("networks", name, "provider"), entry["provider"])
    entries = entry.get("subnets", {})
    network = _Network(name, complete and all("cidr" in subnet for subnet in entries.values()))
    for subnet_name, subnet in entries.items():
        if "cidr" in subnet:
            auto = subnet.get("ipv6_address_mode") in AUTO_ADDRESS_MODES
            place = ("networks", name, "subnets", subnet_name)
            network.subnets.append(_Subnet(subnet_name, place, parse_cidr(subnet["cidr"]), auto))
            _check_subnet(document, network.subnets[-1], subnet)
    _check_overlaps(document, network)
    macs: dict[str, str] = {}
    for port, settings in entry.get("ports", {}).items():
        if "mac_address" in settings:
            owner = macs.setdefault(parse_mac(settings["mac_address"]), port)
            if owner != port:
                path: NodePath = ("networks", name, "ports", port, "mac_address")
                document.problem(path, f"MAC address {settings['mac_address']} is that of port {quoted(owner)} already")
    return network


def _check_subnet(document: Document, subnet: _Subnet, entry: dict[str, Any]) -> None:
    cidr, path = subnet.cidr, subnet.path
    if entry.get("enable_dhcp", True):
        if cidr.max_prefixlen - cidr.prefixlen < 2:
            document.problem(
                (*path, "cidr"), f"{cidr} is too small for DHCP: write enable_dhcp: false, or take a larger one"
            )
        if cidr.is_loopback or cidr.is_multicast or cidr.network_address.is_unspecified:
            document.problem((*path, "cidr"), f"{cidr} cannot be given out by DHCP")
    _check_modes(document, subnet, entry)
    gateway = _check_gateway(document, subnet, entry)
    _check_pools(document, subnet, entry, gateway)


def _check_modes(document: Document, subnet: _Subnet, entry: dict[str, Any]) -> None:
    modes = {key: entry[key] for key in ("ipv6_ra_mode", "ipv6_address_mode") if key in entry}
    for key in modes:
        if subnet.cidr.version == 4:
            document.problem((*subnet.path, key), f"{key} is for IPv6 subnets only", key=True)
        elif not entry.get("enable_dhcp", True):
            document.problem((*subnet.path, key), f"{key} needs enable_dhcp: true", key=True)
    auto = next((mode for mode in modes.values() if mode in AUTO_ADDRESS_MODES), None)
    if auto and subnet.cidr.version == 6 and subnet.cidr.prefixlen != 64:
        document.problem((*subnet.path, "cidr"), f"{auto} needs a /64, not {subnet.cidr}")
    if len(set(modes.values())) > 1:
        document.problem((*subnet.path, "ipv6_address_mode"), "ipv6_ra_mode and ipv6_address_mode must be the same")


def _check_gateway(document: Document, subnet: _Subnet, entry: dict[str, Any]) -> Address | None:
    """The gateway that the subnet will have; by default IPv4's first address and IPv6's subnet-router anycast one."""
    cidr, path = subnet.cidr, (*subnet.path, "gateway")
    if path in document.dropped:
        return None
    if "gateway" not in entry:
        if cidr.version == 6:
            return cidr.network_address
        if cidr.prefixlen == 31:
            document.problem((*subnet.path, "cidr"), f"{cidr} has no room for a gateway: write gateway: null")
        return cidr.network_address + 1 if cidr.prefixlen < 31 else None
    if entry["gateway"] is None:
        return None
    gateway = parse_address(entry["gateway"])
    if gateway.version != cidr.version:
        document.problem(path, f"gateway {gateway} is not IPv{cidr.version}, as the subnet {cidr} is")
    elif cidr.version == 4 and gateway in (cidr.network_address, cidr.broadcast_address):
        document.problem(path, f"gateway {gateway} is the network or broadcast address of {cidr}")
    elif gateway not in cidr and not gateway.is_link_local:
        document.problem(path, f"gateway {gateway} is not in the subnet {cidr}")
    else:
        return gateway
    return None


def _check_pools(document: Document, subnet: _Subnet, entry: dict[str, Any], gateway: Address | None) -> None:
    cidr = subnet.cidr
    ends = 1 if cidr.version == 4 and cidr.prefixlen < 31 else 0
    lowest, highest = int(cidr.network_address) + ends, int(cidr.broadcast_address) - ends
    pools = []
    for index, text in enumerate(entry.get("pools", ())):
        if text is None:
            continue
        path = (*subnet.path, "pools", index)
        start, end = parse_range(text)
        if start.version != cidr.version or int(start) < lowest or int(end) > highest:
            document.problem(path, f"pool {text} is not within the addresses of {cidr}")
        elif gateway is not None and start.version == gateway.version and int(start) <= int(gateway) <= int(end):
            document.problem(path, f"pool {text} has the gateway {gateway} in it")
        pools.append(_Pool(start.version, int(start), int(end), index, text))
    for before, after in pairwise(sorted(pools)):
        if before.version == after.version and after.start <= before.end:
            first, second = sorted((before, after), key=lambda pool: pool.at)
            document.problem((*subnet.path, "pools", second.at), f"pool {second.text} overlaps pool {first.text}")


def _check_overlaps(document: Document, network: _Network) -> None:
    ordered = sorted(network.subnets, key=lambda subnet: (subnet.cidr.version, subnet.cidr))
    for before, after in pairwise(ordered):
        if before.cidr.version == after.cidr.version and before.cidr.overlaps(after.cidr):
            first, second = sorted((before, after), key=lambda subnet: document.position(subnet.path))
            text = f"subnet {second.cidr} overlaps {first.cidr} of {quoted(first.name)}"
            document.problem((*second.path, "cidr"), text)


def _fixed_ips(tree: dict[str, Any]) -> Iterator[tuple[NodePath, str, Address]]:
    """Where a fixed IP is asked for, in which network, and which."""
    for name, network in tree.get("networks", {}).items():
        for port, settings in network.get("ports", {}).items():
            if "fixed_ip" in settings:
                yield ("networks", name, "ports", port, "fixed_ip"), name, parse_address(settings["fixed_ip"])
    for name, instance in tree.get("instances", {}).items():
        for index, nic in enumerate(instance.get("networks", ())):
            if isinstance(nic, dict) and "fixed_ip" in nic and "network" in nic:
                path = ("instances", name, "networks", index, "fixed_ip")
                yield path, nic["network"], parse_address(nic["fixed_ip"])


def _check_fixed_ip(document: Document, path: NodePath, network: _Network, address: Address) -> None:
    subnet = next((subnet for subnet in network.subnets if address in subnet.cidr), None)
    if subnet is None:
        if network.complete:
            cidrs = ", ".join(str(subnet.cidr) for subnet in network.subnets[:4]) or "it has none"
            document.problem(path, f"fixed_ip {address} is in no subnet of {quoted(network.name)} ({cidrs})")
        return
    cidr = subnet.cidr
    if cidr.version == 4 and cidr.prefixlen < 31 and address in (cidr.network_address, cidr.broadcast_address):
        document.problem(path, f"fixed_ip {address} is the network or broadcast address of {cidr}")
    elif subnet.auto_address:
        document.problem(path, f"fixed_ip {address} is in {cidr}, where addresses are made from MACs (SLAAC)")
    elif address in network.taken:
        line = document.position(network.taken[address]).line
        document.problem(path, f"fixed_ip {address} is taken already, in line {line}")
    network.taken.setdefault(address, path)
