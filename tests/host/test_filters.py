from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import uuid
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import asdict, replace

from slipway.drivers.network.embedded.security.group_attributes import check_rule
from slipway.drivers.wiring.linuxbridge import nft
from slipway.drivers.wiring.linuxbridge import ruleset as module
from slipway.drivers.wiring.linuxbridge.filtered import filtered_port
from slipway.drivers.wiring.linuxbridge.filters import Filters
from slipway.drivers.wiring.linuxbridge.ruleset import Tracking
from slipway.errors import InvalidInput, WiringError
from slipway.model.machine import Vif
from slipway.model.network import FixedIp, SecurityGroupRule
from slipway.model.neutron import ANY_PROTOCOL, PROTOCOLS
from slipway.model.request import Host
from tests.host import lan as net
from tests.host.lan import Guest, Lan, answers_udp, arrives, connects, default_group, out_to_all, pings, rule
from tests.waiting import PATIENCE

pytestmark = [
    pytest.mark.host,
    pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("nft"), reason="needs root and nft (nftables)"),
]

GROUP = "11111111-1111-4111-8111-111111111111"
OTHER = "22222222-2222-4222-8222-222222222222"
INSTALLATION = "5a1b2c3d-0000-4000-8000-000000000000"
ALL_IN = [rule(), rule(ethertype="IPv6")]


@pytest.fixture
def host(lan: Lan) -> Host:
    return lan.host()


@pytest.fixture
def filters(host: Host, tmp_path: Path) -> Filters:
    return Filters(host, tmp_path, INSTALLATION)


def listed(filters: Filters) -> list[str]:
    """The ports with which nothing is wrong."""
    return [wired.name for wired in filters.list() if not wired.fault]


def ruleset(host: Host) -> str:
    assert host.netns is not None
    return subprocess.check_output(["ip", "netns", "exec", host.netns, "nft", "list", "ruleset"], text=True)


def change_rules(host: Host, *words: str) -> None:
    assert host.netns is not None
    subprocess.run(["ip", "netns", "exec", host.netns, "nft", *words], check=True, capture_output=True)


def in_group(guest: Guest, *groups: str) -> Vif:
    return replace(guest.vif, security_groups=groups)


# --- what a guest may send -----------------------------------------------------------------------------------------


@pytest.fixture
def guest(lan: Lan, host: Host, filters: Filters) -> Guest:
    """One that may send anything, in its own name."""
    made = lan.guest(host)
    filters.apply("i", in_group(made, GROUP), out_to_all())
    return made


@pytest.fixture
def listener(lan: Lan, host: Host, guest: Guest) -> Guest:
    """One whose port has no filter at all, so that it hears all that gets into the bridge."""
    return lan.guest(host)


