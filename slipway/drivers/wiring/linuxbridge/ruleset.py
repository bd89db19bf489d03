"""The ruleset of one network namespace, as text for `nft`: a function of the ports that are to be filtered there.

Neutron: what a port may send and get besides its groups' rules is that of `agent/linux/iptables_firewall.py` and of
`agent/linux/openvswitch_firewall/firewall.py`; where the two differ, the stricter one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from typing import Literal

from slipway.drivers.wiring.linuxbridge.filtered import FilteredPort
from slipway.model.network import SecurityGroupRule
from slipway.model.neutron import eui64, protocol_number

MARK = 0x40000000
"""The bit of a packet's mark that says, between two of our hooks, that it answers something."""


_ANSWERS = ("ct state related", "ct state established ct direction reply")
"""What is let through without a rule. Not what goes on in the direction in which a connection began: it must match a
rule for as long as it lasts, so a connection ends with the rule, or the group's member, that allowed it."""


class Tracking(Enum):
    """Where connections are tracked: by the bridge itself, or by the IP layer to which br_netfilter shows its packets.

    The value: how a rule of the bridge family knows an answer.
    """

    BRIDGE = _ANSWERS
    IP = (f"meta mark & {MARK:#x} == {MARK:#x}",)


_FROM_GUEST = """
    ether type { arp, 0x8035 } accept
    meta protocol ip udp sport 67 udp dport 68 drop
    meta protocol ip6 udp sport 547 udp dport 546 drop
    icmpv6 type 134 drop
    meta protocol ip udp sport 68 udp dport 67 accept
    meta protocol ip6 udp sport 546 udp dport 547 accept
    icmpv6 type { 130, 131, 132, 133, 135, 136, 143 } accept
"""
"""No DHCP server and no router; a client of both, neighbour discovery and multicast listening (Neutron)."""

_TO_GUEST = """
    ether type arp accept
    ether type != { ip, ip6 } drop
    meta protocol ip udp sport 67 udp dport 68 accept
    meta protocol ip6 udp sport 547 udp dport 546 accept
    icmpv6 type { 130, 134, 135, 136 } accept
"""


def ruleset(
    table: str, ports: Sequence[FilteredPort], members: Sequence[FilteredPort], tracking: Tracking | None
) -> str:
    """One transaction that puts in the place of our tables those for `ports`; none where there are no ports.

    `members`: all ports of the installation, of which remote groups are made. `tracking` None: no port has port
    security, so nothing is looked at.
    """
    lines = [f"add table {family} {table}\ndelete table {family} {table}" for family in ("bridge", "inet")]
    secured = [port for port in ports if port.port_security]
    bridge = [chain for port in ports if not port.port_security for chain in _chains_that_only_say_so(port)]
    bridge.extend(_closed([port for port in ports if not port.up]))
    if tracking is not None:
        lines.append(_block(f"table inet {table}", _ip(secured, tracking)))
        bridge.extend(_bridge(secured, members, tracking))
    if ports:
        lines.append(_block(f"table bridge {table}", bridge))
    return "\n".join(lines) + "\n"


def _closed(ports: Sequence[FilteredPort]) -> Iterator[str]:
    """What is administratively down: nothing passes, before all other chains are asked."""
    if ports:
        taps = _braced(f'"{port.devname}"' for port in ports)
        yield _chain("closed-egress", "type filter hook prerouting priority -310", f"iifname {taps} drop")
        yield _chain("closed-ingress", "type filter hook postrouting priority -310", f"oifname {taps} drop")


def _bridge(ports: Sequence[FilteredPort], members: Sequence[FilteredPort], tracking: Tracking) -> Iterator[str]:
    yield from _groups(ports, members)
    answers = [f"{answer} accept" for answer in tracking.value]
    yield _chain("from-guest", _FROM_GUEST, *answers)
    yield _chain("to-guest", _TO_GUEST, *answers)
    for port in ports:
        yield from _port_chains(port)
    for kind in ("source", "egress", "ingress"):
        yield _verdicts(kind, ports)
    # The order in which the kernel passes the hooks: forged packets are dropped before a connection learns of them,
    # rules are looked at when connections are known.
    prepare = f"meta mark set meta mark & {~MARK & 0xFFFFFFFF:#x}"
    if tracking is Tracking.BRIDGE:
        prepare = f"ct zone set meta ibrname map {_zones(ports)}"
    yield _chain("check-source", "type filter hook prerouting priority -300", prepare, "iifname vmap @by-source")
    yield _chain("check-egress", "type filter hook prerouting priority 50", "iifname vmap @by-egress")
    yield _chain("check-ingress", "type filter hook postrouting priority -200", "oifname vmap @by-ingress")


def _ip(ports: Sequence[FilteredPort], tracking: Tracking) -> Iterator[str]:
    """What is done in the IP layer: to the host's own packets always, to the bridge's where they are tracked there.

    It knows the bridge, but not the tap, so what it finds goes on in the packet's mark.
    """
    bridges = _braced(f'"{bridge}"' for bridge in sorted({port.bridge for port in ports}))
    hooks = {"output": "oifname"} if tracking is Tracking.BRIDGE else {"output": "oifname", "prerouting": "iifname"}
    for hook, name in hooks.items():
        zone = f"ct zone set meta {name} map {_zones(ports)}"
        yield _chain(f"zone-{hook}", f"type filter hook {hook} priority -300", zone)
        if tracking is Tracking.IP:
            marks = (f"{name} {bridges} {answer} meta mark set meta mark | {MARK:#x}" for answer in _ANSWERS)
            yield _chain(f"state-{hook}", f"type filter hook {hook} priority -150", *marks)


