"""Networks with `nat: true`: a router to the outside for each, and the external network by which it leads out."""

from __future__ import annotations

from hashlib import sha256
from ipaddress import IPv4Network
from typing import Any

from slipway.model.formats import parse_cidr
from slipway.runfile.entries import NetworkEntry, RouterEntry, SubnetEntry
from slipway.yamlfile.document import Document, NodePath
from slipway.yamlfile.mistakes import quoted

_OUTSIDE = IPv4Network("100.64.0.0/10")
"""Of what providers use between their customers and them (RFC 6598), so that nobody's own network is hidden."""


def check_nat(document: Document) -> None:
    """Note what keeps a network from getting a router of its own."""
    networks: dict[str, Any] = document.value.get("networks", {})
    routers: dict[str, Any] = document.value.get("routers", {})
    for name, entry in networks.items():
        if not entry.get("nat"):
            continue
        path: NodePath = ("networks", name, "nat")
        if entry.get("external"):
            document.problem(path, "an external network is itself the way out")
        if not (led_to := _led_to(entry)):
            document.problem(path, "nat needs a subnet that has a gateway")
        for taken, kind, known in ((_outside(name), "network", networks), (_router(name), "router", routers)):
            if taken in known:
                document.problem(path, f"nat makes a {kind} {quoted(taken)}, and the file has one of that name")
        for router, said in routers.items():
            if both := sorted(set(led_to).intersection(said.get("subnets", ()))):
                document.problem(path, f"router {quoted(router)} leads to subnet {quoted(both[0])} already")
        for other, there in networks.items():
            if other != name and (both := sorted(set(led_to).intersection(there.get("subnets", {})))):
                document.problem(path, f"subnet {quoted(both[0])} is in network {quoted(other)} too: give other names")


def build_nat(tree: dict[str, Any], project: str) -> tuple[list[NetworkEntry], list[RouterEntry]]:
    """The external networks and routers of a tree that was checked."""
    named = {name: entry for name, entry in tree.get("networks", {}).items() if entry.get("nat")}
    outside = [
        NetworkEntry(
            name=_outside(name),
            external=True,
            provider_network_type="local",
            subnets=(SubnetEntry(name=_outside(name), cidr=_cidr(project, name)),),
        )
        for name in named
    ]
    routers = [
        RouterEntry(name=_router(name), external_network=_outside(name), subnets=tuple(_led_to(entry)))
        for name, entry in named.items()
    ]
    return outside, routers


def _led_to(entry: dict[str, Any]) -> list[str]:
    return [name for name, subnet in entry.get("subnets", {}).items() if "cidr" in subnet and _leads(subnet)]


def _leads(subnet: dict[str, Any]) -> bool:
    """Whether a router may have its gateway: not where another one tells its guests of itself (Neutron)."""
    elsewhere = "ipv6_address_mode" in subnet and "ipv6_ra_mode" not in subnet
    return subnet.get("gateway", "") is not None and not (elsewhere and parse_cidr(subnet["cidr"]).version == 6)


def _cidr(project: str, name: str) -> str:
    """One of 16384, the same each time: floating IPs of two networks are to be reached on one host."""
    number = int.from_bytes(sha256(f"{project}/{name}".encode()).digest()[:4], "big") % (1 << 14)
    return str(IPv4Network((int(_OUTSIDE.network_address) + (number << 8), 24)))


def _outside(name: str) -> str:
    return f"{name}-outside"


def _router(name: str) -> str:
    return f"{name}-router"