@pytest.mark.kernel
def test_spoofed_frames_are_dropped(guest: Guest, listener: Guest) -> None:
    mac, own, own6 = guest.mac, guest.address(), guest.address(6)
    thief, other, other6 = "fa:16:3e:99:99:99", "10.9.0.99", "fd00::99"
    to, to6 = listener.address(), "ff02::1"
    link_local = "fe80::f816:3eff:fe00:1"
    data = net.udp(1000, 2000)
    solicit = struct.pack("!BBHI", 135, 0, 0, 0) + socket.inet_pton(socket.AF_INET6, own6)

    echo = struct.pack("!BBHI", 128, 0, 0, 0)
    router = struct.pack("!BBHQ", 134, 0, 0, 0)
    padding = b"\x01\x04" + bytes(4)

    def advert(target: str) -> bytes:
        return struct.pack("!BBHI", 136, 0, 0, 0) + socket.inet_pton(socket.AF_INET6, target)

    allowed = {
        "IPv4": net.ipv4(mac, own, to, 17, data),
        "IPv6": net.ipv6(mac, own6, to6, 17, data),
        "link-local": net.ipv6(mac, link_local, to6, 17, data),
        "ARP": net.arp(mac, own, target=to),
        "ARP reply": net.arp(mac, own, target=to, operation=2),
        "ARP probe": net.arp(mac, "0.0.0.0", target=own),
        "DHCP discover": net.ipv4(mac, "0.0.0.0", "255.255.255.255", 17, net.udp(68, 67)),
        "duplicate address detection": net.ipv6(mac, "::", "ff02::1:ff00:1", 58, solicit),
        "advertisement": net.ipv6(mac, own6, to6, 58, advert(own6)),
        "advertisement of link-local": net.ipv6(mac, own6, to6, 58, advert(link_local)),
        "echo behind options": net.ipv6(mac, own6, to6, 58, echo, options=padding),
    }
    tagged = net.ethernet(mac, 0x8100, b"\x00\x05\x08\x00" + net.ipv4(mac, other, to, 17, data)[14:])
    forged = {
        "MAC with IPv4": net.ipv4(thief, own, to, 17, data),
        "MAC with IPv6": net.ipv6(thief, own6, to6, 17, data),
        "MAC with ARP": net.arp(thief, own, target=to, claims=mac),
        "IPv4": net.ipv4(mac, other, to, 17, data),
        "IPv6": net.ipv6(mac, other6, to6, 17, data),
        "another's link-local": net.ipv6(mac, "fe80::f816:3eff:fe00:2", to6, 17, data),
        "ARP sender IP": net.arp(mac, other, target=to),
        "ARP sender MAC": net.arp(mac, own, target=to, claims=thief),
        "ARP reply for another": net.arp(mac, other, target=to, operation=2),
        "ARP reply from nobody": net.arp(mac, "0.0.0.0", target=to, operation=2),
        "advertisement for another": net.ipv6(mac, own6, to6, 58, advert(other6)),
        "anything from 0.0.0.0": net.ipv4(mac, "0.0.0.0", "255.255.255.255", 17, data),
        "anything from ::": net.ipv6(mac, "::", to6, 17, data),
        "VLAN": tagged,
        "VLAN in its own name": net.ethernet(mac, 0x8100, b"\x00\x05\x08\x00" + allowed["IPv4"][14:]),
        "another ethertype": net.ethernet(mac, 0x88CC, b"slipway"),
        "spanning tree": net.ethernet(mac, 38, b"\x42\x42\x03" + bytes(35), to="01:80:c2:00:00:02"),
        "DHCP server": net.ipv4(mac, own, "255.255.255.255", 17, net.udp(67, 68)),
        "DHCPv6 server": net.ipv6(mac, link_local, to6, 17, net.udp(547, 546)),
        "router advertisement": net.ipv6(mac, link_local, to6, 58, router),
        "router advertisement behind options": net.ipv6(mac, link_local, to6, 58, router, options=padding),
        "advertisement for another behind options": net.ipv6(mac, own6, to6, 58, advert(other6), options=padding),
    }
    assert {name: arrives(guest, listener, frame) for name, frame in allowed.items()} == dict.fromkeys(allowed, True)
    assert {name: arrives(guest, listener, frame) for name, frame in forged.items()} == dict.fromkeys(forged, False)


def test_router_advertisements_and_dhcp_answers_reach_a_guest(guest: Guest, listener: Guest) -> None:
    router = listener
    coming = {
        "DHCP answer": net.ipv4(router.mac, router.address(), "255.255.255.255", 17, net.udp(67, 68)),
        "DHCPv6 answer": net.ipv6(router.mac, "fe80::1", "ff02::1", 17, net.udp(547, 546)),
        "router advertisement": net.ipv6(router.mac, "fe80::1", "ff02::1", 58, struct.pack("!BBHQ", 134, 0, 0, 0)),
        "ARP": net.arp(router.mac, router.address(), target=guest.address()),
    }
    unasked = {
        "UDP": net.ipv4(router.mac, router.address(), guest.address(), 17, net.udp(67, 69)),
        "another ethertype": net.ethernet(router.mac, 0x88CC, b"slipway"),
        "VLAN": net.ethernet(router.mac, 0x8100, b"\x00\x05\x08\x06" + bytes(28)),
    }
    assert {name: arrives(router, guest, frame) for name, frame in coming.items()} == dict.fromkeys(coming, True)
    assert {name: arrives(router, guest, frame) for name, frame in unasked.items()} == dict.fromkeys(unasked, False)


