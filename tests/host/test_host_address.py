"""A host's own address on a network: by which it reaches guests, and guests reach nothing of it."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from slipway import errors
from slipway.drivers.wiring.linuxbridge.namespace import inside
from slipway.model.network import Context
from slipway.orchestrator import Orchestrator
from slipway.runfile import loads
from tests.host.dhcpclients import client, ip
from tests.host.hosts import NetworkHost, run, things

pytestmark = pytest.mark.host

FILE = """
schema: 1
hosts: {{{0}: {{vcpus: 8, memory: 8GiB, disk: 1TiB, compute: sim, wiring: linuxbridge, netns: {0}}}}}
networks:
  net: {{host_address: {1}, subnets: {{v4: {{cidr: 10.9.0.0/24{2}}}, v6: {{cidr: "fd00:9::/64"{2}}}}}}}
flavors: {{small: {{vcpus: 1, memory: 512MiB, disk: 1GiB}}}}
images: {{tiny: {{path: ./tiny.qcow2, format: qcow2}}}}
instances:
  one: {{flavor: small, image: tiny, networks: [net]}}
  two: {{flavor: small, image: tiny, networks: [net]}}
"""


@dataclass(frozen=True)
class Place:
    slipway: Orchestrator
    netns: str
    guest: str
    addresses: tuple[str, ...]

    def run(self, host_address: str, more: str = "") -> None:
        self.slipway.run(loads(FILE.format(self.netns, host_address, more), "address.yaml"))

    def own(self) -> tuple[str, ...]:
        """The addresses of the host's port."""
        ports = self.slipway.network.list_ports(device_owner="network:host")
        return tuple(each.ip_address for port in ports for each in port.fixed_ips)

    def at_the_host(self) -> set[str]:
        links = json.loads(ip("-j", "address", netns=self.netns))
        own = [link for link in links if link["ifname"].startswith("hst")]
        return {each["local"] for link in own for each in link["addr_info"] if each["scope"] == "global"}


