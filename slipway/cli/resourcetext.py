"""How networks, subnets, ports and security groups are shown: objects for programs, tables and facts for people."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from slipway.cli.options import Options
from slipway.cli.output import labelled, print_json, table, write
from slipway.cli.say import say
from slipway.model.network import AddressPair, AllocationPool, DhcpOption, FixedIp, HostRoute, SecurityGroupRule
from slipway.model.routing import ExternalGateway, PortForwarding, Route

if TYPE_CHECKING:
    from slipway.model.network import Network, Port, SecurityGroup, Subnet
    from slipway.model.routing import FloatingIp, Router, RouterInterface

    Resource: TypeAlias = Network | Subnet | Port | SecurityGroup | Router
    Shown: TypeAlias = Resource | SecurityGroupRule | FloatingIp | RouterInterface | PortForwarding

_TEXTS: dict[type, Callable[[Any], str]] = {
    bool: lambda value: yes(value),
    FixedIp: lambda ip: f"{ip.ip_address} (subnet {ip.subnet_id})",
    AllocationPool: lambda pool: f"{pool.start}-{pool.end}",
    HostRoute: lambda route: f"{route.destination} via {route.nexthop}",
    AddressPair: lambda pair: f"{pair.ip_address} {pair.mac_address}",
    DhcpOption: lambda option: f"{option.opt_name}={option.opt_value} (IPv{option.ip_version})",
    Route: lambda route: f"{route.destination} via {route.nexthop}",
    ExternalGateway: lambda gateway: _gateway_text(gateway),
    PortForwarding: lambda one: (
        f"{one.protocol} {one.external_port_range} to {one.internal_ip_address} {one.internal_port_range} ({one.id})"
    ),
    SecurityGroupRule: lambda rule: f"{rule_text(rule)} ({rule.id})",
}


def resource_json(resource: Shown) -> dict[str, Any]:
    """A resource for programs: Neutron's attributes with `_` for `:`."""
    values = {name: getattr(resource, name) for name in resource.__struct_fields__}
    for name in ("binding_profile", "binding_vif_details"):
        if name in values:
            values[name] = json.loads(values[name])
    return values


def show(options: Options, resource: Shown, **more: str) -> None:
    """All about one resource, and what `more` there is to say of it."""
    if options.json:
        print_json({**resource_json(resource), **more})
    else:
        write(labelled([*_facts(resource), *((name, _text(value)) for name, value in more.items())]))


def show_list(
    options: Options,
    noun: str,
    found: Sequence[Resource | FloatingIp],
    columns: Sequence[str],
    row: Callable[[Any], Sequence[str | None]],
) -> None:
    """A table with a row for each resource."""
    if options.json:
        print_json([resource_json(one) for one in found])
    elif not found:
        say(f"no {noun}s")
    else:
        write(table(columns, [[text or "-" for text in row(one)] for one in found]))


def write_deleted(noun: str, resource: Resource) -> None:
    """Say that it is gone."""
    say(f"deleted {noun} {resource.name or resource.id}")


def rule_text(rule: SecurityGroupRule) -> str:
    """`ingress IPv4 tcp 80 from 0.0.0.0/0`."""
    ports = [str(port) for port in (rule.port_range_min, rule.port_range_max) if port is not None]
    what = "-".join(dict.fromkeys(ports))
    peer = rule.remote_ip_prefix or (f"group {rule.remote_group_id}" if rule.remote_group_id else "any")
    words = (rule.direction, rule.ethertype, rule.protocol or "any", what)
    return " ".join([*filter(None, words), "from" if rule.direction == "ingress" else "to", peer])


def _gateway_text(gateway: ExternalGateway) -> str:
    addresses = ", ".join(each.ip_address for each in gateway.external_fixed_ips)
    return f"{addresses or 'no address'} of network {gateway.network_id}, SNAT {yes(gateway.enable_snat)}"


def yes(value: bool) -> str:
    """`yes` or `no`."""
    return "yes" if value else "no"


def _facts(resource: Shown) -> Iterator[tuple[str, str]]:
    for name in resource.__struct_fields__:
        value = getattr(resource, name)
        lines = [_text(item) for item in value] if isinstance(value, tuple) else [_text(value)]
        yield from ((name if not index else "", line) for index, line in enumerate(lines or ["-"]))


def _text(value: object) -> str:
    return _TEXTS.get(type(value), str)(value) if value not in (None, "") else "-"