def test_address_pairs_are_let_through_with_their_own_mac_only(filters: Filters, guest: Guest, listener: Guest) -> None:
    shared = "00:00:5e:00:01:05"
    pairs = (*net.pair("10.9.7.0/24", guest.mac), *net.pair("10.9.0.200", shared), *net.pair("fd01::/64", guest.mac))
    filters.apply("i", replace(in_group(guest, GROUP), allowed_address_pairs=pairs), out_to_all())
    data, to = net.udp(1000, 2000), listener.address()
    through = [
        net.ipv4(guest.mac, guest.address(), to, 17, data),
        net.ipv4(guest.mac, "10.9.7.77", to, 17, data),
        net.ipv4(shared, "10.9.0.200", to, 17, data),
        net.arp(shared, "10.9.0.200", target=to, operation=2),
        net.ipv6(guest.mac, "fd01::5", "ff02::1", 17, data),
    ]
    dropped = [
        net.ipv4(guest.mac, "10.9.8.77", to, 17, data),
        net.ipv4(guest.mac, "10.9.0.200", to, 17, data),
        net.ipv4(shared, guest.address(), to, 17, data),
        net.arp(shared, guest.address(), target=to, operation=2),
        net.ipv6(guest.mac, "fd02::5", "ff02::1", 17, data),
    ]
    assert [arrives(guest, listener, frame) for frame in through] == [True] * len(through)
    assert [arrives(guest, listener, frame) for frame in dropped] == [False] * len(dropped)


# --- security groups -----------------------------------------------------------------------------------------------


@pytest.mark.kernel
@pytest.mark.parametrize("version", [4, 6])
def test_a_group_lets_through_what_it_says_and_the_answers(
    lan: Lan, host: Host, filters: Filters, version: int
) -> None:
    client, stranger, server = lan.guest(host), lan.guest(host), lan.guest(host)
    kind, icmp, unreachable = ("IPv4", "icmp", 3) if version == 4 else ("IPv6", "ipv6-icmp", 1)
    only = f"{client.address(version)}/{32 if version == 4 else 128}"
    rules = [
        *out_to_all(),
        rule(ethertype=kind, protocol="tcp", port_range_min=80, port_range_max=80),
        rule(ethertype=kind, protocol="17", port_range_min=1000, port_range_max=1002),
        rule(ethertype=kind, protocol=icmp, port_range_min=8 if version == 4 else 128, port_range_max=0),
        rule(ethertype=kind, protocol="tcp", port_range_min=81, port_range_max=81, remote_ip_prefix=only),
    ]
    filters.apply("i", in_group(server, GROUP), rules)
    assert connects(client, server, 80, version)
    assert not connects(client, server, 82, version)
    assert not connects(client, server, 80, 10 - version)
    assert [answers_udp(client, server, port, version) for port in (999, 1000, 1002, 1003)] == [
        False,
        True,
        True,
        False,
    ]
    assert pings(client, server, version)
    assert not pings(client, server, version, kind=unreachable)
    assert connects(client, server, 81, version)
    assert not connects(stranger, server, 81, version)
    assert connects(server, client, 9999, version), "the answers to what it asked itself come back"
    assert pings(server, client, version)


def test_egress_rules_are_a_guests_own_limits(lan: Lan, host: Host, filters: Filters) -> None:
    one, other = lan.guest(host), lan.guest(host)
    filters.apply("i", in_group(one, GROUP), [
        *ALL_IN, rule("egress", protocol="tcp", port_range_min=443, port_range_max=443, remote_ip_prefix="10.9.0.0/30")
    ])  # fmt: skip
    assert connects(one, other, 443)
    assert not connects(one, other, 444)
    assert not pings(one, other)
    assert pings(other, one), "an answer is no new connection"
    assert not connects(one, other, 443, 6)


def test_a_port_without_groups_has_arp_and_neighbours_only(guest: Guest, listener: Guest, filters: Filters) -> None:
    assert pings(guest, listener)
    filters.apply("i", replace(guest.vif, security_groups=()), [])
    assert not pings(guest, listener)
    assert not connects(listener, guest, 80, 6)
    assert arrives(guest, listener, net.arp(guest.mac, guest.address(), target=listener.address()))
    assert arrives(guest, listener, net.ipv4(guest.mac, "0.0.0.0", "255.255.255.255", 17, net.udp(68, 67)))


@pytest.mark.kernel
def test_a_remote_group_is_its_members(lan: Lan, host: Host, filters: Filters) -> None:
    member, second, stranger = lan.guest(host), lan.guest(host), lan.guest(host)
    for guest in (member, second):
        filters.apply("i", in_group(guest, GROUP), default_group(GROUP))
    filters.apply("i", in_group(stranger, OTHER), default_group(OTHER))
    for version in (4, 6):
        assert connects(member, second, 80, version)
        assert connects(second, member, 80, version)
        assert not connects(stranger, member, 80, version)
        assert not connects(member, stranger, 80, version)
        assert not pings(stranger, member, version)


