"""Security groups: their rules checked and completed as Neutron does."""

from __future__ import annotations

from typing import Any

from slipway.model.formats import parse_cidr, parse_ports, parse_protocol
from slipway.model.neutron import IPV6_PROTOCOLS, PROTOCOLS, PROTOCOLS_WITH_PORTS
from slipway.runfile.entries import RuleEntry, SecurityGroupEntry
from slipway.yamlfile.document import Document, NodePath

_WITH_PORTS = {str(PROTOCOLS[name]) for name in PROTOCOLS_WITH_PORTS}
_IPV6_ONLY = {str(PROTOCOLS[name]) for name in IPV6_PROTOCOLS}


def check_security_groups(document: Document) -> None:
    """Note what is wrong with the rules."""
    groups = document.value.get("security_groups", {})
    if "default" in groups:
        text = "the security group default is in every project already: choose another name"
        document.problem(("security_groups", "default"), text, key=True)
    for name, group in groups.items():
        for index, rule in enumerate(group.get("rules", ())):
            if rule is not None:
                _check_rule(document, ("security_groups", name, "rules", index), rule)


def _check_rule(document: Document, path: NodePath, rule: dict[str, Any]) -> None:
    for key, direction in (("from", "ingress"), ("to", "egress")):
        if key in rule and rule.get("direction", direction) != direction:
            document.problem((*path, key), f"{key} is for {direction} rules", key=True)
    if {"from", "to"} <= rule.keys():
        document.problem((*path, "to"), "a rule has from (ingress) or to (egress), not both", key=True)
    given = {
        key: version
        for key in ("ethertype", "protocol", "from", "to")
        if key in rule and (version := _ethertype_by(key, rule[key]))
    }
    if len(set(given.values())) > 1:
        text = f"the rule mixes IPv4 and IPv6: {', '.join(f'{key} {rule[key]}' for key in given)}"
        document.problem(path, text)
    ported = "protocol" in rule and _number(rule["protocol"]) in _WITH_PORTS
    if "ports" in rule and not ported and (*path, "protocol") not in document.dropped:
        document.problem((*path, "ports"), "ports need a protocol that has them: tcp, udp, sctp, ...", key=True)


def _number(protocol: str | int) -> str:
    name = parse_protocol(protocol) or "any"
    return str(PROTOCOLS.get(name, name))


def _ethertype_by(key: str, value: Any) -> str | None:
    """The ethertype that a key of a rule makes necessary."""
    if key == "ethertype":
        return str(value)
    if key == "protocol":
        return "IPv6" if _number(value) in _IPV6_ONLY else None
    return f"IPv{parse_cidr(value).version}"


def build_security_group(name: str, group: dict[str, Any]) -> SecurityGroupEntry:
    """The entry of a group that passed the checks."""
    return SecurityGroupEntry(name, tuple(_build_rule(rule) for rule in group.get("rules", ())))


def _build_rule(rule: dict[str, Any]) -> RuleEntry:
    ports = parse_ports(rule["ports"]) if "ports" in rule else (None, None)
    ethertypes = [_ethertype_by(key, rule[key]) for key in ("ethertype", "from", "to", "protocol") if key in rule]
    return RuleEntry(
        direction=rule.get("direction", "egress" if "to" in rule else "ingress"),
        ethertype=next(filter(None, ethertypes), "IPv4"),
        protocol=parse_protocol(rule["protocol"]) if "protocol" in rule else None,
        port_range_min=ports[0],
        port_range_max=ports[1],
        remote_ip_prefix=rule.get("from", rule.get("to")),
    )
