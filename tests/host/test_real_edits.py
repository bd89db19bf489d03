"""What libvirt's own tools change in a domain that was defined here, or that runs: found and mended, as it runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from slipway.operations.repair import Outcome
from tests.conftest import Guest
from tests.host.hosts import RealHost
from tests.host.test_real_repair import Site

pytestmark = pytest.mark.host


@pytest.fixture
def site(real_hosts: tuple[RealHost, RealHost], guest: Guest, tmp_path: Path) -> Iterator[Site]:
    made = Site(real_hosts[0], guest, tmp_path / "state")
    yield made
    made.slipway.close()
    real_hosts[0].clear()


def redefined(site: Site, old: str, new: str) -> None:
    """As `virsh edit` does it: from its next start. `old`: a regular expression."""

    def edit(domain: Any) -> None:
        text = domain.XMLDesc(2)
        changed = re.sub(old, new, text, flags=re.DOTALL)
        assert changed != text
        domain.connect().defineXML(changed)

    site.virsh(edit)


def link_down(domain: Any) -> None:
    """As `virsh domif-setlink` does it to the NIC of a guest that runs."""
    (nic,) = re.findall("<interface.*?</interface>", domain.XMLDesc(0), re.DOTALL)
    domain.updateDeviceFlags(nic.replace("</interface>", "<link state='down'/></interface>"), 1)


def of_domain(change: Callable[[Any], object]) -> Callable[[Site], object]:
    return lambda site: site.virsh(change)


EDITS = {
    "tap's name edited by virsh": ("<target dev='tap[^']*'", "<target dev='tap-other'"),
    "our element edited away": ("<metadata>.*</metadata>", ""),
    "our element edited": ("<slipway:flavor>tiny", "<slipway:flavor>huge"),
    "what it boots from": ("<boot dev='hd'/>", "<boot dev='network'/>"),
    "its memory": (r">131072</(memory|currentMemory)>", r">262144</\1>"),
    "the most memory": (">131072</memory>", ">262144</memory>"),
    "its vCPUs": ("<vcpu placement='static'>2<", "<vcpu placement='static'>1<"),
    "the most vCPUs": ("<vcpu placement='static'>2<", "<vcpu placement='static' current='2'>4<"),
    "its CPU": (r"<model fallback='\w+'>qemu64</model>", "<model fallback='allow'>Nehalem</model>"),
    "its NIC's model": ("<model type='virtio'/>", "<model type='e1000'/>"),
    "its NIC's bandwidth": ("</interface>", "<bandwidth><inbound average='8'/></bandwidth></interface>"),
    "its NIC's MTU": (r"<mtu size='\d+'/>", "<mtu size='1000'/>"),
    "its disk's cache": ("<driver name='qemu' type='qcow2'", "<driver name='qemu' type='raw'"),
    "its console's log": (r"<log file='[^']*'", "<log file='/tmp/elsewhere'"),
    "where its screen listens": ("127.0.0.1", "0.0.0.0"),
    "the channel of its agent": ("org.qemu.guest_agent.0", "somebody.else.0"),
    "its balloon": ("<memballoon model='virtio'>.*</memballoon>", "<memballoon model='none'/>"),
    "its randomness gone": ("<rng.*</rng>", ""),
    "what it does when it crashes": ("<on_crash>destroy", "<on_crash>restart"),
}
"""With what an editor changes what holds from its next start."""


LIVE: dict[str, Callable[[Site], object]] = {
    "our element": of_domain(lambda d: d.setMetadata(2, None, "slipway", "urn:slipway:instance:1", 1)),
    "its title": of_domain(lambda d: d.setMetadata(1, "x", None, None, 3)),
    "libvirt's autostart": of_domain(lambda d: d.setAutostart(1)),
    "pinned": of_domain(lambda d: d.pinVcpuFlags(0, (True, False), 3)),
    "what a reboot does": of_domain(lambda d: d.setLifecycleAction(1, 0, 3)),
    "its NIC's link down": of_domain(link_down),
}
"""With what a guest that runs is changed."""
STOPPED: dict[str, Callable[[Site], object]] = {
    "renamed": of_domain(lambda d: d.rename("somebody-elses")),
    "our element edited away": lambda s: redefined(s, "<metadata>.*</metadata>", ""),
}
"""With what one that is stopped is changed."""


def test_each_is_found_and_mended_and_gone(site: Site, record_property: Callable[[str, object], None]) -> None:
    site.build(ready=False)
    before = site.qemu()
    found = mended = 0
    changes = {name: lambda s, edit=edit: redefined(s, *edit) for name, edit in EDITS.items()} | LIVE
    for name, do in changes.items():
        do(site)
        found, mended = found + 1, mended + mended_in(site, name)
        assert site.qemu() == before, name
    site.slipway.stop("one", force=True)
    for name, do in STOPPED.items():
        do(site)
        found, mended = found + 1, mended + mended_in(site, name)
    record_property("damages", (len(changes) + len(STOPPED), found, mended))
    site.slipway.start("one")
    assert (site.slipway.audit(), site.instance.vm_state) == ((), "ACTIVE")


def mended_in(site: Site, name: str) -> int:
    """Whether the domain alone is said to be different, and is not when that is mended."""
    there = site.slipway.audit()
    assert [f"{one.difference} {one.kind}" for one in there] == ["different domain"], (name, there)
    results = site.slipway.repair(there[0].instance_id)
    assert [one for one in results if one.outcome is not Outcome.MENDED] == [], (name, there)
    assert site.slipway.audit() == (), name
    return sum(one.mend.finding in there for one in results)


def test_a_domain_of_somebody_else_with_the_id_of_an_instance_is_let_alone(site: Site) -> None:
    site.build(ready=False)
    site.slipway.stop("one", force=True)
    redefined(site, "<metadata>.*</metadata>", "")
    redefined(site, r"-0\.qcow2", "-9.qcow2")
    assert [f"{one.difference} {one.kind}" for one in site.slipway.audit()] == ["missing domain"]
    (result,) = site.slipway.repair()
    assert (result.outcome, "exists already" in result.message) == (Outcome.FAILED, True)
    site.virsh(lambda domain: domain.undefine())
    site.slipway.repair()
    assert site.slipway.audit() == ()