def test_a_member_on_another_host_counts_until_it_is_removed(lan: Lan, host: Host, tmp_path: Path) -> None:
    elsewhere = lan.host("two")
    lan.join(host, elsewhere)
    here, there = Filters(host, tmp_path, INSTALLATION), Filters(elsewhere, tmp_path, INSTALLATION)
    one, other = lan.guest(host), lan.guest(elsewhere)
    here.apply("i", in_group(one, GROUP), default_group(GROUP))
    assert not connects(other, one, 80)
    there.apply("i", in_group(other, GROUP), default_group(GROUP))
    assert connects(other, one, 80)
    assert connects(one, other, 80)
    assert (listed(here), listed(there)) == ([one.vif.port_id], [other.vif.port_id])
    there.remove(other.vif.port_id)
    assert not listed(there)
    assert not connects(other, one, 80)
    assert "slipway" not in ruleset(elsewhere)


def test_a_filter_that_went_with_its_port_to_another_host_is_left_to_it(lan: Lan, host: Host, tmp_path: Path) -> None:
    elsewhere = lan.host("two")
    here, there = Filters(host, tmp_path, INSTALLATION), Filters(elsewhere, tmp_path, INSTALLATION)
    guest = lan.guest(elsewhere)
    there.apply("two", in_group(guest, GROUP), default_group(GROUP))
    before = ruleset(elsewhere)
    here.refresh(in_group(guest, OTHER), ALL_IN)
    here.remove(guest.vif.port_id)
    assert (ruleset(elsewhere), listed(there)) == (before, [guest.vif.port_id])


@pytest.mark.kernel
def test_a_member_whose_host_is_gone_is_no_obstacle(lan: Lan, host: Host, tmp_path: Path) -> None:
    gone = lan.host("two")
    here, there = Filters(host, tmp_path, INSTALLATION), Filters(gone, tmp_path, INSTALLATION)
    one, other = lan.guest(host), lan.guest(gone)
    there.apply("i", in_group(other, GROUP), default_group(GROUP))
    assert gone.netns is not None
    net.ip("netns", "del", gone.netns)
    here.apply("i", in_group(one, GROUP), default_group(GROUP))
    assert not listed(there)
    there.remove(other.vif.port_id)
    assert other.address() not in ruleset(host)
    with pytest.raises(WiringError, match="there is no network namespace"):
        there.apply("i", in_group(other, GROUP), [])


def test_refreshed_rules_hold_at_once(lan: Lan, host: Host, filters: Filters) -> None:
    client, server = lan.guest(host), lan.guest(host)
    web = [rule(protocol="tcp", port_range_min=80, port_range_max=80)]
    filters.apply("i", in_group(server, GROUP), web)
    assert connects(client, server, 80)
    filters.refresh(in_group(server, GROUP), [replace(web[0], port_range_min=81, port_range_max=81)])
    filters.refresh(in_group(client, GROUP), web)
    assert list(listed(filters)) == [server.vif.port_id]
    assert not connects(client, server, 80)
    assert connects(client, server, 81)


@pytest.mark.kernel
def test_a_connection_ends_with_the_rule_that_allowed_it(lan: Lan, host: Host, filters: Filters) -> None:
    client, server = lan.guest(host), lan.guest(host)
    filters.apply("i", in_group(server, GROUP), [rule(protocol="udp", port_range_min=80, port_range_max=80)])
    kind = (socket.AF_INET, socket.SOCK_DGRAM)
    with client.socket_of(*kind) as ours, server.socket_of(*kind) as theirs:
        theirs.bind((server.address(), 80))
        ours.connect((server.address(), 80))
        for _ in range(2):
            ours.send(b"?")
            _, back = theirs.recvfrom(10)
            theirs.sendto(b"!", back)
            assert ours.recv(10) == b"!"
        filters.refresh(in_group(server, GROUP), [])
        ours.send(b"?")
        with pytest.raises(TimeoutError):
            theirs.recvfrom(10)


@pytest.mark.kernel
def test_every_rule_that_the_network_takes_can_be_applied(lan: Lan, host: Host, filters: Filters) -> None:
    rules: list[SecurityGroupRule] = []
    for protocol, kind, ports in product(
        [None, *sorted(PROTOCOLS), *ANY_PROTOCOL, *map(str, (0, 1, 6, 58, 255))],
        ("IPv4", "IPv6"),
        ((None, None), (1, None), (3, 4)),
    ):
        made = rule(ethertype=kind, protocol=protocol, port_range_min=ports[0], port_range_max=ports[1])
        with suppress(InvalidInput):
            check_rule(asdict(made))
            rules.extend((made, replace(made, direction="egress", remote_group_id=GROUP)))
    anywhere = (*net.pair("0.0.0.0/0", "fa:16:3e:00:00:01"), *net.pair("::/0", "fa:16:3e:00:00:01"))
    guest = lan.guest(host, allowed_address_pairs=anywhere)
    filters.apply("i", in_group(guest, GROUP), rules)
    assert len(rules) > 150
    assert listed(filters) == [guest.vif.port_id]


