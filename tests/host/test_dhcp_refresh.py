"""What changes at a port or a subnet is told by the DHCP server of the instance's host at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from slipway.cli.main import main
from slipway.errors import BadRequest
from slipway.model.network import Context, Port
from slipway.model.record import Event
from slipway.model.request import NetworkRequest
from slipway.networks import Networks
from slipway.networks.attributes import DhcpOptionRequest
from slipway.orchestrator import BuildFailed, Orchestrator
from slipway.runfile import loads
from slipway.states.hosts import usages
from tests.host.dhcpclients import Client, client
from tests.host.hosts import NetworkHost, processes, run, things
from tests.waiting import until

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


def file_of(netns: str, *, dhcp: bool = True, more: str = "", instances: str = "", network: str = "") -> str:
    return f"""
schema: 1
hosts: {{{netns}: {{vcpus: 8, memory: 8GiB, disk: 1TiB, compute: sim, wiring: linuxbridge, netns: {netns}}}}}
networks:
  net: {{
    {network}subnets: {{v4: {{cidr: 10.9.0.0/24, enable_dhcp: {str(dhcp).lower()}}}{more}}},
    ports: {{mine: {{fixed_ip: 10.9.0.11}}, other: {{fixed_ip: 10.9.0.12}}}},
  }}
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
def built(netns: str, tmp_path: Path, *, dhcp: bool, network: str = "") -> Iterator[Place]:
    host, state = NetworkHost(netns), tmp_path / "state"
    with Orchestrator(state) as slipway:
        before = things([host], state)
        file = loads(file_of(netns, dhcp=dhcp, network=network), "refresh.yaml")
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
    until(lambda: place.guest.global_addresses() == {own.ip_address}, "the guest's address")
    place.slipway.network.delete_subnet(later.id)


def test_a_prefix_of_a_later_file_is_advertised(place: Place, netns: str) -> None:
    slaac = ', v6: {cidr: "fd00:9::/64", gateway: null, ipv6_ra_mode: slaac, ipv6_address_mode: slaac}'
    file = loads(file_of(netns, more=slaac), "later.yaml")
    assert [ended.status.value for ended in place.slipway.run(file).ended] == ["unchanged"] * 2
    _, own = place.port().fixed_ips
    until(lambda: place.guest.global_addresses() == {own.ip_address}, "the guest's address")
    place.slipway.network.delete_subnet(place.slipway.network.list_subnets(name="v6")[0].id)


def test_an_instance_on_a_subnet_of_a_later_file_is_served(place: Place, netns: str) -> None:
    three = "  three: {flavor: small, image: tiny, networks: [{network: net, fixed_ip: 10.8.0.5}]}"
    file = loads(file_of(netns, more=", later: {cidr: 10.8.0.0/24}", instances=three), "later.yaml")
    assert [ended.status.value for ended in place.slipway.run(file).ended] == ["unchanged", "unchanged", "built"]
    assert len(place.server()) == 2
    place.slipway.delete("three")


BAD_OPTIONS = [
    ("bootfile-name", 'a"b'),
    ("bootfile-name", "back\\slash"),
    ("bootfile-name", "x\r"),
    ("bootfile-name", "ok #c"),
    ("bootfile-name", "#c"),
    ("bootfile-name", "x" * 255 + "é"),
    ("no-such-option", "1"),
    ("tag:other,option:router", "10.9.0.1"),
    ("option6:dns-server", "[fd00::1]"),
    ("0", "1"),
    ("300", "1"),
    ("router", "10.9.0"),
    ("dns-server", "x"),
    ("200", "é" * 200),
]


@pytest.mark.parametrize(("name", "value"), BAD_OPTIONS)
def test_an_option_that_the_server_would_refuse_is_refused_when_it_comes_in(
    place: Place, name: str, value: str
) -> None:
    network, other = place.slipway.network, place.port("other").id
    options: list[DhcpOptionRequest] = [{"opt_name": name, "opt_value": value}]
    for call in (
        lambda: network.update_port(other, extra_dhcp_opts=options, context=Context("default")),
        lambda: network.create_port(network_id=place.network_id, extra_dhcp_opts=options),
        lambda: network.create_ports([{"network_id": place.network_id, "extra_dhcp_opts": options}]),
    ):
        with pytest.raises(BadRequest, match="extra_dhcp_opts: "):
            call()
    assert network.show_port(other).extra_dhcp_opts == ()
    assert len(network.list_ports()) == 3
    network.update_port(other, fixed_ips=[{"ip_address": "10.9.0.44"}])
    assert place.guest.ask()["ip"] == "10.9.0.11"


