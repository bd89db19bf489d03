"""Neutron's constants that networks, hosts, guests and run files go by alike, each written down once."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network, ip_network
from typing import Protocol

from slipway.model.network import Context

ADMIN = Context("", is_admin=True)
"""The administrator, on whose behalf Slipway asks about what is any project's."""

DHCP_OWNER = "network:dhcp"
"""The device owner of a DHCP server's port."""

HOST_OWNER = "network:host"
"""The device owner of a host's own port on a network."""

ROUTER_INTERFACE, ROUTER_GATEWAY = "network:router_interface", "network:router_gateway"
"""The device owners of a router's ports: into a network behind it, and to the outside."""

ROUTER_INTERFACES = (
    ROUTER_INTERFACE,
    "network:ha_router_replicated_interface",
    "network:router_interface_distributed",
)
"""All device owners of the first kind."""

AUTO_ADDRESS_MODES = ("slaac", "dhcpv6-stateless")
"""The modes of an IPv6 subnet in which an address is made from the MAC (EUI-64)."""

PROTOCOLS = {
    "ah": 51, "dccp": 33, "egp": 8, "esp": 50, "gre": 47, "icmp": 1, "icmpv6": 58, "igmp": 2, "ipip": 4,
    "ipv6-encap": 41, "ipv6-frag": 44, "ipv6-icmp": 58, "ipv6-nonxt": 59, "ipv6-opts": 60, "ipv6-route": 43,
    "ospf": 89, "pgm": 113, "rsvp": 46, "sctp": 132, "tcp": 6, "udp": 17, "udplite": 136, "vrrp": 112,
}  # fmt: skip
"""The protocols that a security group's rule may name (Neutron: IP_PROTOCOL_MAP)."""

ANY_PROTOCOL = ("any", "hopopt", "ip")
"""Names of protocol 0, which in a rule is any."""

PROTOCOLS_WITH_PORTS = ("dccp", "sctp", "tcp", "udp", "udplite")
IPV6_PROTOCOLS = ("icmpv6", *(name for name in PROTOCOLS if name.startswith("ipv6-")))

FIXED_IP_KEYS = ("subnet_id", "ip_address")
"""What an entry of `fixed_ips` may have. Neutron passes over all others, and gives another address than was meant."""

OVS_BRIDGE = "br-int"
"""The bridge of an Open vSwitch agent, unless a binding names another one."""

_DEVICE_NAME = 14
"""How long a link's name is in Neutron; the kernel takes one character more."""


def protocol_number(protocol: str | None, ethertype: str) -> int:
    """The number of a rule's protocol, which is given by name or number; 0: any.

    Neutron: ICMP is ICMPv6 where the ethertype is IPv6. Raises `ValueError`.
    """
    word = (protocol or "any").lower()
    number = 0 if word in ANY_PROTOCOL else PROTOCOLS[word] if word in PROTOCOLS else int(word)
    return PROTOCOLS["icmpv6"] if (number, ethertype) == (PROTOCOLS["icmp"], "IPv6") else number


class _Rule(Protocol):
    """What a rule of a security group says, be it on record or in a file."""

    @property
    def direction(self) -> str: ...
    @property
    def ethertype(self) -> str: ...
    @property
    def protocol(self) -> str | None: ...
    @property
    def port_range_min(self) -> int | None: ...
    @property
    def port_range_max(self) -> int | None: ...
    @property
    def remote_ip_prefix(self) -> str | None: ...


def meaning(rule: _Rule) -> tuple[object, ...]:
    """What makes two rules the same, however they are written, but for a remote group (Neutron: `_rule_to_key`)."""
    protocol = None if rule.protocol is None else protocol_number(rule.protocol, rule.ethertype)
    peers = None if rule.remote_ip_prefix is None else ip_network(rule.remote_ip_prefix, strict=False)
    everywhere = peers is None or peers.prefixlen == 0
    ports = rule.port_range_min, rule.port_range_max
    return rule.direction, rule.ethertype, protocol, *ports, None if everywhere else str(peers)


def eui64(cidr: str, mac: str) -> IPv6Address:
    """The SLAAC address of a MAC in an IPv6 network: its prefix and the EUI-64 interface id (RFC 4291, appendix A)."""
    # TaskFlow has loaded it where something is built; what only looks at the record does without.
    from netaddr import EUI

    return IPv6Address(int(EUI(mac).ipv6(int(IPv6Network(cidr).network_address))))


def tap_name(port_id: str) -> str:
    """The link of a port in its bridge."""
    return f"tap{port_id}"[:_DEVICE_NAME]


def bridge_name(network_id: str) -> str:
    """The bridge of a network on each host."""
    return f"brq{network_id}"[:_DEVICE_NAME]