def test_without_port_security_a_port_is_let_alone_but_listed(lan: Lan, host: Host, filters: Filters) -> None:
    one, other = lan.guest(host), lan.guest(host)
    filters.apply("i", replace(one.vif, port_security_enabled=False), [])
    assert listed(filters) == [one.vif.port_id]
    assert connects(one, other, 80)
    assert connects(other, one, 80, 6)
    assert arrives(one, other, net.ipv4("fa:16:3e:99:99:99", "10.9.0.99", "10.9.0.2", 17, net.udp(67, 68)))
    filters.remove(one.vif.port_id)
    assert not listed(filters)


@pytest.mark.kernel
def test_the_same_connection_on_another_network_opens_nothing(lan: Lan, host: Host, filters: Filters) -> None:
    second = str(uuid.uuid4())
    lan.add_bridge(host, f"brq{second[:11]}")
    one, other = lan.guest(host), lan.guest(host)
    same_one, same_other = (lan.guest(host, network_id=second, number=number) for number in (1, 2))
    for guest in (one, same_one):
        filters.apply("i", in_group(guest, GROUP), out_to_all())
    data = net.ipv4(one.mac, one.address(), other.address(), 17, net.udp(1000, 2000), to_mac=other.mac)
    answer = net.ipv4(other.mac, other.address(), one.address(), 17, net.udp(2000, 1000), to_mac=one.mac)
    assert not arrives(other, one, answer)
    assert arrives(one, other, data)
    assert not arrives(same_other, same_one, answer)
    assert arrives(other, one, answer)


@pytest.mark.kernel
def test_the_host_itself_is_one_more_on_the_network(lan: Lan, host: Host, filters: Filters) -> None:
    assert host.netns is not None
    guest = lan.guest(host)
    itself = Guest(host.netns, replace(guest.vif, fixed_ips=(FixedIp("4", "10.9.0.77"), FixedIp("6", "fd00::77"))))
    net.ip("-n", host.netns, "addr", "add", "10.9.0.77/24", "dev", lan.bridge)
    net.ip("-n", host.netns, "addr", "add", "fd00::77/64", "dev", lan.bridge, "nodad")
    filters.apply("i", in_group(guest, GROUP), out_to_all())
    for version in (4, 6):
        assert connects(guest, itself, 80, version)
        assert not connects(itself, guest, 80, version)
        assert pings(guest, itself, version)
        assert not pings(itself, guest, version)
    filters.apply("i", in_group(guest, GROUP), ALL_IN)
    assert connects(itself, guest, 80)
    assert not connects(guest, itself, 80)


@pytest.mark.kernel
def test_fragments_are_put_together_before_they_are_judged(lan: Lan, host: Host, filters: Filters) -> None:
    client, server = lan.guest(host), lan.guest(host)
    port = rule(protocol="udp", port_range_min=1000, port_range_max=1000)
    filters.apply("i", in_group(server, GROUP), [port, *out_to_all()])
    for number, heard in ((1000, True), (1001, False)):
        with (
            client.socket_of(socket.AF_INET, socket.SOCK_DGRAM) as out,
            server.socket_of(socket.AF_INET, socket.SOCK_DGRAM) as into,
        ):
            into.bind((server.address(), number))
            out.sendto(b"x" * 4000, (server.address(), number))
            if heard:
                assert len(into.recv(5000)) == 4000
            else:
                with pytest.raises(TimeoutError):
                    into.recv(5000)


# --- whose is what -------------------------------------------------------------------------------------------------


