"""What a host, virsh or rm takes from a real machine: found, mended without a reboot where that can be, and gone."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from slipway.model.neutron import ADMIN
from slipway.model.record import Instance
from slipway.operations.repair import Outcome
from slipway.orchestrator import Orchestrator
from slipway.runfile import RunFile, loads
from tests.conftest import Guest
from tests.host.hosts import RealHost, processes, things
from tests.host.test_real_networks import answers
from tests.waiting import until

pytestmark = pytest.mark.host

ADDRESS = "10.9.0.10"


class Site:
    """A host with a machine on it, and what somebody does to it past us."""

    def __init__(self, host: RealHost, guest: Guest, state: Path) -> None:
        self.host, self.guest, self.state = host, guest, state
        self.slipway = Orchestrator(state)

    def file(self, host: str = "", more: str = "") -> RunFile:
        return loads(
            f"""
schema: 1
hosts: {{{self.host.entry(host)}}}
networks: {{net: {{subnets: {{v4: {{cidr: 10.9.0.0/24}}}}}}}}
flavors: {{tiny: {{vcpus: 2, memory: 128MiB, disk: 1GiB}}}}
images: {{guest: {{{self.guest.image}}}}}
security_groups: {{ping: {{rules: [{{protocol: icmp, from: 0.0.0.0/0}}]}}}}
instances:
  one:
    {{flavor: tiny, image: guest, security_groups: [ping], networks: [{{network: net, fixed_ip: {ADDRESS}}}]{more}}}