def test_options_that_the_server_takes(place: Place) -> None:
    options: list[DhcpOptionRequest] = [
        {"opt_name": "NIS+-domain", "opt_value": "a#b"},
        {"opt_name": "66", "opt_value": "10.9.0.7"},
        {"opt_name": "router", "opt_value": ""},
        {"opt_name": "dns-server", "opt_value": "[fd00::7]", "ip_version": 6},
    ]
    place.slipway.network.update_port(place.port().id, extra_dhcp_opts=options)
    told = place.guest.ask("66")
    assert (told["tftp"], "router" in told) == ("10.9.0.7", False)


def test_an_option_from_before_there_was_a_server_fails_its_own_build_alone(place: Place) -> None:
    """On record while no host had wiring, say: nobody else's build or change fails by it, and no host is blamed."""
    network = place.slipway.network
    unasked = Networks(network._driver, Context("default", is_admin=True))
    odd = unasked.create_port(
        network_id=place.network_id, name="odd", extra_dhcp_opts=[{"opt_name": "a", "opt_value": "b"}]
    )
    one = place.slipway.show("one").instance.request
    with pytest.raises(BuildFailed) as failed:
        place.slipway.create(replace(one, name="three", networks=(NetworkRequest(port="odd"),)))
    assert failed.value.cause is not None
    assert failed.value.cause.type == "InvalidInput"
    place.slipway.create(replace(one, name="four", networks=(NetworkRequest("net"),)))
    with place.slipway._store.read() as tx:
        assert [usage.failed_builds for usage in usages(tx)] == [0]
    assert place.guest.ask()["ip"] == "10.9.0.11"
    for name in ("three", "four"):
        place.slipway.delete(name)
    network.delete_port(odd.id)


def test_an_option_that_is_refused_keeps_no_other_port_of_its_network_from_a_change(place: Place) -> None:
    """It may be on record from before it was looked at, or dnsmasq be another one by now."""
    network, other = place.slipway.network, place.port("other")
    unasked = Networks(network._driver, Context("default", is_admin=True))
    unasked.update_port(other.id, extra_dhcp_opts=[{"opt_name": "no-such", "opt_value": "1"}])
    network.update_port(place.port().id, fixed_ips=[{"ip_address": "10.9.0.99"}])
    network.update_subnet(place.subnet(), dns_nameservers=["9.9.9.9"])
    told = place.guest.ask()
    assert (told["ip"], told["dns"]) == ("10.9.0.99", "9.9.9.9")
    assert [(one.kind, one.name) for one in place.slipway.audit()] == [("dhcp", other.id)]
    network.update_port(other.id, extra_dhcp_opts=[{"opt_name": "no-such", "opt_value": None}])


@pytest.mark.parametrize("mtu", [1300, 1400])
def test_a_networks_mtu_that_changes_is_that_of_its_taps(place: Place, netns: str, mtu: int) -> None:
    def mtus() -> set[int]:
        links = json.loads(NetworkHost(netns).ip("-json", "link"))
        return {link["mtu"] for link in links if link["ifname"].startswith(("tap", "brq"))}

    place.slipway.network.update_network(place.network_id, mtu=1350)
    place.slipway.network.update_network(place.network_id, mtu=mtu)
    assert mtus() == {mtu}
    assert place.guest.ask("26")["mtu"] == str(mtu)
    assert place.slipway.audit() == ()
    Networks(place.slipway.network._driver, Context("default", is_admin=True)).update_network(
        place.network_id, mtu=1500
    )
    assert {one.kind for one in place.slipway.audit()} == {"vif", "dhcp"}
    place.slipway.reboot("one", force=True)
    place.slipway.reboot("two", force=True)
    assert mtus() == {1500}