def reaches(netns: str, address: str, at: str, port: int = 80) -> bool:
    """Whether what begins in one namespace gets to a server in another one."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with inside(at):
        server = socket.create_server(("::" if family == socket.AF_INET6 else "", port), family=family)
    with server, inside(netns), socket.socket(family, socket.SOCK_STREAM) as asked:
        asked.settimeout(1)
        try:
            asked.connect((address, port))
        except OSError:
            return False
        return True


@pytest.fixture
def place(netns: str, tmp_path: Path) -> Iterator[Place]:
    host, state = NetworkHost(netns), tmp_path / "state"
    ip("link", "set", "lo", "up", netns=netns)
    with Orchestrator(state) as slipway:
        before = things([host], state)
        file = loads(FILE.format(netns, "true", ""), "address.yaml")
        try:
            assert [ended.status.value for ended in slipway.run(file).ended] == ["built"] * 2
            (port,) = [p for p in slipway.network.list_ports() if p.device_id == slipway.list()[0].id]
            with client(netns, f"brq{port.network_id}"[:14], port.mac_address, tmp_path) as guest:
                for each in port.fixed_ips:
                    length = "/64" if ":" in each.ip_address else "/24"
                    flags = ["nodad"] if ":" in each.ip_address else []
                    ip("address", "add", each.ip_address + length, "dev", "eth0", *flags, netns=guest.netns)
                yield Place(slipway, netns, guest.netns, tuple(each.ip_address for each in port.fixed_ips))
            assert slipway.audit() == ()
            slipway.destroy(file)
            assert slipway.audit() == ()
            assert slipway.network.list_ports() == ()
            assert things([host], state) == before
        finally:
            host.clear()


def test_the_host_reaches_guests_and_they_nothing_of_it(place: Place) -> None:
    assert set(place.own()) == place.at_the_host()
    assert len(place.own()) == 2
    run("ip", "-n", place.netns, "address", "add", "192.0.2.1/32", "dev", "lo")
    run("ip", "-n", place.guest, "route", "add", "192.0.2.1/32", "via", place.own()[0])
    for address in place.addresses:
        assert reaches(place.netns, address, place.guest)
    for address in (*place.own(), "192.0.2.1"):
        assert not reaches(place.guest, address, place.netns)
    assert [pings(place.guest, address) for address in (*place.own(), "192.0.2.1")] == [True, True, False]


def pings(netns: str, address: str) -> bool:
    words = ["ip", "netns", "exec", netns, "ping", "-c1", "-W2", address]
    return subprocess.run(words, check=False, capture_output=True).returncode == 0


def test_ssh_and_forward_go_by_it_and_an_error_names_the_command_for_a_rule(place: Place) -> None:
    with inside(place.guest):
        server = socket.create_server(("", 80))
    with server, place.slipway.access.guest("one").connect(80):
        accepted, (asker, _) = server.accept()
        accepted.close()
    assert asker in place.own()
    drop = "chain inet t c { type filter hook input priority 0; }; add rule inet t c tcp dport 80 drop"
    run("ip", "netns", "exec", place.guest, "nft", f"add table inet t; add {drop}")
    with pytest.raises(errors.GuestUnreachable) as caught:
        place.slipway.access.guest("one").connect(80, within=0.5)
    (group,) = place.slipway.network.list_security_groups(name="default")
    assert f"slipway security-group rule add {group.id} --protocol tcp --port 80 --from {asker}/32" in str(caught.value)


@pytest.mark.parametrize(
    "damage",
    [
        lambda place: ip("link", "del", next(iter(links_of(place))), netns=place.netns),
        lambda place: ip("link", "set", next(iter(links_of(place))), "down", netns=place.netns),
        lambda place: ip("address", "flush", "dev", next(iter(links_of(place))), netns=place.netns),
        lambda place: run("ip", "netns", "exec", place.netns, "nft", f"flush chain inet {table_of(place)} guests"),
        lambda place: place.slipway.network.delete_port(port_of(place)),
    ],
    ids=["link", "down", "address", "rules", "port"],
)  # fmt: skip
def test_what_is_damaged_is_found_and_mended(place: Place, damage: object) -> None:
    assert callable(damage)
    damage(place)
    assert {finding.kind for finding in place.slipway.audit()} == {"dhcp"}
    place.slipway.repair()
    assert place.slipway.audit() == ()
    assert set(place.own()) == place.at_the_host() != set()
    assert reaches(place.netns, place.addresses[0], place.guest)


def links_of(place: Place) -> list[str]:
    found = json.loads(ip("-j", "link", netns=place.netns))
    return [link["ifname"] for link in found if link["ifname"].startswith("hst")]


def port_of(place: Place) -> str:
    return place.slipway.network.list_ports(device_owner="network:host")[0].id


def table_of(place: Place) -> str:
    (network,) = place.slipway.network.list_networks()
    return f"slipway-host-{network.id[:11]}"


def test_with_the_last_guest_the_rules_go_whose_link_somebody_deleted(place: Place) -> None:
    """Its host is as before in the end."""
    ip("link", "del", links_of(place)[0], netns=place.netns)
    place.run("false")
    assert (place.own(), place.slipway.audit()) == ((), ())


def test_it_comes_and_goes_with_what_the_network_says(place: Place) -> None:
    place.run("false")
    assert (place.own(), place.at_the_host()) == ((), set())
    assert place.slipway.audit() == ()
    (network,) = place.slipway.network.list_networks()
    place.slipway.network.update_network(network.id, host_address=True)
    assert set(place.own()) == place.at_the_host() != set()
    place.run("true", ", enable_dhcp: false")
    assert place.slipway.network.list_ports(device_owner="network:dhcp")[0].fixed_ips == ()
    assert set(place.own()) == place.at_the_host() != set()
    assert reaches(place.netns, place.addresses[0], place.guest)


def test_a_range_that_the_host_reaches_already_is_refused(netns: str, tmp_path: Path) -> None:
    ip("link", "add", "lan", "type", "bridge", netns=netns)
    ip("address", "add", "10.9.0.200/16", "dev", "lan", netns=netns)
    ip("link", "set", "lan", "up", netns=netns)
    host, state = NetworkHost(netns), tmp_path / "state"
    with Orchestrator(state) as slipway:
        before = things([host], state)
        file = loads(FILE.format(netns, "true", ""), "address.yaml")
        ended = slipway.run(file).ended
        assert {each.status.value for each in ended} == {"failed"}
        assert "it reaches 10.9.0.0/16 by lan" in str(slipway.list()[0].fault)
        assert slipway.audit() == ()
        slipway.destroy(file)
        assert things([host], state) == before


def test_only_an_administrator_has_the_hosts_port(place: Place) -> None:
    (port,) = place.slipway.network.list_ports(device_owner="network:host")
    with pytest.raises(errors.NetworkError):
        place.slipway.network.update_port(port.id, context=Context("another"), fixed_ips=[])
    with pytest.raises(errors.NetworkError):
        place.slipway.network.create_port(
            context=Context("another"), network_id=port.network_id, device_owner="network:host"
        )
