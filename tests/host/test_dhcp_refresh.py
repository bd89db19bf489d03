"""What changes at a port or a subnet is told by the DHCP server of the instance's host at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from slipway.errors import WiringError
from slipway.model.network import Port
from slipway.model.record import Event
from slipway.orchestrator import Orchestrator
from slipway.runfile import loads
from tests.host.dhcpclients import Client, client, until
from tests.host.hosts import NetworkHost, processes, run, things

pytestmark = pytest.mark.host


@dataclass(frozen=True)
class Place:
    """A simulated machine at a real bridge, and a client with its MAC there."""

    slipway: Orchestrator
    guest: Client
    network_id: str

    def port(self, name: str = "mine") -> Port:
        (port,) = self.slipway.network.list_ports(name=name)
        return port

    def subnet(self) -> str:
        (subnet,) = self.slipway.network.list_subnets(name="v4")
        return subnet.id

    def server(self) -> set[str]:
        """The addresses of the DHCP server's port."""
        (port,) = self.slipway.network.list_ports(device_owner="network:dhcp")
        return {ip.ip_address for ip in port.fixed_ips}


def file_of(netns: str, *, dhcp: bool = True, more: str = "", instances: str = "") -> str:
    return f"""
schema: 1
hosts: {{{netns}: {{vcpus: 8, memory: 8GiB, disk: 1TiB, compute: sim, wiring: linuxbridge, netns: {netns}}}}}
networks:
  net:
    subnets: {{v4: {{cidr: 10.9.0.0/24, enable_dhcp: {str(dhcp).lower()}}}{more}}}
    ports: {{mine: {{fixed_ip: 10.9.0.11}}, other: {{fixed_ip: 10.9.0.12}}}}
flavors: {{small: {{vcpus: 1, memory: 512MiB, disk: 1GiB}}}}
images: {{tiny: {{path: ./tiny.qcow2, format: qcow2}}}}
instances:
  one: {{flavor: small, image: tiny, networks: [{{port: mine}}]}}
  two: {{flavor: small, image: tiny, networks: [{{port: other}}]}}
{instances}
"""


@pytest.fixture
def place(netns: str, tmp_path: Path) -> Iterator[Place]:
    with built(netns, tmp_path, dhcp=True) as place:
        yield place


@contextmanager
def built(netns: str, tmp_path: Path, *, dhcp: bool) -> Iterator[Place]:
    host, state = NetworkHost(netns), tmp_path / "state"
    with Orchestrator(state) as slipway:
        before = things([host], state)
        file = loads(file_of(netns, dhcp=dhcp), "refresh.yaml")
        try:
            assert [ended.status.value for ended in slipway.run(file).ended] == ["built"] * 2
            (port,) = slipway.network.list_ports(name="mine")
            with client(netns, f"brq{port.network_id}"[:14], port.mac_address, tmp_path) as guest:
                yield Place(slipway, guest, port.network_id)
            assert slipway.audit() == ()
            slipway.destroy(file)
            assert slipway.audit() == ()
            assert things([host], state) == before
        finally:
            host.clear()


def test_a_port_that_changes_is_told_its_new_addresses_and_options(place: Place) -> None:
    assert place.guest.ask()["ip"] == "10.9.0.11"
    place.slipway.network.update_port(
        place.port().id,
        fixed_ips=[{"ip_address": "10.9.0.77"}],
        extra_dhcp_opts=[{"opt_name": "bootfile-name", "opt_value": "pxelinux.0"}],
    )
    told = place.guest.ask("67")
    assert told["ip"] == "10.9.0.77"
    assert told.get("bootfile", told.get("boot_file")) == "pxelinux.0"


def test_two_ports_exchange_their_addresses(place: Place) -> None:
    place.slipway.network.update_port(place.port("other").id, fixed_ips=[{"ip_address": "10.9.0.13"}])
    place.slipway.network.update_port(place.port().id, fixed_ips=[{"ip_address": "10.9.0.12"}])
    place.slipway.network.update_port(place.port("other").id, fixed_ips=[{"ip_address": "10.9.0.11"}])
    assert place.guest.ask()["ip"] == "10.9.0.12"