def test_what_a_host_did_not_hear_of_is_found_and_made_up_for(place: Place) -> None:
    network, port = place.slipway.network, place.port()
    unheard = Networks(network._driver, Context("default", is_admin=True))
    unheard.update_port(port.id, fixed_ips=[{"ip_address": "10.9.0.99"}])
    found = place.slipway.audit()
    assert [(one.difference, one.kind, one.name) for one in found] == [
        ("different", "dhcp", port.id),
        ("different", "filter", port.id),
    ]
    assert {one.instance_id for one in found} == {place.slipway.show("one").instance.id}
    place.slipway.reboot("one", force=True)
    assert place.slipway.audit() == ()
    assert place.guest.ask()["ip"] == "10.9.0.99"
    unheard.update_subnet(place.subnet(), dns_nameservers=["9.9.9.9"])
    assert {(one.kind, one.name) for one in place.slipway.audit()} == {
        ("dhcp", each.id) for each in (port, place.port("other"))
    }
    network.update_port(port.id, name="mine")
    assert place.slipway.audit() == ()


def test_a_guest_that_is_started_has_its_lease_whatever_it_calls_itself(place: Place) -> None:
    """Firmware, then a system; an image that was replaced: the DUID is another one, the MAC the same."""
    network, own = place.slipway.network, place.port()
    network.create_subnet(
        network_id=place.network_id,
        name="v6",
        ip_version=6,
        cidr="fd00:9::/64",
        gateway_ip=None,
        ipv6_ra_mode="dhcpv6-stateful",
        ipv6_address_mode="dhcpv6-stateful",
    )
    network.update_port(own.id, fixed_ips=[{"ip_address": "10.9.0.11"}, {"ip_address": "fd00:9::11"}])
    before = place.guest
    after = Client(before.netns, before.mac, before.scratch, duid=b"\0\4" + bytes(range(16)))
    assert before.ask()["ip"] == "10.9.0.11"
    assert before.ask_v6()[0] == "fd00:9::11"
    with pytest.raises(TimeoutError):
        after.ask_v6(seconds=1)
    place.slipway.reboot("one", force=True)
    assert after.ask_v6()[0] == "fd00:9::11"
    assert before.ask()["ip"] == "10.9.0.11"
    assert len(place.slipway.addresses("one").nics[0].leases or ()) == 2
    place.slipway.stop("one", force=True)
    assert place.slipway.addresses("one").nics[0].leases == ()
    place.slipway.start("one")
    assert before.ask_v6()[0] == "fd00:9::11"
    network.update_port(own.id, fixed_ips=[{"ip_address": "10.9.0.11"}])
    network.delete_subnet(network.list_subnets(name="v6")[0].id)


@pytest.mark.parametrize("mtu", [600, 1279])
def test_a_network_with_a_small_mtu_is_served(netns: str, tmp_path: Path, mtu: int) -> None:
    with built(netns, tmp_path, dhcp=True, network=f"mtu: {mtu}, ") as place:
        assert place.guest.ask("26")["mtu"] == str(mtu)


def test_a_host_that_cannot_follow_keeps_no_other_from_it(netns: str, tmp_path: Path) -> None:
    told: list[Event] = []
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
        with Orchestrator(tmp_path / "state", on_event=told.append) as slipway:
            assert [ended.status.value for ended in slipway.run(file).ended] == ["built"] * 2
            (subnet,) = slipway.network.list_subnets()
            run("ip", "netns", "del", lost)
            changed = slipway.network.update_subnet(subnet.id, dns_nameservers=["9.9.9.9"])
            assert changed.dns_nameservers == ("9.9.9.9",)
            assert {(event.type, event.host) for event in told} == {("host.behind", lost)}
            assert f"there is no network namespace {lost}" in told[0].message
            told.clear()
            slipway.network.create_subnet(
                network_id=slipway.network.create_network(name="else").id, ip_version=4, cidr="10.7.0.0/24"
            )
            assert told == []
            words = ["subnet", "update", subnet.id, "--dns-nameserver", "9.9.9.9", "--state", str(tmp_path / "state")]
            done = CliRunner().invoke(main, words)
            assert done.exit_code == 0, done.output
            assert f"slipway: warning: the change is on record, and host {lost} could not follow it: " in done.stderr
            (port,) = slipway.network.list_ports(device_id=slipway.show("second").instance.id)
            with client(netns, f"brq{port.network_id}"[:14], port.mac_address, tmp_path) as guest:
                assert guest.ask()["dns"] == "9.9.9.9"
            slipway.destroy(file)
            assert slipway.list() == []
    finally:
        for host in (lost, netns):
            NetworkHost(host).clear()
