"""Values that Neutron's API refuses, for every attribute: its error class, a message that says which and why, and
nothing written. All were asked of a real Neutron 25.2.3, but for those under `STRICTER`.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from slipway import Orchestrator, errors
from slipway.networks import Networks
from slipway.states.store import Store
from tests import record

BAD, INPUT = "HTTPBadRequest", "InvalidInput"
TCP = {"protocol": "tcp"}
NOBODY = "11111111-2222-3333-4444-555555555555"
LONG = "x" * 256


class Case(NamedTuple):
    """A call that is refused with this error, and a message in which `said` is."""

    error: str
    said: str
    attributes: dict[str, Any]


def each(error: str, name: str, *values: object) -> Iterator[Case]:
    """Values of one attribute, each of them wrong; the message names the attribute."""
    return (Case(error, name, {name: value}) for value in values)


def once(error: str, said: str, **attributes: object) -> Iterator[Case]:
    """Attributes that are wrong together."""
    return iter([Case(error, said, attributes)])


def _vlan(number: object) -> dict[str, Any]:
    return {
        "provider_network_type": "vlan",
        "provider_physical_network": "physnet1",
        "provider_segmentation_id": number,
    }


NETWORK = [
    *each(BAD, "name", None, 5, b"x", ["x"], LONG),
    *each(BAD, "description", None, 5, LONG),
    *each(BAD, "project_id", 5, LONG),
    *each(INPUT, "provider_physical_network", ""),
    *each(BAD, "mtu", -1, "-1"),
    *each(INPUT, "mtu", None, "x", "", 9000, 10**40, float("nan"), float("inf"), [1500]),
    *each(INPUT, "admin_state_up", None, "maybe", 2, [], {}),
    *each(INPUT, "shared", None, "maybe"),
    *each(INPUT, "port_security_enabled", None, "maybe"),
    *each(INPUT, "router_external", None, "maybe"),
    *each(INPUT, "provider_network_type", "bogus"),
    *each(BAD, "provider_network_type", 5),
    *once(INPUT, "'nope' is unknown", provider_network_type="vlan", provider_physical_network="nope"),
    *once(INPUT, "provider_physical_network", provider_network_type="flat"),
    *once(INPUT, "provider_physical_network", provider_network_type="flat", provider_physical_network=""),
    *once(BAD, "provider_physical_network", provider_network_type="flat", provider_physical_network=LONG),
    *(Case(INPUT, "provider_segmentation_id", _vlan(number)) for number in (0, 4095, -1, "x")),
    *once(INPUT, "out of range", provider_network_type="vxlan", provider_segmentation_id=0),
    *once(INPUT, "out of range", provider_network_type="vxlan", provider_segmentation_id=2**64),
    *once(INPUT, "provider_segmentation_id", provider_network_type="local", provider_segmentation_id=5),
    *(case for name in ("id", "status", "subnets", "colour", "tx", "key") for case in each(BAD, name, "x")),
]

SUBNET = [
    *each(INPUT, "cidr", "", "abc", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.256/24", "2001:db8::/64", "10.0.0.0/24/8"),
    *each(INPUT, "cidr", "0.0.0.0/0", "10.0.0.0/31", "10.0.0.0/32", "224.0.0.0/24", "127.0.0.0/24", "0.0.0.0/8"),
    *each(INPUT, "cidr", "10.0.0.0%eth0/24", "fe80::%eth0/64"),
    *each(BAD, "cidr", None),
    *each(BAD, "ip_version", 5, 0, -4),
    *each(INPUT, "ip_version", "x", None),
    *each(BAD, "gateway_ip", "", "x", 5, "10.0.1", "010.0.0.1", "10.0.0.1/24", "10.0.0.1%eth0"),
    *each(INPUT, "gateway_ip", "10.0.0.0", "10.0.0.255", "2001:db8::1", "::ffff:10.0.0.1"),
    *each(BAD, "dns_nameservers", ["x"], [""], [None], "8.8.8.8", ["8.8.8.8"] * 2, ["8.8.8.8%1"], ["08.8.8.8"], {1: 2}),
    *each(INPUT, "dns_nameservers", ["2001:db8::53"]),
    *each("DNSNameServersExhausted", "dns_nameservers", [f"8.8.8.{number}" for number in range(6)]),
    *each(BAD, "host_routes", "x", ["x"], [{"destination": "10.1.0.0/16"}]),
    *each(BAD, "host_routes", [{"destination": "10.1.0.1/16", "nexthop": "10.0.0.7"}]),
    *each(BAD, "host_routes", [{"destination": "10.1.0.0", "nexthop": "10.0.0.7"}]),
    *each(BAD, "host_routes", [{"destination": "10.1.0.0/16", "nexthop": "10.0.0.7%eth0"}]),
    *each(BAD, "host_routes", [{"destination": "10.1.0.0/16", "nexthop": "10.0.0.7", "metric": 1}]),
    *each(BAD, "host_routes", [{"destination": "10.1.0.0/16", "nexthop": "10.0.0.7"}] * 2),
    *each(INPUT, "host_routes", [{"destination": "2001:db8::/64", "nexthop": "2001:db8::1"}]),
    *each(
        "HostRoutesExhausted",
        "host_routes",
        [{"destination": f"10.{number}.0.0/16", "nexthop": "10.0.0.7"} for number in range(1, 22)],
    ),
    *each(INPUT, "allocation_pools", "x", ["x"]),
    *each(BAD, "allocation_pools", [{"start": "10.0.0.5"}], [{"start": None, "end": "10.0.0.9"}]),
    *each(BAD, "allocation_pools", [{"start": "x", "end": "y"}], [{"start": "10.0.0.5%1", "end": "10.0.0.9"}]),
    *each(BAD, "allocation_pools", [{"start": "10.0.0.5", "end": "10.0.0.9", "step": 2}]),
    *each("InvalidAllocationPool", "allocation_pools", [{"start": "10.0.0.20", "end": "10.0.0.10"}]),
    *each("InvalidAllocationPool", "allocation_pools", [{"start": "2001:db8::1", "end": "2001:db8::2"}]),
    *each("OutOfBoundsAllocationPool", "allocation_pools", [{"start": "10.0.0.250", "end": "10.0.1.5"}]),
    *each("OutOfBoundsAllocationPool", "allocation_pools", [{"start": "10.0.0.0", "end": "10.0.0.9"}]),
    *each(
        "OverlappingAllocationPools",
        "allocation_pools",
        [{"start": "10.0.0.5", "end": "10.0.0.9"}, {"start": "10.0.0.9", "end": "10.0.0.12"}],
    ),
    *once(
        "GatewayConflictWithAllocationPools",
        "gateway_ip: 10.0.0.1",
        allocation_pools=[{"start": "10.0.0.1", "end": "10.0.0.9"}],
    ),
    *once("IpamValueInvalid", "10.0.0.1", cidr="10.0.0.0/31", enable_dhcp=False),
    *each(INPUT, "ipv6_ra_mode", "slaac"),
    *each(INPUT, "ipv6_address_mode", "slaac"),
    *each(INPUT, "enable_dhcp", "perhaps", None),
    *each("InvalidInputSubnetServiceType", "service_types", [5]),
    *each("InvalidSubnetServiceType", "service_types", ["x"], [""]),
    *each(BAD, "service_types", "compute:nova", ["compute:\ud800"], ["compute:a\x00"]),
    *each(BAD, "name", None, 5, LONG),
    *each(BAD, "network_id", None, 5, "x", ""),
    *once("NetworkNotFound", NOBODY, network_id=NOBODY),
    *(case for name in ("id", "shared", "created_at", "colour") for case in each(BAD, name, "x")),
]

SUBNET_6 = [
    *each(INPUT, "cidr", "2001:db8::/127", "2001:db8::/128", "2001:db8::/129", "::/64", "ff02::/64", "::1/128"),
    *each(INPUT, "cidr", "10.0.0.0/24", "fe80::%eth0", "2001:db8:::/64"),
    *each(BAD, "gateway_ip", "fe80::1%eth0", "2001:db8::/64", "2001:db8::g"),
    *each(INPUT, "gateway_ip", "10.0.0.1"),
    *each(BAD, "ipv6_ra_mode", "bogus", 5),
    *each(BAD, "ipv6_address_mode", "bogus", 5),
    *once(INPUT, "ipv6_ra_mode", ipv6_ra_mode="slaac", enable_dhcp=False),
    *once(INPUT, "must be the same", ipv6_ra_mode="slaac", ipv6_address_mode="dhcpv6-stateful"),
    *once(INPUT, "need a /64", ipv6_ra_mode="slaac", cidr="2001:db8::/65"),
    *each(INPUT, "cidr", "fe80::%eth0/64", "fe80::1%eth0/64"),
]

PORT = [
    *each(BAD, "mac_address", "", "x", 5, [], True, "fa:16:3e:11:22", "fa:16:3e:11:22:33:44", "fa:16:3e:11:22:gg"),
    *each(BAD, "mac_address", " fa:16:3e:11:22:33", "fa:16:3e:11:22:33\n", "fa-16:3e-11:22:33", "00:00:00:00:00:00"),
    *each(BAD, "fixed_ips", None, "10.0.0.9", 5, {"ip_address": "10.0.0.9"}, ["10.0.0.9"], [None], {}),
    *each(BAD, "fixed_ips", *([{"ip_address": ip}] for ip in ("", "x", None, 167772169, True, "10.0.0", "10.0.0.256"))),
    *each(BAD, "fixed_ips", *([{"ip_address": ip}] for ip in ("010.0.0.9", "0x0a000009", " 10.0.0.9", "10.0.0.9\n"))),
    *each(BAD, "fixed_ips", *([{"ip_address": ip}] for ip in ("10.0.0.9/24", "10.0.0.9%eth0", "fe80::1%eth0"))),
    *each(BAD, "fixed_ips", *([{"subnet_id": subnet}] for subnet in (None, 5, "x", ""))),
    *each(BAD, "fixed_ips", [{"ip_address": "10.0.0.9"}] * 2, [{"ip_address": []}]),
    *each(INPUT, "fixed_ips", [{}]),
    *each(BAD, "fixed_ips", *([{"ip_address": "10.0.0.9", key: "x"}] for key in ("ip_adress", "subnet", 5, ""))),
    *each(BAD, "fixed_ips", [{"ip_adress": "10.0.0.9"}], [{"subnet_id": NOBODY, "ip_address": "10.0.0.9", "x": None}]),
    *(
        Case("InvalidIpForNetwork", ip, {"fixed_ips": [{"ip_address": ip}]})
        for ip in ("10.0.0.0", "10.0.0.255", "192.168.7.7", "2001:db8::5", "224.0.0.5")
    ),
    *once("InvalidIpForNetwork", "::ffff:", fixed_ips=[{"ip_address": "::ffff:10.0.0.9"}]),
    *once("SubnetNotFound", NOBODY, fixed_ips=[{"subnet_id": NOBODY}]),
    *(
        case
        for name in ("name", "device_id", "device_owner", "description")
        for case in each(BAD, name, None, 5, b"x", LONG)
    ),
    *each(BAD, "project_id", 5, LONG),
    *each(INPUT, "admin_state_up", None, "maybe", []),
    *each(INPUT, "port_security_enabled", "maybe", None),
    *each(BAD, "allowed_address_pairs", "x", ["x"], [{"ip_address": "x"}], [{"ip_address": "10.0.0.7", "port": 80}]),
    *each(BAD, "allowed_address_pairs", *([{"ip_address": ip}] for ip in ("10.0.0.7/33", "fe80::1%eth0", "10.0.0"))),
    *once(BAD, "mac_address", allowed_address_pairs=[{"ip_address": "10.0.0.7", "mac_address": "x"}]),
    *each("AllowedAddressPairsMissingIP", "allowed_address_pairs", [{"mac_address": "fa:16:3e:00:00:09"}]),
    *each("DuplicateAddressPairInRequest", "allowed_address_pairs", [{"ip_address": "10.0.0.7"}] * 2),
    *each(
        "AllowedAddressPairExhausted",
        "allowed_address_pairs",
        [{"ip_address": f"10.7.0.{number}"} for number in range(11)],
    ),
    *each(INPUT, "extra_dhcp_opts", "x", ["x"], [{"opt_name": "a"}], [{"opt_value": "a"}]),
    *each(
        INPUT,
        "extra_dhcp_opts",
        *([{"opt_name": name, "opt_value": value}] for name, value in (("a", " "), ("a", "b\nc"), ("a\nb", "c"))),
    ),
    *each(INPUT, "extra_dhcp_opts", [{"opt_name": "a", "opt_value": "b", "ip_version": 5}]),
    *each(BAD, "binding_profile", "x", 5, [1], {"a": object}, {"a": float("nan")}, {"a": b"x"}, {"a": "\ud800"}),
    *once(INPUT, "binding_profile", binding_profile={"a": "x" * 4096}),
    *each(BAD, "binding_vnic_type", "bogus", None, 5),
    *each(BAD, "security_groups", "x", ["default"], [5], [None], {}, [NOBODY, NOBODY]),
    *once("SecurityGroupNotFound", NOBODY, security_groups=[NOBODY]),
    *each(BAD, "network_id", None, 5, "x", ""),
    *once("NetworkNotFound", NOBODY, network_id=NOBODY),
    *(case for name in ("id", "status", "binding_vif_type", "colour", "key", "tx") for case in each(BAD, name, "x")),
]

SECURITY_GROUP = [
    *each(BAD, "name", None, 5, LONG),
    *each(BAD, "description", None, 5, LONG),
    *each(BAD, "project_id", 5, LONG),
    *once("SecurityGroupDefaultAlreadyExists", "default", name="default"),
    *once("SecurityGroupDefaultAlreadyExists", "default", name="Default"),
    *(case for name in ("id", "rules", "colour") for case in each(BAD, name, "x")),
]

QUOTA = [
    *(case for name in ("network", "subnet", "port") for case in each(BAD, name, -2, -(10**30), 2**31, 10**30)),
    *(case for name in ("security_group", "security_group_rule") for case in each(BAD, name, -2)),
    *each(INPUT, "port", "x", "", None, [], {}),
    *each(BAD, "ports", 1),
]

RULE = [
    *each(BAD, "direction", "both", None, 5),
    *once("SecurityGroupNotFound", NOBODY, remote_group_id=NOBODY),
    *each(BAD, "security_group_id", None, 5, "x"),
    *each(BAD, "description", None, 5, LONG),
    *(case for name in ("id", "colour") for case in each(BAD, name, "x")),
    *each("SecurityGroupRuleInvalidEtherType", "ethertype", "IPv5"),
    *each("SecurityGroupRuleInvalidProtocol", "protocol", "x", 256, -1, "", "all"),
    *once("SecurityGroupProtocolRequiredWithPorts", "protocol", port_range_min=1, port_range_max=2),
    *(
        Case("SecurityGroupInvalidPortValue", "port_range_min", TCP | {"port_range_min": low, "port_range_max": 5})
        for low in (0, -1, "a", "")
    ),
    *once("SecurityGroupInvalidPortValue", "port_range_max", **TCP, port_range_min=1, port_range_max=65536),
    *once("SecurityGroupInvalidPortRange", "port_range_min", **TCP, port_range_min=5, port_range_max=1),
    *once("SecurityGroupInvalidPortRange", "port_range_min", **TCP, port_range_min=5),
    *once("SecurityGroupInvalidPortRange", "port_range_min", **TCP, port_range_max=5),
    *once("SecurityGroupInvalidProtocolForPort", "gre", protocol="gre", port_range_min=1, port_range_max=2),
    *once("SecurityGroupInvalidProtocolForPort", "vrrp", protocol="vrrp", port_range_min=1, port_range_max=2),
    *once("SecurityGroupInvalidIcmpValue", "port_range_min", protocol="icmp", port_range_min=256),
    *once("SecurityGroupMissingIcmpType", "port_range_max", protocol="icmp", port_range_max=5),
    *once("SecurityGroupEthertypeConflictWithProtocol", "icmpv6", protocol="icmpv6"),
    *once("SecurityGroupRuleParameterConflict", "remote_ip_prefix", remote_ip_prefix="::/0"),
    *once(
        "SecurityGroupMultipleRemoteEntites", "remote_group_id", remote_ip_prefix="10.0.0.0/8", remote_group_id=NOBODY
    ),
    *each("InvalidCIDR", "remote_ip_prefix", "x", "10.0.0.0/33", "fe80::%eth0/64"),
]

STRICTER = [
    # A group address is no NIC's.
    *each(BAD, "mac_address", "01:00:5e:00:00:01", "33:33:00:00:00:01", "ff:ff:ff:ff:ff:ff"),
    *once(BAD, "mac_address", allowed_address_pairs=[{"ip_address": "10.0.0.7", "mac_address": "01:00:5e:00:00:01"}]),
    # It fails with an internal error.
    *each(BAD, "allowed_address_pairs", [{"ip_address": None}]),
    # It has no such attribute without its DNS extension; these are the extension's rules.
    *each(BAD, "dns_name", "a_b", "-a", "a-", "a..b", "x" * 64, "a b", "a\n", "é", "1.2.3.4"),
    *each(INPUT, "dns_name", 5, None),
    # Longer than its column, which SQLite does not mind.
    *each(BAD, "binding_host_id", LONG),
    *(case for name in ("name", "device_id", "device_owner", "binding_host_id") for case in each(BAD, name, "a\x00b")),
]

# It takes control characters.
STRICTER_NETWORK = [
    *each(BAD, "name", "a\x00b", "a\nb", "\x1b[31m", "\x7f", "\ud800"),
    *each(BAD, "description", "a\x00b", "\x1b[31m"),
    *each(BAD, "project_id", "a\x00b"),
    # It takes an empty one.
    *each(BAD, "project_id", ""),
]

TABLES: dict[str, list[Case]] = {
    "network": NETWORK + STRICTER_NETWORK,
    "subnet": SUBNET,
    "subnet6": SUBNET_6,
    "port": PORT + STRICTER,
    "security_group": SECURITY_GROUP,
    "security_group_rule": RULE,
    "quota": QUOTA,
}


def _cases() -> Iterator[Any]:
    for kind, table in TABLES.items():
        for case in table:
            yield pytest.param(kind, case, id=_id(kind, case))


def _id(kind: str, case: Case) -> str:
    named = ",".join(f"{name}={value!r:.40}" for name, value in case.attributes.items())
    return f"{kind} {named}".encode("ascii", "replace").decode()


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def orchestrator(state: Path) -> Iterator[Orchestrator]:
    """One for all cases: nothing is written by any of them."""
    with Orchestrator(state, store=lambda url: Store(url, synchronous="OFF")) as made:
        yield made


class Site:
    """A network with a subnet and a port on it, an empty network and a security group."""

    def __init__(self, network: Networks) -> None:
        self.network = network
        self.net = network.create_network(name="net")
        self.subnet = network.create_subnet(network_id=self.net.id, ip_version=4, cidr="10.0.0.0/24")
        self.port = network.create_port(network_id=self.net.id)
        self.group = network.create_security_group(name="web")
        empty = network.create_network(name="empty")
        self._needed: dict[str, dict[str, Any]] = {
            "network": {},
            "subnet": {"network_id": empty.id, "ip_version": 4, "cidr": "10.0.0.0/24"},
            "subnet6": {"network_id": empty.id, "ip_version": 6, "cidr": "2001:db8::/64"},
            "port": {"network_id": self.net.id},
            "security_group": {},
            "security_group_rule": {"security_group_id": self.group.id, "direction": "ingress"},
            "quota": {},
        }

    def create(self, kind: str, attributes: dict[str, Any]) -> object:
        name = "set_quota" if kind == "quota" else f"create_{kind.removesuffix('6')}"
        call: Callable[..., object] = getattr(self.network, name)
        return call(**self._needed[kind] | attributes)

    def update(self, kind: str, attributes: dict[str, Any]) -> object:
        call: Callable[..., object] = getattr(self.network, f"update_{kind}")
        ids = {"network": self.net.id, "subnet": self.subnet.id, "port": self.port.id}
        return call(ids[kind], **attributes)


@pytest.fixture(scope="module")
def site(orchestrator: Orchestrator) -> Site:
    return Site(orchestrator.network)


@pytest.fixture
def database(site: Site, state: Path) -> Iterator[sqlite3.Connection]:
    assert site.network
    with closing(record.opened(state / "slipway.db")) as connection:
        yield connection


@pytest.mark.parametrize(("kind", "case"), list(_cases()))
def test_create(site: Site, database: sqlite3.Connection, kind: str, case: Case) -> None:
    before = list(database.iterdump())
    with pytest.raises(errors.NetworkError, match=re.escape(case.said)) as caught:
        site.create(kind, case.attributes)
    assert type(caught.value).__name__ == case.error
    assert "\n" not in str(caught.value)
    assert list(database.iterdump()) == before


UNCHANGEABLE: dict[str, dict[str, object]] = {
    "network": {"project_id": "x", "id": "x", "status": "DOWN"},
    "subnet": {
        "project_id": "x",
        "cidr": "10.0.0.0/23",
        "ip_version": 6,
        "network_id": NOBODY,
        "ipv6_ra_mode": "slaac",
    },
    "port": {"project_id": "x", "network_id": NOBODY, "status": "ACTIVE", "binding_vif_type": "bridge", "id": "x"},
}


@pytest.mark.parametrize(
    ("kind", "name", "value"), [(kind, *item) for kind, names in UNCHANGEABLE.items() for item in names.items()]
)
def test_what_cannot_be_changed(site: Site, database: sqlite3.Connection, kind: str, name: str, value: object) -> None:
    before = list(database.iterdump())
    with pytest.raises(errors.HTTPBadRequest, match=name):
        site.update(kind, {"name": "new", name: value})
    assert list(database.iterdump()) == before


@pytest.mark.parametrize(
    ("kind", "case"),
    [
        *(("network", case) for case in NETWORK if len(case.attributes) == 1 and "provider" not in case.said),
        *(("port", case) for case in PORT if case.said not in ("network_id", NOBODY, "project_id")),
        *(("subnet", case) for case in SUBNET if case.said in ("gateway_ip", "dns_nameservers", "host_routes", "name")),
    ],
    ids=lambda value: value if isinstance(value, str) else _id("", value),
)
def test_update(site: Site, database: sqlite3.Connection, kind: str, case: Case) -> None:
    before = list(database.iterdump())
    with pytest.raises(errors.NetworkError, match=re.escape(case.said)) as caught:
        site.update(kind, case.attributes)
    assert type(caught.value).__name__ == case.error
    assert list(database.iterdump()) == before


@pytest.mark.parametrize(
    ("filters", "error", "said"),
    [
        ({"colour": "red"}, errors.HTTPBadRequest, "colour"),
        ({"limit": -1}, errors.BadRequest, "limit"),
        ({"limit": "x"}, errors.BadRequest, "limit"),
        ({"sort_dir": "up"}, errors.HTTPBadRequest, "sort_dir"),
        ({"sort_key": "colour"}, errors.HTTPBadRequest, "colour"),
        ({"marker": NOBODY}, errors.PortNotFound, NOBODY),
        ({"ip_address": "10.0.0"}, errors.HTTPBadRequest, "ip_address"),
    ],
)
def test_lists(site: Site, filters: dict[str, Any], error: type[errors.NetworkError], said: str) -> None:
    with pytest.raises(error, match=said) as caught:
        site.network.list_ports(**filters)
    assert caught.type is error


@pytest.mark.parametrize("number", ["x", 2**80, -(2**80), float("inf"), {}])
def test_filters_by_number(site: Site, number: Any) -> None:
    with pytest.raises(errors.BadRequest, match="mtu"):
        site.network.list_networks(mtu=number)


@pytest.mark.parametrize("id_", [{"a": 1}, 2**80, object(), None, [NOBODY], "a\x00b", "\ud800"])
@pytest.mark.parametrize("kind", ["network", "subnet", "port", "security_group", "security_group_rule"])
def test_ids_of_the_wrong_type(site: Site, kind: str, id_: Any) -> None:
    for verb in ("show", "update", "delete"):
        if (verb, kind) != ("update", "security_group_rule"):
            with pytest.raises(errors.HTTPBadRequest, match="id"):
                getattr(site.network, f"{verb}_{kind}")(id_)


def test_one_bad_port_among_many_leaves_none(site: Site, database: sqlite3.Connection) -> None:
    before = list(database.iterdump())
    with pytest.raises(errors.HTTPBadRequest, match="mac_address"):
        site.network.create_ports([{"network_id": site.net.id}, {"network_id": site.net.id, "mac_address": "x"}])
    for wrong in (5, None, "x", [1]):
        with pytest.raises(errors.HTTPBadRequest, match="port"):
            site.network.create_ports([{"network_id": site.net.id}, wrong])  # type: ignore[list-item]
    assert list(database.iterdump()) == before


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"provider_network_type": "vxlan"}, errors.InvalidInput),
        ({"provider_segmentation_id": 5000}, errors.InvalidInput),
        ({"provider_physical_network": "nope"}, errors.InvalidInput),
        ({"provider_segmentation_id": 8}, errors.VlanIdInUse),
    ],
)
def test_a_segment_is_not_changed_to_one_that_cannot_be(
    site: Site, changes: dict[str, Any], error: type[errors.NetworkError]
) -> None:
    for number in (7, 8):
        if not site.network.list_networks(provider_segmentation_id=number):
            site.network.create_network(**_vlan(number))
    (net,) = site.network.list_networks(provider_segmentation_id=7)
    with pytest.raises(error):
        site.network.update_network(net.id, **changes)
    assert site.network.show_network(net.id) == net


def test_a_network_without_a_segment_gets_none(site: Site) -> None:
    for changes in (_vlan(9), {"provider_segmentation_id": 9}, {"provider_network_type": "vlan"}):
        with pytest.raises(errors.InvalidInput, match="provider"):
            site.network.update_network(site.net.id, **changes)


def test_a_vlan_is_changed_to_a_free_one_while_no_port_is_bound(site: Site) -> None:
    net = site.network.create_network(**_vlan(20))
    assert site.network.update_network(net.id, **_vlan(20)) == net
    assert site.network.update_network(net.id, **_vlan(21)).provider_segmentation_id == 21
    site.network.create_port(network_id=net.id, binding_host_id="node-1")
    with pytest.raises(errors.InvalidInput, match="bound"):
        site.network.update_network(net.id, **_vlan(22))


@pytest.mark.parametrize(
    "filters",
    [
        {"limit": "x"},
        {"limit": []},
        {"limit": float("inf")},
        {"marker": {"a": 1}},
        {"sort_key": {"a": 1}},
        {"sort_key": ["name"]},
        {"admin_state_up": "maybe"},
        {"name": {"a": 1}},
        {"name": "\ud800"},
        {"name": object()},
        {"name": 2**80},
        {"id": [{"a": 1}]},
        {"binding_profile": {"a": 1}},
        {"created_at": "x"},
    ],
)
def test_filters_of_the_wrong_type(site: Site, filters: dict[str, Any]) -> None:
    with pytest.raises(errors.BadRequest):
        site.network.list_ports(**filters)