def test_a_subnet_that_changes_is_told(place: Place) -> None:
    place.slipway.network.update_subnet(
        place.subnet(),
        dns_nameservers=["9.9.9.9"],
        host_routes=[{"destination": "10.1.0.0/16", "nexthop": "10.9.0.7"}],
    )
    told = place.guest.ask("121")
    assert (told["ip"], told["dns"], told["router"]) == ("10.9.0.11", "9.9.9.9", "10.9.0.1")
    assert told["staticroutes"] == "10.1.0.0/16 10.9.0.7 0.0.0.0/0 10.9.0.1"
    place.slipway.network.update_subnet(place.subnet(), gateway_ip=None)
    told = place.guest.ask("121")
    assert "router" not in told
    assert told["staticroutes"] == "10.1.0.0/16 10.9.0.7"


def test_dhcp_is_switched_off_and_on(place: Place) -> None:
    network, subnet = place.slipway.network, place.subnet()
    network.update_subnet(subnet, enable_dhcp=False)
    assert place.server() == set()
    assert place.guest.ask(seconds=1) == {}
    assert place.slipway.audit() == ()
    network.update_subnet(subnet, enable_dhcp=True)
    assert place.guest.ask()["serverid"] in place.server()


def test_dhcp_that_comes_after_the_instances(netns: str, tmp_path: Path) -> None:
    with built(netns, tmp_path, dhcp=False) as place:
        network, subnet = place.slipway.network, place.subnet()
        assert place.server() == set()
        assert processes(tmp_path / "state") == []
        assert place.slipway.audit() == ()
        network.update_subnet(subnet, enable_dhcp=True)
        told = place.guest.ask()
        assert (told["ip"], told["serverid"]) == ("10.9.0.11", *place.server())
        assert place.slipway.audit() == ()
        network.update_subnet(subnet, enable_dhcp=False)
        assert processes(tmp_path / "state") == []
        network.update_port(place.port().id, fixed_ips=[{"ip_address": "10.9.0.77"}])
        network.update_subnet(subnet, enable_dhcp=True)
        assert place.guest.ask()["ip"] == "10.9.0.77"


def test_the_server_goes_with_the_last_of_two_that_go_at_once(netns: str, tmp_path: Path) -> None:
    def go_too(event: Event) -> None:
        if (event.type, event.step, event.name) == ("step.undo", "dhcp-ports", "one"):
            # The first one's port is bound to the host still.
            slipway.delete("two")

    host, state = NetworkHost(netns), tmp_path / "state"
    try:
        with Orchestrator(state) as slipway:
            before = things([host], state)
            assert [ended.status.value for ended in slipway.run(loads(file_of(netns), "two.yaml")).ended] == [
                "built"
            ] * 2
            slipway.delete("one", on_event=go_too)
            assert not slipway.network.list_ports(device_owner="network:dhcp")
            assert slipway.audit() == ()
            assert things([host], state) == before
    finally:
        host.clear()


def test_a_subnet_that_comes_later_is_served(place: Place) -> None:
    network = place.slipway.network
    later = network.create_subnet(network_id=place.network_id, ip_version=4, cidr="10.8.0.0/24", enable_dhcp=False)
    before = place.server()
    network.update_subnet(later.id, enable_dhcp=True)
    (own,) = place.server() - before
    network.update_port(place.port().id, fixed_ips=[{"ip_address": "10.8.0.77"}])
    told = place.guest.ask()
    assert (told["ip"], told["serverid"], told["router"]) == ("10.8.0.77", own, "10.8.0.1")
    network.update_port(place.port().id, fixed_ips=[{"ip_address": "10.9.0.11"}])
    network.delete_subnet(later.id)
    assert place.server() == before
    assert place.guest.ask()["ip"] == "10.9.0.11"


