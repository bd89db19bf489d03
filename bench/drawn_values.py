"""What the random sequences draw their attributes from: values that collide, that are at an end, or that are wrong."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from typing import Any, TypeAlias

Cidr: TypeAlias = IPv4Network | IPv6Network
Choice: TypeAlias = tuple[list[Any], list[Any]]
"""The values that are drawn mostly, and odd ones, most of which are refused."""

NOBODY = "11111111-2222-3333-4444-555555555555"
LONG = "x" * 256

OTHER_SPELLINGS = ["FA:16:3E:11:22:33", "fa-16-3e-11-22-33", "fa16.3e11.2233", "fa163e112233", "fa:16:3e"]
_ODD_MACS = ["01:00:5e:00:00:01", "00:00:00:00:00:00", "", 7, None, " fa:16:3e:11:22:33", "g" * 17]
MACS: Choice = (
    ["fa:16:3e:11:22:33", "fa:16:3e:11:22:34", "0a:00:00:00:00:01"],
    [*OTHER_SPELLINGS, *_ODD_MACS],
)
_OWNERS = ["compute:nova", "compute:az1", "network:dhcp", "network:router_interface", "network:router_gateway"]
_OTHER_OWNERS = ["network:router_centralized_snat", "network:ha_router_replicated_interface", "network:new"]
_OTHER_OWNERS += ["network:floatingip", "baremetal:none", "neutron:LOADBALANCER", "network:distributed"]
OWNERS: Choice = [*_OWNERS, *_OTHER_OWNERS], [LONG, None, 5]
DEVICES: Choice = ["vm", "", "reserved_dhcp_port"], [LONG, 5]
BOOLEANS: Choice = [True, False], ["no", "TRUE", 1, "maybe", None]
NAMES: Choice = ["web", "", "new"], [LONG, 5, None]
TEXTS: Choice = ["text"], [LONG, None]
MTUS: Choice = [0, 1280, 1400, 1450, 1500], [60, 67, 68, 1279, 1501, 9000, -1, "1400", "x", None]
HOSTS: Choice = ["host1", "host1", "nowhere", ""], [None]
VNIC_TYPES: Choice = ["normal", "direct", "macvtap"], ["x", None]
PROFILES: Choice = [{"a": "b"}, {}, None, {"a": {"b": [1, 2]}}], [{"a": LONG * 16}, "x"]
_OPTIONS: list[dict[str, Any]] = [
    {"opt_name": "mtu", "opt_value": "1400"},
    {"opt_name": "mtu", "opt_value": None},
    {"opt_name": "router", "opt_value": ""},
    {"opt_name": "bootfile-name", "opt_value": "a", "ip_version": 6},
    {"opt_name": "", "opt_value": "a"},
    {"opt_name": "a"},
    {"opt_name": "mtu", "opt_value": "1", "ip_version": 5},
    {"opt_name": "x" * 65, "opt_value": "a"},
    {"opt_name": "mtu", "opt_value": LONG},
    {"opt_name": "mtu", "opt_value": " "},
    {"opt_name": "mtu", "opt_value": "1", "more": "x"},
]
OPTIONS: Choice = _OPTIONS[:4], _OPTIONS[4:]
_PAIRS: list[dict[str, Any]] = [
    {"ip_address": "10.0.0.77"},
    {"ip_address": "10.0.0.0/24"},
    {"ip_address": "10.0.0.77", "mac_address": MACS[0][0]},
    {"ip_address": "2001:db8::/64"},
    {"ip_address": "10.0.0"},
    {"mac_address": MACS[0][0]},
    {"ip_address": "1.1.1.1/33"},
    {"ip_address": "10.0.0.77/24", "mac_address": MACS[0][1]},
    {"ip_address": "::ffff:10.0.0.1"},
    {"ip_address": "10.0.0.77", "more": "x"},
]
PAIRS: Choice = _PAIRS[:4], _PAIRS[4:]
MANY_PAIRS = [{"ip_address": f"10.9.0.{number}"} for number in range(11)]
UNKNOWN: dict[str, list[Any]] = {"foo": ["bar"], "status": ["ACTIVE"], "id": [NOBODY], "project_id": ["other"]}
"""Attributes that there are not, or that cannot be given or changed."""

ODD_ADDRESSES = ["10.99.0.1", "2001:db8:99::1", "10.0.0", "10.0.0.300", "", "10.0.0.5/24", "::ffff:10.0.0.5"]
ODD_ADDRESSES += ["fe80::1%eth0", "010.0.0.5", " 10.0.0.5", "2001:DB8::0005"]

ODD_ENTRIES: list[Any] = [
    {},
    {"subnet_id": NOBODY},
    {"subnet_id": None},
    {"ip_address": None},
    {"foo": 1},
    "x",
    {"subnet_id": "x"},
]

MODES = ["slaac", "dhcpv6-stateless", "dhcpv6-stateful"]
ODD_CIDRS = ["10.0.0.77/24", "224.0.0.0/24", "127.0.0.0/24", "0.0.0.0/8", "169.254.0.0/16", "fe80::/64", "::/64"]
ODD_CIDRS += [
    "10.3.0.0/255.255.255.0",
    "10.4/16",
    "::ffff:10.0.0.0/120",
    "2001:db8:7::7/64",
    "2001:db8:8::/48",
    "10.0.0.0/8",
]
BAD_CIDRS = ["10.0.0.0", "0.0.0.0/0", "::/0", "10.0.0.0/33", "", "x", 5, None, "fe80::%eth0/64", "10.0.0.0/-1"]
_SERVERS: list[Any] = [
    ["10.0.0.9"],
    ["2001:db8::9"],
    ["10.0.0.9", "10.0.0.9"],
    ["a.b"],
    [f"8.8.8.{number}" for number in range(6)],
    None,
    [],
]
SERVERS: Choice = _SERVERS[:2], _SERVERS[2:]
_ROUTES: list[Any] = [
    [{"destination": "10.1.0.0/16", "nexthop": "10.0.0.3"}],
    [{"destination": "10.1.0.7/16", "nexthop": "10.0.0.3"}],
    [{"destination": "2001:db8:5::/64", "nexthop": "2001:db8::3"}],
    [{"destination": "10.1.0.0/16", "nexthop": "x"}],
    [{"a": "b"}],
    [{"destination": f"10.1.{number}.0/24", "nexthop": "10.0.0.3"} for number in range(21)],
    None,
    [],
]
ROUTES: Choice = [_ROUTES[0], _ROUTES[2], []], _ROUTES[1:]
SERVICE_TYPES: Choice = [["compute:nova"], ["network:dhcp"], ["compute:nova", "network:dhcp"], []], [["x"], [5], None]

_SEGMENTS: list[dict[str, Any]] = [
    {"provider:network_type": "vlan", "provider:physical_network": "physnet2", "provider:segmentation_id": "$vlan"},
    {"provider:network_type": "vlan", "provider:physical_network": "physnet1", "provider:segmentation_id": 4095},
    {"provider:network_type": "vlan", "provider:physical_network": "elsewhere", "provider:segmentation_id": 7},
    {"provider:network_type": "vlan", "provider:segmentation_id": 7},
    {"provider:network_type": "vxlan", "provider:segmentation_id": "$vni"},
    {"provider:network_type": "vxlan", "provider:physical_network": "physnet1"},
    {"provider:network_type": "flat", "provider:physical_network": "$flat"},
    {"provider:network_type": "flat"},
    {"provider:network_type": "flat", "provider:physical_network": "$flat", "provider:segmentation_id": 1},
    {"provider:network_type": "local"},
    {"provider:network_type": "local", "provider:segmentation_id": 1},
    {"provider:network_type": "x"},
    {"provider:segmentation_id": 7},
    {"provider:physical_network": "physnet1"},
]
_SOUND = [0, 3, 5, 8]
SEGMENTS: Choice = [_SEGMENTS[n] for n in _SOUND], _SEGMENTS
"""`$vlan`, `$vni` and `$flat` are other ones for each sequence: what a sequence makes stays in Neutron."""

ETHERTYPES: Choice = ["IPv4", "IPv6"], ["ipv6", "x", None]
PREFIXES: Choice = ["10.0.0.0/8", "10.0.0.5", "2001:db8::/64", "0.0.0.0/0"], ["10.0.0.5/24", "x", "", "::/0", None]
PROTOCOLS: Choice = ["tcp", "udp", "icmp", "icmpv6", "sctp"], ["ipv6-icmp", "TCP", "6", 17, "58", "ah", "x", 256, "any"]
PORT_NUMBERS: Choice = [1, 8, 80, 443, 255, 65535], [0, 256, 65536, -1, "80", "x", None]