def test_rules_that_were_changed_by_hand_are_found_at_their_port(lan: Lan, host: Host, filters: Filters) -> None:
    group = str(uuid.uuid4())
    one, other = (lan.guest(host, security_groups=(group,)) for _ in range(2))
    for guest in (one, other):
        filters.apply("instance", guest.vif, default_group(group))
    table, port = ("bridge", f"slipway-{INSTALLATION[:8]}"), one.vif.port_id
    both = {one.vif.port_id, other.vif.port_id}
    for words, whose, where in (
        (("insert", "rule", *table, f"egress-{port}", "accept"), {port}, f"bridge chain egress-{port}"),
        (("flush", "chain", *table, f"source-{port}"), {port}, f"bridge chain source-{port}"),
        (("delete", "element", *table, "by-ingress", f"{{ {one.vif.devname} }}"), {port}, "bridge map by-ingress"),
        (("flush", "chain", *table, "check-source"), both, "bridge chain check-source"),
        (("flush", "set", *table, f"group4-{group}"), both, f"bridge set group4-{group}"),
        (("add", "chain", *table, "another"), both, "bridge chain another"),
        (("delete", "table", "inet", table[1]), both, "inet chain zone-output"),
    ):
        change_rules(host, *words)
        found = {wired.name: wired.fault for wired in filters.list() if wired.fault}
        assert found.keys() == whose
        assert all(
            "the kernel has other rules than were applied: " in said and where in said for said in found.values()
        )
        filters.apply("instance", other.vif, default_group(group))
        assert set(listed(filters)) == both


def test_only_what_bears_our_tag_is_touched(lan: Lan, host: Host, filters: Filters, tmp_path: Path) -> None:
    assert host.netns is not None
    nft.load(
        host.netns, "table bridge theirs {\nchain egress-x {\ntype filter hook forward priority 7\ncounter\n}\n}\n"
    )
    nft.load(host.netns, "table inet slipway-theirs {\nchain c {\naccept\n}\n}\n")
    before = ruleset(host)
    neighbours = Filters(host, tmp_path / "theirs", "ffffffff-0000-4000-8000-000000000000")
    one, other = lan.guest(host), lan.guest(host)
    filters.apply("i", in_group(one, GROUP), default_group(GROUP))
    ours = ruleset(host)
    neighbours.apply("i", in_group(other, GROUP), ALL_IN)
    assert (listed(filters), listed(neighbours)) == ([one.vif.port_id], [other.vif.port_id])
    assert not connects(other, one, 80), "their groups are none of ours"
    assert connects(one, other, 80)
    neighbours.remove(one.vif.port_id)
    neighbours.remove(other.vif.port_id)
    assert without_counts(ruleset(host)) == without_counts(ours)
    filters.remove(one.vif.port_id)
    filters.remove(one.vif.port_id)
    assert without_counts(ruleset(host)) == without_counts(before)
    assert [path.name for path in (tmp_path / "filters").iterdir()] == [".lock"]


def without_counts(text: str) -> str:
    return "\n".join(line.split("packets")[0] for line in text.splitlines())


def test_hosts_in_one_namespace_list_their_own_ports(lan: Lan, host: Host, filters: Filters, tmp_path: Path) -> None:
    second = Filters(replace(host, name="second"), tmp_path, INSTALLATION)
    one, other = lan.guest(host), lan.guest(host)
    filters.apply("i", in_group(one, GROUP), default_group(GROUP))
    second.apply("i", in_group(other, GROUP), default_group(GROUP))
    assert (listed(filters), listed(second)) == ([one.vif.port_id], [other.vif.port_id])
    assert connects(one, other, 80)


@pytest.mark.parametrize(
    "said",
    [
        {"devname": 'tap"; add'},
        {"devname": "tap*"},
        {"bridge": "brq\n"},
        {"mac_address": "fa:16:3e:00:00:01 accept"},
        {"port_id": "../../x"},
        {"port_id": "{5a1b2c3d-0000-4000-8000-000000000000}"},
        {"network_id": "x"},
        {"security_groups": ("g } }",)},
        {"fixed_ips": (FixedIp("s", "10.0.0.1 }"),)},
        {"fixed_ips": (FixedIp("s", "fe80::1%lo"),)},
        {"allowed_address_pairs": net.pair("10.0.0.0/8", "x")},
        {"allowed_address_pairs": net.pair("any", "fa:16:3e:00:00:01")},
    ],
)
def test_hostile_values_are_refused_before_anything_is_done(
    lan: Lan, host: Host, filters: Filters, tmp_path: Path, said: dict[str, Any]
) -> None:
    with pytest.raises(WiringError, match="cannot be filtered"):
        filters.apply("i", replace(lan.guest(host).vif, **said), [])
    assert not (tmp_path / "filters").exists()
    assert not listed(filters)


