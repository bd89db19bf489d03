"""More of what a hand, a disk or another program does to a real machine: found and mended, the guest running on."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from slipway.model.neutron import ADMIN
from slipway.operations.repair import Outcome
from tests.conftest import Guest
from tests.host.hosts import RealHost, processes, run
from tests.host.test_real_edits import redefined
from tests.host.test_real_repair import Site

pytestmark = [pytest.mark.host, pytest.mark.slow]


@pytest.fixture
def site(real_hosts: tuple[RealHost, RealHost], guest: Guest, tmp_path: Path) -> Iterator[Site]:
    made = Site(real_hosts[0], guest, tmp_path / "state")
    yield made
    made.slipway.close()
    real_hosts[0].clear()


def other_bridge(site: Site) -> None:
    site.host.ip("link", "add", "br-other", "type", "bridge")
    site.host.ip("link", "set", site.tap, "master", "br-other")


def update_port(site: Site, **values: Any) -> None:
    """As the network service does it, which knows nothing of guests."""
    site.slipway._drivers.network.update_port(ADMIN, site.port.id, **values)


def kill_dnsmasq(site: Site) -> None:
    for one in processes(site.state):
        one.kill()


def without_namespaces(site: Site) -> None:
    for name in site.host.namespaces():
        subprocess.run(["ip", "netns", "del", name], check=True)


def of_dhcp(name: str) -> Callable[[Site], object]:
    """As `rm` does it, under a server that runs."""
    return lambda site: next((site.state / "dhcp").rglob(name)).unlink()


def edited(site: Site, old: str, new: str) -> None:
    path = next((site.state / "instances").rglob("*.xml"))
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def without_a_rule(site: Site) -> None:
    """The first one that says something of ICMP."""
    nft = ("ip", "netns", "exec", site.host.name, "nft")
    table = chain = ""
    for line in run(*nft, "-a", "list", "ruleset").splitlines():
        if found := re.match(r"table (\S+ \S+) ", line):
            table = found[1]
        if found := re.match(r"\s+chain (\S+) ", line):
            chain = found[1]
        if found := re.search(r"icmp.*# handle (\d+)", line):
            run(*nft, "delete", "rule", *table.split(), chain, "handle", found[1])
            return
    raise AssertionError("there is no such rule")


DAMAGES: dict[str, tuple[Callable[[Site], object], tuple[str, ...]]] = {
    "tap in another bridge": (other_bridge, ("different vif",)),
    "tap in no bridge": (lambda s: s.host.ip("link", "set", s.tap, "nomaster"), ("different vif",)),
    "tap down": (lambda s: s.host.ip("link", "set", s.tap, "down"), ("different vif",)),
    "tap of another MTU": (lambda s: s.host.ip("link", "set", s.tap, "mtu", "1200"), ("different vif",)),
    "a rule gone": (without_a_rule, ("different filter",)),
    "dnsmasq killed": (kill_dnsmasq, ("missing dhcp",)),
    "namespace gone": (without_namespaces, ("missing dhcp",)),
    "DHCP leases deleted": (of_dhcp("leases"), ("different dhcp",)),
    "DHCP configuration deleted": (of_dhcp("dnsmasq.conf"), ("different dhcp",)),
    "DHCP server's status deleted": (of_dhcp("status"), ("missing dhcp",)),
    "whom the DHCP server serves deleted": (of_dhcp("served.json"), ("missing dhcp",)),
    "definition cut off": (lambda s: edited(s, "</domain>", ""), ("different definition", "different domain")),
    "definition edited": (
        lambda s: edited(s, s.port.mac_address, "52:54:00:00:00:99"),
        ("different definition", "different domain"),
    ),
    "disk's path edited by virsh": (lambda s: redefined(s, "-0.qcow2", "-9.qcow2"), ("different domain",)),
    "MAC edited by virsh": (lambda s: redefined(s, s.port.mac_address, "52:54:00:00:00:98"), ("different domain",)),
    "port down": (lambda s: update_port(s, admin_state_up=False), ("different dhcp", "different filter")),
    "port unbound": (lambda s: update_port(s, binding_host_id=""), ("missing binding",)),
    "port bound elsewhere": (
        lambda s: update_port(s, binding_host_id="elsewhere"),
        ("missing binding", "orphaned binding"),
    ),
}
"""What is done, and all that an audit finds."""


def test_each_is_found_and_mended_and_gone(site: Site, record_property: Callable[[str, object], None]) -> None:
    site.build()
    before = site.qemu()
    provoked = found = mended = 0
    for name, (do, expected) in DAMAGES.items():
        do(site)
        there = site.slipway.audit()
        assert tuple(f"{one.difference} {one.kind}" for one in there) == expected, (name, there)
        results = site.slipway.repair()
        assert [one for one in results if one.outcome is not Outcome.MENDED] == [], name
        assert (site.slipway.audit(), site.qemu()) == ((), before), name
        provoked, found = provoked + len(expected), found + len(there)
        mended += sum(one.mend.finding in there for one in results)
    assert provoked == found == mended
    record_property("damages", (provoked, found, mended))
    print(f"\n{len(DAMAGES)} damages: {provoked} differences provoked, {found} found, {mended} mended, no reboot")