def test_a_prefix_that_comes_later_is_advertised(place: Place) -> None:
    later = place.slipway.network.create_subnet(
        network_id=place.network_id,
        ip_version=6,
        cidr="fd00:9::/64",
        gateway_ip=None,
        ipv6_ra_mode="slaac",
        ipv6_address_mode="slaac",
    )
    _, own = place.port().fixed_ips
    assert until(20, lambda: place.guest.global_addresses() == {own.ip_address})
    place.slipway.network.delete_subnet(later.id)


def test_a_prefix_of_a_later_file_is_advertised(place: Place, netns: str) -> None:
    slaac = ', v6: {cidr: "fd00:9::/64", gateway: null, ipv6_ra_mode: slaac, ipv6_address_mode: slaac}'
    file = loads(file_of(netns, more=slaac), "later.yaml")
    assert [ended.status.value for ended in place.slipway.run(file).ended] == ["unchanged"] * 2
    _, own = place.port().fixed_ips
    assert until(20, lambda: place.guest.global_addresses() == {own.ip_address})
    place.slipway.network.delete_subnet(place.slipway.network.list_subnets(name="v6")[0].id)


def test_an_instance_on_a_subnet_of_a_later_file_is_served(place: Place, netns: str) -> None:
    three = "  three: {flavor: small, image: tiny, networks: [{network: net, fixed_ip: 10.8.0.5}]}"
    file = loads(file_of(netns, more=", later: {cidr: 10.8.0.0/24}", instances=three), "later.yaml")
    assert [ended.status.value for ended in place.slipway.run(file).ended] == ["unchanged", "unchanged", "built"]
    assert len(place.server()) == 2
    place.slipway.delete("three")


def test_what_the_server_refuses_is_an_error_and_the_others_stay_served(place: Place) -> None:
    other = place.port("other").id
    with pytest.raises(WiringError, match="characters that are not allowed"):
        place.slipway.network.update_port(other, extra_dhcp_opts=[{"opt_name": "bootfile-name", "opt_value": 'a"b'}])
    assert place.guest.ask()["ip"] == "10.9.0.11"
    place.slipway.network.update_port(other, extra_dhcp_opts=[{"opt_name": "bootfile-name", "opt_value": "ab"}])
    assert place.guest.ask()["ip"] == "10.9.0.11"


def test_a_host_that_cannot_follow_keeps_no_other_from_it(netns: str, tmp_path: Path) -> None:
    lost = f"{netns}-0"
    run("ip", "netns", "add", lost)
    one, other = (
        f"{name}: {{vcpus: 8, memory: 8GiB, disk: 1TiB, wiring: linuxbridge, netns: {name}, zone: {name}}}"
        for name in (lost, netns)
    )
    file = loads(
        f"""
schema: 1
hosts: {{{one}, {other}}}
networks: {{net: {{subnets: {{v4: {{cidr: 10.9.0.0/24}}}}}}}}
flavors: {{small: {{vcpus: 1, memory: 512MiB, disk: 1GiB}}}}
images: {{tiny: {{path: ./tiny.qcow2, format: qcow2}}}}
instances:
  first: {{flavor: small, image: tiny, networks: [net], zone: {lost}}}
  second: {{flavor: small, image: tiny, networks: [net], zone: {netns}}}
""",
        "lost.yaml",
    )
    try:
        with Orchestrator(tmp_path / "state") as slipway:
            assert [ended.status.value for ended in slipway.run(file).ended] == ["built"] * 2
            (subnet,) = slipway.network.list_subnets()
            run("ip", "netns", "del", lost)
            with pytest.raises(WiringError, match=f"{lost}: .*there is no network namespace {lost}"):
                slipway.network.update_subnet(subnet.id, dns_nameservers=["9.9.9.9"])
            (port,) = slipway.network.list_ports(device_id=slipway.show("second").instance.id)
            with client(netns, f"brq{port.network_id}"[:14], port.mac_address, tmp_path) as guest:
                assert guest.ask()["dns"] == "9.9.9.9"
            slipway.destroy(file)
            assert slipway.list() == []
    finally:
        for host in (lost, netns):
            NetworkHost(host).clear()