@pytest.mark.parametrize(
    "said",
    [
        {"protocol": "tcp accept"},
        {"protocol": "256"},
        {"remote_ip_prefix": "10.0.0.0/8 accept"},
        {"remote_ip_prefix": "fd00::/8"},
        {"remote_group_id": "g\n"},
        {"direction": "sideways"},
        {"ethertype": "IPv5"},
        {"protocol": "tcp", "port_range_min": "80 accept"},
    ],
)
def test_hostile_rules_are_refused(lan: Lan, host: Host, filters: Filters, said: dict[str, Any]) -> None:
    guest = lan.guest(host)
    with pytest.raises(WiringError, match="cannot be applied"):
        filters.apply("i", in_group(guest, GROUP), [rule(**said)])
    filters.apply("i", in_group(guest, GROUP), [])
    with pytest.raises(WiringError, match="cannot be applied"):
        filters.refresh(in_group(guest, GROUP), [rule(**said)])
    filters.remove(guest.vif.port_id)
    assert ruleset(host) == ""


def test_names_that_could_not_be_made_by_us_are_refused(host: Host, filters: Filters, tmp_path: Path) -> None:
    with pytest.raises(WiringError, match="not the name of a network namespace"):
        Filters(replace(host, netns="../all"), tmp_path, INSTALLATION).list()
    with pytest.raises(WiringError, match="a table's name"):
        Filters(host, tmp_path, "x { }")
    (tmp_path / "precious.json").touch()
    filters.remove("../precious")
    assert (tmp_path / "precious.json").exists()


def test_a_port_is_filtered_on_two_hosts_while_its_instance_goes_from_one_to_the_other(
    lan: Lan, host: Host, filters: Filters, tmp_path: Path
) -> None:
    guest, other = lan.guest(host), lan.host("two")
    lan.guest(other)
    there = Filters(other, tmp_path, INSTALLATION)
    vif = in_group(guest, GROUP)
    filters.apply("i", vif, ALL_IN)
    before = ruleset(host)
    for _ in range(2):
        there.apply("i", vif, ALL_IN)
        assert (listed(filters), listed(there)) == ([vif.port_id], [vif.port_id])
        there.remove(vif.port_id)
        assert (listed(filters), listed(there)) == ([vif.port_id], [])
        assert (ruleset(host), ruleset(other)) == (before, "")
    there.apply("i", vif, ALL_IN)
    # As a version has kept it by which a port was on one host at a time.
    (kept,) = (tmp_path / "filters").glob(f"{vif.port_id}@{host.name}.json")
    kept.rename(kept.with_name(f"{vif.port_id}.json"))
    assert (listed(filters), listed(there)) == ([vif.port_id], [vif.port_id])
    filters.remove(vif.port_id)
    assert (listed(filters), listed(there), ruleset(host)) == ([], [vif.port_id], "")


# --- failures ------------------------------------------------------------------------------------------------------


@pytest.mark.kernel
def test_a_bridge_that_is_missing_is_said(lan: Lan, host: Host, filters: Filters) -> None:
    """Where it must be shown to the IP layer; else the filter is the tap's alone."""
    guest = lan.guest(host)
    assert host.netns is not None
    net.ip("-n", host.netns, "link", "del", lan.bridge)
    if nft.tracking(host.netns) is Tracking.BRIDGE:
        filters.apply("i", in_group(guest, GROUP), [])
        assert listed(filters) == [guest.vif.port_id]
        return
    with pytest.raises(WiringError, match=r"ip link set .*: Cannot find device"):
        filters.apply("i", in_group(guest, GROUP), [])


def test_a_file_that_cannot_be_read_is_named(lan: Lan, host: Host, filters: Filters, tmp_path: Path) -> None:
    guest = lan.guest(host)
    filters.apply("i", in_group(guest, GROUP), [])
    (tmp_path / "filters" / f"{guest.vif.port_id}.json").write_text("{}")
    with pytest.raises(WiringError, match=f"{guest.vif.port_id}.json cannot be read"):
        listed(filters)


_WORKER = """
import sys
from pathlib import Path
import msgspec
from slipway.drivers.wiring.linuxbridge import filters as module
from slipway.drivers.wiring.linuxbridge.filters import Filters
from slipway.model.machine import Vif
from slipway.model.network import FixedIp, SecurityGroupRule
from slipway.model.neutron import ANY_PROTOCOL, PROTOCOLS
from slipway.model.request import Host

host, vif, rules = msgspec.json.decode(sys.argv[2], type=tuple[Host, Vif, list[SecurityGroupRule]])
filters = Filters(host, Path(sys.argv[1]), sys.argv[3])
mode = sys.argv[4]
if mode == "killed":
    import os, signal
    module.nft.load = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
for turn in range(1 if mode == "killed" else 15):
    filters.apply("i", vif, rules)
    filters.remove(vif.port_id)
if mode == "keeps":
    filters.apply("i", vif, rules)
"""


