"""What fails on a host's networks, before and while an instance is there. Most need no guest: libvirt's test driver."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from slipway.model.record import EffectState, Instance
from slipway.operations.audit import Difference
from slipway.operations.batch import Status
from slipway.orchestrator import Orchestrator
from slipway.runfile import RunFile, loads
from slipway.testing import Call, Faults
from tests.conftest import Guest
from tests.host.hosts import NetworkHost, RealHost, Things, processes, run, things
from tests.waiting import until

pytestmark = pytest.mark.host

INSTANCE = "instances: {one: {flavor: tiny, image: guest, networks: [{port: mine}]}}"

FLAT = "type: flat, physical_network: physnet1"
VLAN = "type: vlan, segmentation_id: 77, physical_network: physnet1"


@dataclass(frozen=True)
class Place:
    """A host whose machines only libvirt's test driver has; a network on it, and a port that is brought along."""

    host: NetworkHost
    state: Path
    orchestrator: Orchestrator

    def file(
        self, instance: str = INSTANCE, *, netns: str = "", nic: str = "uplink", provider: str = "type: local"
    ) -> RunFile:
        drivers = 'compute: libvirt, uri: "test:///default", accel: tcg, disks: sim, wiring: linuxbridge'
        where = f"netns: {netns or self.host.name}, physical_nic: {nic}"
        return loads(
            f"""
schema: 1
hosts: {{{self.host.name}: {{vcpus: 8, memory: 8GiB, disk: 1TiB, {drivers}, {where}}}}}
networks: {{net: {{provider: {{{provider}}}, subnets: {{v4: {{cidr: 10.9.0.0/24}}}}, ports: {{mine: {{}}}}}}}}
flavors: {{tiny: {{vcpus: 1, memory: 128MiB, disk: 1GiB}}}}
images: {{guest: {{path: ./guest.qcow2, format: qcow2}}}}
{instance}
""",
            "failures.yaml",
        )

    @property
    def tap(self) -> str:
        """What the port's tap will be called."""
        (port,) = self.orchestrator.network.list_ports(name="mine")
        return f"tap{port.id}"[:14]

    @property
    def bridge(self) -> str:
        (network,) = self.orchestrator.network.list_networks()
        return f"brq{network.id}"[:14]

    def things(self) -> Things:
        return things([self.host], self.state)

    def findings(self) -> set[tuple[Difference, str]]:
        return {(finding.difference, finding.kind) for finding in self.orchestrator.audit()}

    def build(self, **says: str) -> Instance:
        (ended,) = self.orchestrator.run(self.file(**says)).ended
        assert ended.status is Status.BUILT, ended.message
        assert ended.instance is not None
        assert self.findings() == set()
        return ended.instance


@pytest.fixture
def place(netns: str, tmp_path: Path) -> Iterator[Place]:
    pytest.importorskip("libvirt", reason="libvirt-python is not installed")
    with Orchestrator(tmp_path / "state") as orchestrator:
        host = NetworkHost(netns)
        host.ip("link", "add", "uplink", "type", "veth", "peer", "name", "far")
        host.ip("link", "set", "uplink", "up")
        yield Place(host, tmp_path / "state", orchestrator)
        host.clear()


# --- what fails before the machine runs -----------------------------------------------------------------------------


def take_tap(place: Place) -> None:
    place.host.ip("link", "add", place.tap, "type", "bridge")


def take_bridge(place: Place) -> None:
    place.host.ip("link", "add", place.bridge, "type", "bridge")


def nothing(place: Place) -> None:
    """The file says what cannot be."""


FAILURES: dict[str, tuple[Callable[[Place], None], dict[str, str], str]] = {
    "tap's name taken": (take_tap, {}, "tap{port} exists already and is not ours"),
    "bridge's name taken": (take_bridge, {}, "brq{network} exists already and is not ours"),
    "physical NIC missing": (
        nothing,
        {"nic": "nosuch", "provider": FLAT},
        "there is no physical_nic nosuch",
    ),
    "namespace missing": (nothing, {"netns": "slp-no-such"}, "there is no network namespace slp-no-such; make it: ip"),
}