""",
            "repair.yaml",
        )

    def build(self, *, ready: bool = True, **says: str) -> Instance:
        """Its QEMU runs; what is `ready` has booted as well, which takes far longer."""
        (ended,) = self.slipway.run(self.file(**says)).ended
        assert ended.instance is not None
        assert ended.instance.fault is None, ended.instance.fault
        if ready:
            self.until_ready()
        return ended.instance

    def until_ready(self) -> None:
        until(lambda: b"slipway-guest: ready" in b"".join(self.slipway.console("one")), "the guest's marker")

    @property
    def instance(self) -> Instance:
        return self.slipway.show("one").instance

    @property
    def network_id(self) -> str:
        (network,) = self.slipway.network.list_networks()
        return network.id

    @property
    def port(self) -> Any:
        (port,) = self.slipway.network.list_ports(device_id=self.instance.id)
        return port

    @property
    def tap(self) -> str:
        return f"tap{self.port.id[:11]}"

    @property
    def bridge(self) -> str:
        return f"brq{self.network_id[:11]}"

    def qemu(self) -> list[int]:
        return [one.pid for one in self.host.libvirtd.machines(self.instance.id)]

    def has_ended(self) -> bool:
        """Whether libvirt has heard of the end of each machine, which is a moment after it."""
        import libvirt

        connection = libvirt.open(self.host.libvirtd.uri)
        try:
            return not self.qemu() and not connection.listDomainsID()
        finally:
            connection.close()

    def virsh(self, *changes: Callable[[Any], object]) -> None:
        import libvirt

        connection = libvirt.open(self.host.libvirtd.uri)
        try:
            domain = connection.lookupByUUIDString(self.instance.id)
            for change in changes:
                change(domain)
        finally:
            connection.close()

    def kill_dhcp(self) -> None:
        for one in processes(self.state):
            with suppress(psutil.NoSuchProcess):
                one.kill()
        for name in self.host.namespaces():
            subprocess.run(["ip", "netns", "del", name], check=True)

    def delete_port(self) -> None:
        """As a network service does it that knows nothing of us."""
        self.slipway._drivers.network.delete_port(ADMIN, self.port.id)

    def nic(self) -> str:
        return f"<interface type='ethernet'><mac address='{self.port.mac_address}'/></interface>"

    def restart_host(self) -> None:
        self.virsh(lambda domain: domain.destroy())
        for link in (self.tap, self.bridge):
            self.host.ip("link", "del", link)
        self.host.flush()
        self.kill_dhcp()


@pytest.fixture
def site(real_hosts: tuple[RealHost, RealHost], guest: Guest, tmp_path: Path) -> Iterator[Site]:
    made = Site(real_hosts[0], guest, tmp_path / "state")
    yield made
    made.slipway.close()
    real_hosts[0].clear()


def undefined(domain: Any) -> object:
    return domain.undefine()


def detach(site: Site, flags: int) -> None:
    site.virsh(lambda domain: domain.detachDeviceFlags(site.nic(), flags))
    if flags & 1:
        until(lambda: site.port.mac_address not in _live(site), "the NIC to go")


def _live(site: Site) -> str:
    texts: list[str] = []
    site.virsh(lambda domain: texts.append(domain.XMLDesc(0)))
    return texts[0]


LIVE, LATER = 1, 2
RUNS_ON: dict[str, tuple[Callable[[Site], object], set[str], bool]] = {
    "bridge gone": (lambda s: s.host.ip("link", "del", s.bridge), {"different vif", "missing dhcp"}, True),
    "bridge down": (lambda s: s.host.ip("link", "set", s.bridge, "down"), {"different vif"}, True),
    "filter gone": (lambda s: s.host.flush(), {"missing filter"}, True),
    "DHCP server gone": (lambda s: s.kill_dhcp(), {"missing dhcp"}, True),
    "undefined": (lambda s: s.virsh(undefined), {"different domain"}, True),
    "paused": (lambda s: s.virsh(lambda domain: domain.suspend()), {"different domain"}, True),
    "definition gone": (lambda s: next((s.state / "instances").rglob("*.xml")).unlink(), {"missing definition"}, True),
    "fewer vCPUs later": (lambda s: s.virsh(lambda d: d.setVcpusFlags(1, LATER)), {"different domain"}, True),
    "less memory later": (lambda s: s.virsh(lambda d: d.setMemoryFlags(65536, LATER)), {"different domain"}, True),
    "NIC detached later": (lambda s: detach(s, LATER), {"different domain"}, True),
    "port deleted": (lambda s: s.delete_port(), {"missing port", "missing binding", "missing filter"}, True),
    # The guest of these tests sets up its NICs once, when it boots: what comes back is not set up by it.
    "NIC detached": (lambda s: detach(s, LIVE | LATER), {"different domain"}, False),
    "tap gone": (lambda s: s.host.ip("link", "del", s.tap), {"missing vif"}, False),
}
"""What is done, what an audit finds at least, and whether the guest answers pings afterwards."""


def test_a_guest_that_runs_runs_on(site: Site, record_property: Callable[[str, object], None]) -> None:
    site.build()
    provoked = found = mended = 0
    for name, (do, expected, reached) in RUNS_ON.items():
        before = site.qemu()
        do(site)
        there = site.slipway.audit()
        said = {f"{one.difference} {one.kind}" for one in there}
        assert said <= expected | {"missing filter", "different filter", "different dhcp", "different vif"}, (
            name,
            there,
        )
        assert said & expected, (name, there)
        results = site.slipway.repair()
        assert [one for one in results if one.outcome is not Outcome.MENDED] == [], name
        assert site.slipway.audit() == (), name
        assert site.qemu() == before, f"{name}: it was not rebooted"
        if reached:
            until(lambda: answers(site.host, site.network_id, ADDRESS), f"an answer after {name}")
        provoked, found, mended = provoked + len(said), found + len(said), mended + len({_said(one) for one in results})
    assert provoked == found == mended
    record_property("damages", (provoked, found, mended))
    print(f"\n{len(RUNS_ON)} damages: {provoked} differences provoked, {found} found, {mended} mended, no reboot")
    site.slipway.delete("one")
    site.slipway.destroy(site.file())
    assert site.slipway.audit() == ()


def _said(one: Any) -> str:
    return f"{one.mend.finding.difference} {one.mend.finding.kind}"


def destroyed(site: Site) -> None:
    site.virsh(lambda domain: domain.destroy())


def killed(site: Site) -> None:
    for pid in site.qemu():
        psutil.Process(pid).kill()


def without(name: str) -> Callable[[Site], None]:
    def do(site: Site) -> None:
        destroyed(site)
        (site.state / "disks" / site.host.name / f"{site.instance.id}-{name}").unlink()

    return do


ENDED: dict[str, Callable[[Site], object]] = {
    "destroyed": destroyed,
    "killed": killed,
    "destroyed and undefined": lambda site: site.virsh(undefined, lambda domain: domain.destroy()),
    "its host restarted": lambda site: site.restart_host(),
    "its disk gone": without("0.qcow2"),
    "its seed gone": without("1.iso"),
}


def test_a_guest_that_has_ended_is_started(site: Site) -> None:
    site.build()
    for name, do in ENDED.items():
        do(site)
        until(site.has_ended, "its end")
        there = site.slipway.audit()
        assert there, name
        results = site.slipway.repair()
        assert [one for one in results if one.outcome is not Outcome.MENDED] == [], name
        assert set(there) <= {one.mend.finding for one in results}
        assert site.slipway.audit() == (), name
        assert (len(site.qemu()), site.instance.vm_state) == (1, "ACTIVE"), name
        site.until_ready()
        until(lambda: answers(site.host, site.network_id, ADDRESS), f"an answer after {name}")
    before = things([site.host], site.state)
    assert site.slipway.repair() == ()
    assert things([site.host], site.state) == before


def test_a_disk_of_a_guest_that_runs_is_left_to_its_user(site: Site) -> None:
    site.build(ready=False)
    before = site.qemu()
    (site.state / "disks" / site.host.name / f"{site.instance.id}-0.qcow2").unlink()
    (mend,) = site.slipway.plan_repair()
    assert not mend.possible
    (left,) = site.slipway.repair()
    assert (left.outcome, site.qemu()) == (Outcome.LEFT, before)
    site.slipway.stop("one", force=True)
    (mended,) = site.slipway.repair()
    assert (mended.outcome, site.slipway.audit()) == (Outcome.MENDED, ())


def test_up_after_a_restart_of_the_host(site: Site) -> None:
    site.build(ready=False, more=", autostart: false")
    site.restart_host()
    results = site.slipway.up()
    assert {one.outcome for one in results} == {Outcome.MENDED}
    assert (site.qemu(), site.instance.vm_state) == ([], "STOPPED")
    site.slipway.start("one")
    site.until_ready()
    assert site.slipway.audit() == ()


def test_what_is_not_ours_is_never_touched(site: Site) -> None:
    site.build(ready=False)
    site.host.ip("tuntap", "add", "tapforeign-1", "mode", "tap")
    site.host.ip("link", "add", "brqforeign-1", "type", "bridge")
    try:
        site.host.ip("link", "del", site.bridge)
        site.slipway.repair()
        assert {"tapforeign-1", "brqforeign-1"} <= {line.split()[0] for line in site.host.links()}
    finally:
        site.host.ip("link", "del", "tapforeign-1")
        site.host.ip("link", "del", "brqforeign-1")


@pytest.mark.parametrize("kind", ["tap", "definition", "disk"])
def test_what_is_ours_and_nobodys_goes(site: Site, kind: str) -> None:
    instance = site.build(ready=False)
    stranger = "11111111-2222-4333-8444-555555555555"
    (definition,) = (site.state / "instances").rglob("*.xml")
    disk = site.state / "disks" / site.host.name / f"{stranger}-0.qcow2"
    if kind == "tap":
        site.host.ip("tuntap", "add", "tap11111111-11", "mode", "tap")
        (alias,) = re.findall(rf"{site.tap} (\S+)", "\n".join(site.host.links()))
        site.host.ip("link", "set", "tap11111111-11", "alias", alias.replace(instance.id, stranger))
    elif kind == "definition":
        definition.with_name(f"{stranger}.xml").write_text("<domain/>")
    else:
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "1M"], check=True)
    (found,) = site.slipway.audit()
    assert found.difference == "orphaned"
    assert site.slipway.up()[0].outcome is Outcome.LEFT, "not where nobody has asked for it in person"
    (mended,) = site.slipway.repair()
    assert (mended.outcome, site.slipway.audit()) == (Outcome.MENDED, ())
    assert site.instance.vm_state == "ACTIVE"