def worker(state: Path, host: Host, vif: Vif, rules: list[SecurityGroupRule], mode: str) -> subprocess.Popen[bytes]:
    said = msgspec.json.encode((host, vif, rules)).decode()
    return subprocess.Popen([sys.executable, "-c", _WORKER, str(state), said, INSTALLATION, mode])


def test_a_kill_between_file_and_kernel_is_mended_by_the_next(
    lan: Lan, host: Host, filters: Filters, tmp_path: Path
) -> None:
    one, other = lan.guest(host), lan.guest(host)
    rules = list(default_group(GROUP))
    assert worker(tmp_path, host, in_group(one, GROUP), rules, "killed").wait(PATIENCE) == -signal.SIGKILL
    assert not listed(filters)
    filters.apply("i", in_group(other, GROUP), rules)
    assert listed(filters) == sorted((one.vif.port_id, other.vif.port_id))
    assert connects(one, other, 80)
    filters.remove(one.vif.port_id)
    filters.remove(other.vif.port_id)
    assert ruleset(host) == ""


def test_processes_that_come_together_end_in_what_was_wanted(
    lan: Lan, host: Host, filters: Filters, tmp_path: Path
) -> None:
    stays, goes, here = (in_group(lan.guest(host), GROUP) for _ in range(3))
    rules = list(default_group(GROUP))
    workers = [worker(tmp_path, host, stays, rules, "keeps"), worker(tmp_path, host, goes, rules, "drops")]
    filters.apply("i", here, rules)
    assert [process.wait(PATIENCE) for process in workers] == [0, 0]
    assert listed(filters) == sorted((stays.port_id, here.port_id))
    text = ruleset(host)
    assert stays.fixed_ips[0].ip_address in text
    assert goes.fixed_ips[0].ip_address + " " not in text
    assert goes.port_id not in text


def test_a_kernel_without_connection_tracking_is_said(
    lan: Lan, host: Host, filters: Filters, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest = lan.guest(host)
    nft.tracking.cache_clear()
    # A kernel whose `nft` refuses what needs it.
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "nft").write_text('#!/bin/sh\ncase "$1" in --check) exit 1;; esac\nexec /usr/sbin/nft "$@"\n')
    (tmp_path / "bin" / "nft").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    with pytest.raises(WiringError, match="neither nf_conntrack_bridge nor br_netfilter"):
        filters.apply("i", in_group(guest, GROUP), [])
    assert not listed(filters)
    filters.apply("i", replace(guest.vif, port_security_enabled=False), [])
    assert listed(filters) == [guest.vif.port_id]


def test_where_the_bridge_tracks_connections_the_ip_layer_sees_the_hosts_own_packets_only(lan: Lan, host: Host) -> None:
    port = filtered_port(host, in_group(lan.guest(host), GROUP), default_group(GROUP))
    by_bridge, by_ip = (module.ruleset("slipway-x", [port], [port], tracking) for tracking in Tracking)
    assert "ct state established ct direction reply accept" in by_bridge
    assert "ct zone set meta ibrname" in by_bridge
    assert "mark" not in by_bridge
    assert "iifname {" not in by_bridge
    assert "ibrname" not in by_ip


@pytest.mark.kernel
def test_packets_cost_the_same_among_many_ports(lan: Lan, host: Host, filters: Filters) -> None:
    """A map leads to a port's chains: no chain with a hook has more statements for more ports."""
    assert host.netns is not None
    expected = {Tracking.BRIDGE: 5, Tracking.IP: 10}[nft.tracking(host.netns)]
    for number in range(3):
        filters.apply("i", in_group(lan.guest(host), GROUP), default_group(GROUP))
        listed = subprocess.check_output(["ip", "netns", "exec", host.netns, "nft", "-j", "list", "ruleset"])
        entries = json.loads(listed)["nftables"]
        hooked = {e["chain"]["name"] for e in entries if "hook" in e.get("chain", {})}
        rules = [e["rule"] for e in entries if e.get("rule", {}).get("chain") in hooked]
        assert len(rules) == expected, number