def _zones(ports: Iterable[FilteredPort]) -> str:
    """Two networks may have the same addresses. Of their random ids enough is taken for a zone's 16 bits."""
    zones = {port.bridge: int(port.network_id[-4:], 16) or 1 for port in ports}
    return "{ " + ", ".join(f'"{bridge}" : {zone}' for bridge, zone in sorted(zones.items())) + " }"


def _groups(ports: Iterable[FilteredPort], members: Iterable[FilteredPort]) -> Iterator[str]:
    """A set for each remote group and IP version: the addresses and pairs of its members, on whichever host."""
    for group in sorted({group for port in ports for group in port.remote_groups}):
        sources = [source for port in members if group in port.groups for source in port.sources]
        for version in (4, 6):
            elements = _addresses((network for _, network in sources), version)
            yield _block(
                f"set {_set_name(group, version)}",
                [
                    f"type ipv{version}_addr",
                    "flags interval",
                    *([f"elements = {_braced(elements)}"] if elements else []),
                ],
            )


def _set_name(group: str, version: int) -> str:
    return f"group{version}-{group}"


def _verdicts(kind: str, ports: Iterable[FilteredPort]) -> str:
    """A map, so that a packet costs the same among a hundred ports."""
    elements = _braced(f'"{port.devname}" : goto {kind}-{port.port_id}' for port in ports)
    return _block(f"map by-{kind}", ("type ifname : verdict", f"elements = {elements}"))


def _chains_that_only_say_so(port: FilteredPort) -> Iterator[str]:
    """That a port is let alone is on the host to be seen as well."""
    for direction in ("egress", "ingress"):
        yield _chain(f"{direction}-{port.port_id}", "accept")


def _port_chains(port: FilteredPort) -> Iterator[str]:
    yield _chain(f"source-{port.port_id}", *_sources(port))
    for direction, common in (("egress", "from-guest"), ("ingress", "to-guest")):
        rules = (_rule(rule) for rule in port.rules if rule.direction == direction)
        yield _chain(f"{direction}-{port.port_id}", f"jump {common}", *dict.fromkeys(rules), "drop")


def _sources(port: FilteredPort) -> Iterator[str]:
    sources = port.sources
    macs = list(dict.fromkeys([port.mac, *(mac for mac, _ in sources)]))
    # QEMU's word to the bridges, by RARP (0x8035), that a guest has come to this host: no guest gets to see it.
    yield f"ether type 0x8035 ether saddr {port.mac} accept"
    # A VLAN's tag is of another type too: nothing hides behind one.
    yield "ether type != { ip, ip6, arp } drop"
    yield f"ether saddr != {_braced(macs)} drop"
    for mac in macs:
        networks = [network for of, network in sources if of == mac]
        v4 = _addresses(networks, 4)
        v6 = _addresses([*networks, IPv6Network(eui64("fe80::/64", mac))], 6)
        # Sender 0.0.0.0: asking whether an address is free (RFC 5227).
        yield f"ether saddr {mac} arp saddr ether {mac} arp operation request arp saddr ip 0.0.0.0 accept"
        if v4:
            yield f"ether saddr {mac} arp saddr ether {mac} arp saddr ip {_braced(v4)} accept"
            yield f"ether saddr {mac} ip saddr {_braced(v4)} accept"
        targets = _braced(f"{int(net[0]):#034x}-{int(net[-1]):#034x}" for net in map(IPv6Network, v6))
        yield f"ether saddr {mac} icmpv6 type 136 @th,64,128 != {targets} drop"
        yield f"ether saddr {mac} ip6 saddr {_braced(v6)} accept"
    yield "ip saddr 0.0.0.0 ip daddr 255.255.255.255 udp sport 68 udp dport 67 accept"
    yield "ip6 saddr :: ip6 daddr ff02::/16 icmpv6 type { 131, 135, 143 } accept"
    yield "drop"


def _rule(rule: SecurityGroupRule) -> str:
    version: Literal[4, 6] = 6 if rule.ethertype == "IPv6" else 4
    family = "ip6" if version == 6 else "ip"
    remote = f"{family} {'saddr' if rule.direction == 'ingress' else 'daddr'}"
    said = [f"meta protocol {family}"]
    if rule.remote_ip_prefix is not None and (prefix := ip_network(rule.remote_ip_prefix, strict=False)).prefixlen:
        said.append(f"{remote} {prefix}")
    if rule.remote_group_id is not None:
        said.append(f"{remote} @{_set_name(rule.remote_group_id, version)}")
    return " ".join([*said, *_protocol(rule, version), "accept"])


def _protocol(rule: SecurityGroupRule, version: int) -> Iterator[str]:
    number = protocol_number(rule.protocol, rule.ethertype)
    low, high = rule.port_range_min, rule.port_range_max
    if number:
        yield f"meta l4proto {number}"
    if low is None:
        return
    if number in (1, 58):
        name = "icmp" if number == 1 else "icmpv6"
        yield f"{name} type {int(low)}"
        if high is not None:
            yield f"{name} code {int(high)}"
    elif number:
        yield f"th dport {int(low)}-{int(low if high is None else high)}"


def _addresses(networks: Iterable[IPv4Network | IPv6Network], version: int) -> list[str]:
    """Those of one version, without overlaps, which a set of intervals does not take."""
    if version == 4:
        return [str(net) for net in collapse_addresses(net for net in networks if isinstance(net, IPv4Network))]
    return [str(net) for net in collapse_addresses(net for net in networks if isinstance(net, IPv6Network))]


def _braced(elements: Iterable[str]) -> str:
    return f"{{ {', '.join(elements)} }}"


def _chain(name: str, *statements: str) -> str:
    return _block(f"chain {name}", statements)


def _block(head: str, body: Iterable[str]) -> str:
    return "\n".join((f"{head} {{", *body, "}"))