@pytest.mark.parametrize("what", FAILURES)
def test_a_failure_is_told_and_leaves_nothing(place: Place, what: str) -> None:
    """L5."""
    prepare, says, text = FAILURES[what]
    place.orchestrator.run(place.file("", **says))
    prepare(place)
    before = place.things()
    (ended,) = place.orchestrator.run(place.file(**says)).ended
    assert ended.status is Status.FAILED
    assert ended.instance is not None
    assert ended.instance.fault is not None
    assert (ended.instance.vm_state, ended.instance.fault.type, ended.instance.fault.step) == (
        "ERROR",
        "WiringError",
        "plugs",
    )
    assert text.format(port=place.tap[3:], network=place.bridge[3:]) in ended.instance.fault.message
    assert ended.stuck == ()
    assert all(effect.state is EffectState.UNDONE for effect in ended.undone)
    assert place.things() == before
    place.orchestrator.delete("one")
    assert place.things() == before


@pytest.mark.kernel
def test_a_vlan_is_made_and_removed_or_its_absence_from_the_kernel_told(place: Place) -> None:
    trial = ["ip", "-n", place.host.name, "link", "add", "link", "uplink", "name", "trial", "type", "vlan", "id", "5"]
    has_vlans = subprocess.run(trial, check=False, capture_output=True).returncode == 0
    if has_vlans:
        place.host.ip("link", "del", "trial")
    place.orchestrator.run(place.file("", provider=VLAN))
    before = place.things()
    (ended,) = place.orchestrator.run(place.file(provider=VLAN)).ended
    assert ended.instance is not None
    if has_vlans:
        assert ended.status is Status.BUILT, ended.message
        assert any(link.startswith("uplink.77 slipway:") for link in place.host.links())
    else:
        assert ended.instance.fault is not None
        assert "uplink.77 cannot be made: this kernel has no 8021q; load the module" in ended.instance.fault.message
        assert ended.stuck == ()
        assert place.things() == before
    place.orchestrator.delete("one")
    assert place.things() == before


# --- what fails while it runs ---------------------------------------------------------------------------------------


def delete_tap(place: Place) -> None:
    place.host.ip("link", "del", place.tap)


def delete_bridge(place: Place) -> None:
    place.host.ip("link", "del", place.bridge)


def flush_rules(place: Place) -> None:
    run("ip", "netns", "exec", place.host.name, "nft", "flush", "ruleset")


def end_dhcp(place: Place) -> None:
    """The supervisor first, or it starts another dnsmasq."""
    for one in sorted(processes(place.state), key=lambda one: one.info["name"] == "dnsmasq"):
        one.kill()
    until(lambda: not processes(place.state), "their end")


def at_links(words: str) -> Callable[[Place], None]:
    """Run `ip link` with these words, of the host's links by what they are."""

    def damage(place: Place) -> None:
        (server,) = (port for port in place.orchestrator.network.list_ports() if port.device_owner == "network:dhcp")
        names = {"tap": place.tap, "bridge": place.bridge, "vxlan": "vxlan-77", "server": f"tap{server.id}"[:14]}
        place.host.ip("link", *words.format(**names).split())

    return damage


def nft(words: str) -> Callable[[Place], None]:
    """Have nft do something with our table of the bridges."""

    def damage(place: Place) -> None:
        inside = ("ip", "netns", "exec", place.host.name, "nft")
        (table,) = (line.split()[2] for line in run(*inside, "list", "tables", "bridge").splitlines())
        (port,) = place.orchestrator.network.list_ports(name="mine")
        run(*inside, *words.format(table=f"bridge {table}", port=port.id).split())

    return damage


