"""What a network's DNS says follows the record: names that change, ports that come and go, a way out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from slipway.model.request import NetworkRequest
from slipway.orchestrator import Orchestrator
from slipway.runfile import loads
from tests.host.dhcpclients import client, ip
from tests.host.dnsclient import NO_ERROR, NO_SUCH_NAME, REFUSED, Answer, resolve, reverse
from tests.host.hosts import NetworkHost, things
from tests.host.test_names import name_server

pytestmark = pytest.mark.host

FILE = """
schema: 1
hosts: {{{0}: {{vcpus: 8, memory: 8GiB, disk: 1TiB, compute: sim, wiring: linuxbridge, netns: {0}}}}}
networks:
  demo_net: {{{1}subnets: {{v4: {{cidr: 10.9.0.0/24}}}}, ports: {{mine: {{fixed_ip: 10.9.0.11, dns_name: Web-1}}}}}}
flavors: {{small: {{vcpus: 1, memory: 512MiB, disk: 1GiB}}}}
images: {{tiny: {{path: ./tiny.qcow2, format: qcow2}}}}
instances:
  web-1: {{flavor: small, image: tiny, networks: [{{port: mine}}]}}
  web-2: {{flavor: small, image: tiny, networks: [{{network: demo_net, fixed_ip: 10.9.0.12}}]}}
"""


@dataclass(frozen=True)
class Place:
    slipway: Orchestrator
    netns: str
    guest: str
    server: str

    def ask(self, name: str) -> Answer:
        return resolve(self.guest, self.server, name)

    def run(self, network: str) -> None:
        self.slipway.run(loads(FILE.format(self.netns, network), "names.yaml"))


@pytest.fixture
def place(netns: str, tmp_path: Path) -> Iterator[Place]:
    host, state = NetworkHost(netns), tmp_path / "state"
    ip("link", "set", "lo", "up", netns=netns)
    with Orchestrator(state) as slipway:
        before = things([host], state)
        file = loads(FILE.format(netns, ""), "names.yaml")
        try:
            assert [ended.status.value for ended in slipway.run(file).ended] == ["built"] * 2
            (port,) = slipway.network.list_ports(name="mine")
            (server,) = slipway.network.list_ports(device_owner="network:dhcp")
            with client(netns, f"brq{port.network_id}"[:14], port.mac_address, tmp_path) as guest:
                ip("address", "add", "10.9.0.11/24", "dev", "eth0", netns=guest.netns)
                yield Place(slipway, netns, guest.netns, server.fixed_ips[0].ip_address)
            assert slipway.audit() == ()
            slipway.destroy(file)
            assert slipway.audit() == ()
            assert things([host], state) == before
        finally:
            host.clear()


def test_names_change_come_and_go(place: Place) -> None:
    slipway = place.slipway
    assert place.ask("web-1.demo-net") == Answer(NO_ERROR, ("10.9.0.11",))
    assert reverse(place.guest, place.server, "10.9.0.12") == Answer(NO_ERROR, ("web-2.demo-net",))
    slipway.changes.rename("web-2", "db_1")
    assert (place.ask("db-1"), place.ask("web-2")) == (Answer(NO_ERROR, ("10.9.0.12",)), Answer(NO_SUCH_NAME, ()))
    (port,) = slipway.network.list_ports(dns_name="db-1")
    slipway.network.update_port(port.id, dns_name="db-2")
    assert (place.ask("db-2"), place.ask("db-1")) == (Answer(NO_ERROR, ("10.9.0.12",)), Answer(NO_SUCH_NAME, ()))
    slipway.network.update_port(port.id, fixed_ips=[{"ip_address": "10.9.0.13"}], dns_name="")
    assert place.ask("db-2") == Answer(NO_SUCH_NAME, ())
    assert slipway.audit() == ()
    slipway.changes.attach_interface("web-1", NetworkRequest(network="demo_net", fixed_ip="10.9.0.20"))
    assert place.ask("web-1") == Answer(NO_ERROR, ("10.9.0.11", "10.9.0.20"))
    (second,) = slipway.network.list_ports(ip_address="10.9.0.20")
    slipway.changes.detach_interface("web-1", second.id)
    assert place.ask("web-1") == Answer(NO_ERROR, ("10.9.0.11",))


def test_the_domain_of_a_network_changes(place: Place) -> None:
    place.run("dns_domain: Example.org, ")
    (network,) = place.slipway.network.list_networks()
    assert network.dns_domain == "Example.org."
    assert place.ask("web-1.example.org") == Answer(NO_ERROR, ("10.9.0.11",))
    assert place.ask("web-1.demo-net") == Answer(NO_ERROR, ("10.9.0.11",))
    assert reverse(place.guest, place.server, "10.9.0.11").said == ("web-1.example.org",)
    place.slipway.network.update_network(network.id, dns_domain="", name="other")
    assert place.ask("web-1.example.org") == Answer(REFUSED, ())
    assert place.ask("web-1.other") == Answer(NO_ERROR, ("10.9.0.11",))
    place.slipway.network.update_network(network.id, name="demo_net")


def test_a_network_that_gets_a_way_out_has_other_names_asked_for(place: Place) -> None:
    with name_server(place.netns):
        assert place.ask("www.example.org") == Answer(REFUSED, ())
        place.run("nat: true, ")
        assert place.ask("www.example.org") == Answer(NO_ERROR, ("192.0.2.80",))
        assert place.slipway.audit() == ()
        (router,) = place.slipway.network.list_routers()
        place.slipway.network.update_router(router.id, external_gateway_info=None)
        assert place.ask("www.example.org") == Answer(REFUSED, ())
