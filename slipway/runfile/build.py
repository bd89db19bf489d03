"""The dataclasses of a run file, made from a tree that passed all checks."""

from __future__ import annotations

from pathlib import Path

from slipway.model.formats import parse_cidr, parse_mac, parse_range
from slipway.model.network import AllocationPool, HostRoute
from slipway.runfile.entries import (
    DEFAULT_GATEWAY,
    FaultEntry,
    NetworkEntry,
    PortEntry,
    RunFile,
    SubnetEntry,
)
from slipway.runfile.nat import build_nat
from slipway.runfile.records import Records
from slipway.runfile.requests import Tree, address, only
from slipway.runfile.routing import build_floating_ip, build_router
from slipway.runfile.security import build_security_group
from slipway.yamlfile.document import Document


def build(document: Document, workflow: str, records: Records) -> RunFile:
    """The run file."""
    tree: Tree = document.value
    outside, nat_routers = build_nat(tree, tree.get("project", "default"))
    return RunFile(
        path=Path(document.name),
        name=tree.get("name", Path(document.name).stem),
        project=tree.get("project", "default"),
        workflow=workflow,
        settings=records.settings,
        hosts=tuple(records.hosts.values()),
        networks=(*(_network(name, entry) for name, entry in tree.get("networks", {}).items()), *outside),
        security_groups=tuple(build_security_group(*item) for item in tree.get("security_groups", {}).items()),
        routers=(*(build_router(*item) for item in tree.get("routers", {}).items()), *nat_routers),
        floating_ips=tuple(build_floating_ip(*item) for item in tree.get("floating_ips", {}).items()),
        instances=tuple(records.instances),
        faults=tuple(map(_fault, tree.get("faults", ()))),
    )


def _fault(entry: Tree) -> FaultEntry:
    error = {"error": entry["raise"]} if "raise" in entry else {}
    return FaultEntry(**only(entry, "at", "call", "mode"), **error)


def _network(name: str, entry: Tree) -> NetworkEntry:
    provider = entry.get("provider", {})
    kind = provider.get("type")
    return NetworkEntry(
        name=name,
        # As Neutron has it: a domain ends with a dot.
        dns_domain=f"{entry['dns_domain'].removesuffix('.')}." if "dns_domain" in entry else None,
        mtu=entry.get("mtu", 1450 if kind == "vxlan" else 1500),
        provider_network_type=kind,
        provider_physical_network=provider.get("physical_network"),
        provider_segmentation_id=provider.get("segmentation_id"),
        subnets=tuple(_subnet(*item) for item in entry.get("subnets", {}).items()),
        ports=tuple(_port(*item) for item in entry.get("ports", {}).items()),
        **only(entry, "shared", "external", "port_security_enabled", "host_address"),
    )


def _subnet(name: str, entry: Tree) -> SubnetEntry:
    gateway = entry.get("gateway", DEFAULT_GATEWAY)
    routes = entry.get("host_routes", ())
    return SubnetEntry(
        name=name,
        cidr=str(parse_cidr(entry["cidr"])),
        gateway_ip=gateway if gateway in (None, DEFAULT_GATEWAY) else address(gateway),
        pools=tuple(AllocationPool(*map(str, parse_range(pool))) for pool in entry.get("pools", ())),
        dns=tuple(map(address, entry.get("dns", ()))),
        host_routes=tuple(HostRoute(str(parse_cidr(r["destination"])), address(r["nexthop"])) for r in routes),
        **only(entry, "ipv6_ra_mode", "ipv6_address_mode", "enable_dhcp"),
    )


def _port(name: str, entry: Tree) -> PortEntry:
    return PortEntry(
        name=name,
        fixed_ip=address(entry["fixed_ip"]) if "fixed_ip" in entry else None,
        dns_name=entry.get("dns_name"),
        mac_address=parse_mac(entry["mac_address"]) if "mac_address" in entry else None,
        security_groups=tuple(entry["security_groups"]) if "security_groups" in entry else None,
    )