def at_server(*words: str) -> Callable[[Place], None]:
    """Run `ip` in the DHCP server's namespace."""

    def damage(place: Place) -> None:
        (netns,) = place.host.namespaces()
        link = next(word for word in run("ip", "-n", netns, "-o", "link").split() if word.startswith("ns-"))
        run("ip", "-n", netns, *(word.format(link=link.partition("@")[0]) for word in words))

    return damage


def change_dhcp(place: Place) -> None:
    (file,) = place.state.glob("dhcp/*/*/dnsmasq.conf")
    file.write_text(file.read_text().replace("10.9.0.", "10.8.0."))


VXLAN = "type: vxlan, segmentation_id: 77"

DAMAGES: dict[str, tuple[Callable[[Place], None], str, dict[str, str]]] = {
    "tap deleted": (delete_tap, "type: local", {"vif": "is not there"}),
    "tap out of its bridge": (at_links("set {tap} nomaster"), "type: local", {"vif": "not in its bridge {bridge}"}),
    "tap down": (at_links("set {tap} down"), "type: local", {"vif": "it is down"}),
    "bridge down": (at_links("set {bridge} down"), "type: local", {"vif": "its bridge {bridge} is down"}),
    "bridge deleted": (delete_bridge, "type: local", {"vif": "its bridge {bridge} is gone", "dhcp": "not there"}),
    "flat uplink taken out": (
        at_links("set uplink nomaster"),
        FLAT,
        {"vif": "{bridge}'s uplink uplink is not in it"},
    ),
    "flat uplink deleted": (at_links("del uplink"), FLAT, {"vif": "{bridge}'s uplink uplink is gone"}),
    "VXLAN deleted": (at_links("del {vxlan}"), VXLAN, {"vif": "{bridge}'s uplink vxlan-77 is gone"}),
    "VXLAN taken out": (at_links("set {vxlan} nomaster"), VXLAN, {"vif": "{bridge}'s uplink vxlan-77 is not in it"}),
    "VXLAN down": (at_links("set {vxlan} down"), VXLAN, {"vif": "{bridge}'s uplink vxlan-77 is down"}),
    "rules flushed": (flush_rules, "type: local", {"filter": "is not there"}),
    "a port's rules flushed": (
        nft("flush chain {table} ingress-{port}"),
        "type: local",
        {"filter": "other rules than were applied: bridge chain ingress-{port}"},
    ),
    "a rule added": (
        nft("insert rule {table} egress-{port} accept"),
        "type: local",
        {"filter": "other rules than were applied: bridge chain egress-{port}"},
    ),
    "a port's map emptied": (
        nft("flush map {table} by-egress"),
        "type: local",
        {"filter": "other rules than were applied: bridge map by-egress"},
    ),
    "a hook emptied": (
        nft("flush chain {table} check-ingress"),
        "type: local",
        {"filter": "other rules than were applied: bridge chain check-ingress"},
    ),
    "DHCP server and supervisor killed": (end_dhcp, "type: local", {"dhcp": "is not there"}),
    "DHCP server's address gone": (
        at_server("address", "flush", "dev", "{link}"),
        "type: local",
        {"dhcp": "has other addresses than"},
    ),
    "DHCP server's link down": (
        at_server("link", "set", "{link}", "down"),
        "type: local",
        {"dhcp": "is down"},
    ),
    "DHCP server out of the bridge": (at_links("set {server} nomaster"), "type: local", {"dhcp": "is not there"}),
    "DHCP configuration changed": (change_dhcp, "type: local", {"dhcp": "by another configuration than it was told"}),
}


