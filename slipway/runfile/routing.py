"""Routers and floating IPs of a run file: checked, and made."""

from __future__ import annotations

import re
from collections import defaultdict
from itertools import combinations
from typing import Any, NamedTuple

from slipway.model.formats import Cidr, parse_address, parse_cidr, parse_ports
from slipway.model.routing import Route
from slipway.runfile.entries import FloatingIpEntry, ForwardEntry, RouterEntry
from slipway.runfile.references import References
from slipway.runfile.requests import address, only
from slipway.yamlfile.document import Document, NodePath
from slipway.yamlfile.mistakes import quoted

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class _Subnet(NamedTuple):
    name: str
    network: str
    entry: dict[str, Any]

    @property
    def cidr(self) -> Cidr:
        return parse_cidr(self.entry["cidr"])


def check_routing(document: Document, references: References) -> None:
    """Note what is wrong with routers and floating IPs, as far as the file says what they lead to."""
    tree: dict[str, Any] = document.value
    subnets: defaultdict[str, list[_Subnet]] = defaultdict(list)
    for network, entry in tree.get("networks", {}).items():
        for name, subnet in entry.get("subnets", {}).items():
            if "cidr" in subnet:
                subnets[name].append(_Subnet(name, network, subnet))
    led_to: dict[str, str] = {}
    for name, router in tree.get("routers", {}).items():
        path: NodePath = ("routers", name)
        _check_outside(document, references, (*path, "external_network"), router.get("external_network"))
        if "external_network" not in router:
            for key in ("external_ips", "snat"):
                if key in router:
                    document.problem((*path, key), f"{key} needs an external_network", key=True)
        mine = _check_subnets(document, path, router, subnets, led_to, name)
        _check_routes(document, path, router, mine, tree)
    _check_floating_ips(document, references)


def _check_outside(document: Document, references: References, path: NodePath, name: str | None) -> None:
    references.check(document, path, "network", name)
    entry = document.value.get("networks", {}).get(name)
    if entry is not None and not entry.get("external"):
        document.problem(path, f"network {quoted(str(name))} is not external: write external: true there")


def _check_subnets(
    document: Document,
    path: NodePath,
    router: dict[str, Any],
    subnets: dict[str, list[_Subnet]],
    led_to: dict[str, str],
    router_name: str,
) -> list[_Subnet]:
    """The router's subnets that the file has."""
    mine: list[tuple[NodePath, _Subnet]] = []
    for index, name in enumerate(router.get("subnets", ())):
        place = (*path, "subnets", index)
        if name is None or _UUID.fullmatch(name):
            continue
        if name not in subnets:
            document.problem(place, f"unknown subnet {quoted(name)}", wrong=name, known=list(subnets))
        elif len(subnets[name]) > 1:
            document.problem(place, f"subnet {quoted(name)} is in {len(subnets[name])} networks: give other names")
        elif subnets[name][0].entry.get("gateway", "") is None:
            document.problem(place, f"subnet {quoted(name)} has no gateway, whose address a router has")
        elif led_to.setdefault(name, router_name) != router_name:
            document.problem(place, f"router {quoted(led_to[name])} has the gateway of subnet {quoted(name)} already")
        else:
            mine.append((place, subnets[name][0]))
    for (_, before), (place, after) in combinations(mine, 2):
        if before.cidr.version == after.cidr.version and before.cidr.overlaps(after.cidr):
            document.problem(place, f"subnet {after.cidr} overlaps {before.cidr} of {quoted(before.name)}")
    return [subnet for _, subnet in mine]


def _check_routes(
    document: Document, path: NodePath, router: dict[str, Any], mine: list[_Subnet], tree: dict[str, Any]
) -> None:
    """Note next hops that are on no subnet; not where the router leads to what the file does not have."""
    outside = router.get("external_network")
    known = tree.get("networks", {}).get(outside, {}) if outside else {}
    if (outside and not known) or len(mine) != len(router.get("subnets", ())):
        return
    cidrs = [subnet.cidr for subnet in mine]
    cidrs += [parse_cidr(subnet["cidr"]) for subnet in known.get("subnets", {}).values() if "cidr" in subnet]
    for index, route in enumerate(router.get("routes", ())):
        nexthop = route.get("nexthop") if isinstance(route, dict) else None
        if nexthop is not None and not any(parse_address(nexthop) in cidr for cidr in cidrs):
            text = f"nexthop {nexthop} is on no subnet that the router leads to"
            document.problem((*path, "routes", index, "nexthop"), text)