@pytest.mark.parametrize("what", DAMAGES)
def test_damage_is_found_and_what_is_left_deleted(place: Place, what: str) -> None:
    damage, provider, wrong = DAMAGES[what]
    place.orchestrator.run(place.file("", provider=provider))
    before = place.things()
    place.build(provider=provider)
    (port,) = place.orchestrator.network.list_ports(name="mine")
    damage(place)
    found = place.orchestrator.audit()
    assert {finding.kind for finding in found} == wrong.keys()
    assert {finding.instance_id for finding in found} == {place.orchestrator.show("one").instance.id}
    for finding in found:
        text = wrong[finding.kind].format(bridge=place.bridge, port=port.id)
        assert finding.difference == (Difference.MISSING if "not there" in text else Difference.DIFFERENT)
        assert text in finding.detail
    place.orchestrator.delete("one")
    assert place.findings() == set()
    after, links = place.things(), f"links of {place.host.name}"
    # The NIC may be what was damaged.
    assert set(after.pop(links)) <= set(before.pop(links))
    assert after == before


def lose_all(place: Place) -> None:
    """What a host has lost when it was started anew."""
    end_dhcp(place)
    for netns in place.host.namespaces():
        run("ip", "netns", "del", netns)
    delete_tap(place)
    delete_bridge(place)
    flush_rules(place)


LOST = {name: DAMAGES[name][:2] for name in DAMAGES if not name.startswith(("flat uplink deleted", "DHCP conf"))}
LOST["all of it"] = (lose_all, VXLAN)


@pytest.mark.parametrize("what", LOST)
def test_a_start_brings_back_what_the_host_has_lost(place: Place, what: str) -> None:
    damage, provider = LOST[what]
    place.orchestrator.run(place.file("", provider=provider))
    before = place.things()
    place.build(provider=provider)
    place.orchestrator.stop("one", force=True)
    place.orchestrator.network.update_port(
        place.orchestrator.network.list_ports(name="mine")[0].id, fixed_ips=[{"ip_address": "10.9.0.77"}]
    )
    damage(place)
    place.orchestrator.start("one")
    assert place.findings() == set()
    assert "10.9.0.77" in run("ip", "netns", "exec", place.host.name, "nft", "list", "ruleset")
    place.orchestrator.delete("one")
    assert place.things() == before


def servers(place: Place) -> list[psutil.Process]:
    return [one for one in processes(place.state) if one.info["name"] == "dnsmasq"]


def test_a_dhcp_server_that_was_killed_comes_back(place: Place) -> None:
    place.orchestrator.run(place.file(""))
    before = place.things()
    place.build()
    (server,) = servers(place)
    server.kill()
    until(lambda: [one for one in servers(place) if one != server], "another one")
    until(lambda: not place.findings(), "the audit without a finding")
    place.orchestrator.delete("one")
    assert place.things() == before


def test_libvirtd_killed_during_the_wait(real_hosts: tuple[RealHost, RealHost], guest: Guest, tmp_path: Path) -> None:
    """Nobody can say whether the machine runs: what it may use is held, its wiring too, until somebody can."""
    host, state = real_hosts[0], tmp_path / "state"

    def kill_libvirtd(call: Call) -> None:
        if call.name == "power_state" and host.libvirtd.daemon() is not None:
            host.libvirtd.kill()

    file = loads(host.file(guest), "killed.yaml")
    try:
        with Faults(on_call=kill_libvirtd).orchestrator(state) as orchestrator:
            before = things([host], state)
            (ended,) = orchestrator.run(file).ended
            assert ended.instance is not None
            assert ended.instance.fault is not None
            assert (ended.instance.fault.type, ended.instance.fault.step) == ("HypervisorUnavailable", "wait")
            held = {"domain", "definition", "disk", "seed", "claim"}
            held |= {"port", "binding", "vif", "filter", "dhcp-port", "dhcp"}
            assert {effect.kind for effect in ended.stuck} == held
            assert len([link for link in host.links() if link.startswith("tap")]) == 2, "the guest's and the server's"
            host.libvirtd.restart()
        with Orchestrator(state) as orchestrator:
            orchestrator.delete("one")
            assert orchestrator.audit() == ()
        assert things([host], state) == before
    finally:
        host.clear()