def _check_floating_ips(document: Document, references: References) -> None:
    tree: dict[str, Any] = document.value
    taken: dict[tuple[str, str, str | None], str] = {}
    for name, entry in tree.get("floating_ips", {}).items():
        path: NodePath = ("floating_ips", name)
        _check_outside(document, references, (*path, "network"), entry.get("network"))
        references.check(document, (*path, "port"), "port", entry.get("port"))
        if "fixed_ip" in entry and "port" not in entry:
            document.problem((*path, "fixed_ip"), "fixed_ip needs a port", key=True)
        for key in ("address", "fixed_ip"):
            if key in entry and parse_address(entry[key]).version != 4:
                document.problem((*path, key), f"{key} {entry[key]} is not of IPv4, as floating IPs are")
        if "port" in entry:
            one = (str(entry.get("network")), entry["port"], entry.get("fixed_ip"))
            if taken.setdefault(one, name) != name:
                document.problem((*path, "port"), f"port {quoted(entry['port'])} has {quoted(taken[one])} already")
            _check_reached(document, path, entry["port"], entry.get("network"))
        _check_forwards(document, references, path, entry)


def _check_forwards(document: Document, references: References, path: NodePath, entry: dict[str, Any]) -> None:
    """Note forwardings of an address that stands for a port, those that lead nowhere, and ports forwarded twice."""
    forwards = entry.get("forward", ())
    if forwards and "port" in entry:
        text = f"forward: it stands for port {quoted(entry['port'])}, to which all of its ports lead"
        document.problem((*path, "forward"), text, key=True)
    for index, one in enumerate(forwards):
        place: NodePath = (*path, "forward", index)
        if one is None or not {"port", "external_port"} <= one.keys():
            continue
        references.check(document, (*place, "port"), "port", one["port"])
        _check_reached(document, place, one["port"], entry.get("network"))
        if "fixed_ip" in one and parse_address(one["fixed_ip"]).version != 4:
            document.problem((*place, "fixed_ip"), f"fixed_ip {one['fixed_ip']} is not of IPv4, as floating IPs are")
        (first, last), inner = _forwarded(one)
        if inner[1] > inner[0] and inner[1] - inner[0] != last - first:
            text = f"internal_port {one['internal_port']} must be one port, or as many as {one['external_port']}"
            document.problem((*place, "internal_port"), text)
        for other in forwards[:index]:
            if other is None or "external_port" not in other:
                continue
            (begin, end), _ = _forwarded(other)
            if other.get("protocol") == one.get("protocol") and begin <= last and first <= end:
                text = f"port {max(first, begin)} is forwarded to {quoted(str(other.get('port')))} already"
                document.problem((*place, "external_port"), text)


def _forwarded(one: dict[str, Any]) -> tuple[tuple[int, int], tuple[int, int]]:
    """The first and the last port outside, and inside."""
    return parse_ports(one["external_port"]), parse_ports(one.get("internal_port", one["external_port"]))


def _check_reached(document: Document, path: NodePath, port: str, outside: str | None) -> None:
    """Note a port from whose network no router of the file leads to the floating IP's; others may be on record."""
    tree: dict[str, Any] = document.value
    networks = tree.get("networks", {})
    inside = [known for known in networks.values() if port in known.get("ports", {})]
    routers = [one for one in tree.get("routers", {}).values() if one.get("external_network") == outside]
    if not inside or outside not in networks or not tree.get("routers"):
        return
    reached = {subnet for router in routers for subnet in router.get("subnets", ())}
    if not reached.intersection(inside[0].get("subnets", {})):
        text = f"no router leads from the network of port {quoted(port)} to {quoted(outside or '')}"
        document.problem((*path, "port"), text)


def build_router(name: str, entry: dict[str, Any]) -> RouterEntry:
    """A router, of an entry that was checked."""
    routes = entry.get("routes", ())
    return RouterEntry(
        name=name,
        subnets=tuple(entry.get("subnets", ())),
        external_ips=tuple(map(address, entry.get("external_ips", ()))),
        routes=tuple(Route(str(parse_cidr(one["destination"])), address(one["nexthop"])) for one in routes),
        **only(entry, "external_network", "snat"),
    )


def build_floating_ip(name: str, entry: dict[str, Any]) -> FloatingIpEntry:
    """A floating IP, of an entry that was checked."""
    return FloatingIpEntry(
        name=name,
        network=entry["network"],
        address=address(entry["address"]) if "address" in entry else None,
        fixed_ip=address(entry["fixed_ip"]) if "fixed_ip" in entry else None,
        forward=tuple(map(_build_forward, entry["forward"])) if "forward" in entry else None,
        **only(entry, "port"),
    )


def _build_forward(entry: dict[str, Any]) -> ForwardEntry:
    external, internal = _forwarded(entry)
    return ForwardEntry(
        port=entry["port"],
        external=external,
        internal=internal,
        fixed_ip=address(entry["fixed_ip"]) if "fixed_ip" in entry else None,
        **only(entry, "protocol"),
    )
