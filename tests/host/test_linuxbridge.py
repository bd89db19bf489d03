"""Bridges, taps and uplinks, in network namespaces of the tests' own."""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from slipway.drivers.wiring.linuxbridge.kernel import Kernel, Link
from slipway.drivers.wiring.linuxbridge.links import Links
from slipway.errors import WiringError
from slipway.model.machine import Vif, Wired
from slipway.model.request import Host
from tests.waiting import PATIENCE

pytestmark = pytest.mark.host

HOST = Host("node-1", vcpus=8, memory=1 << 34, disk=1 << 40, wiring="linuxbridge")
NIC = "eth9"


def ip(netns: str, *words: str) -> str:
    return subprocess.run(["ip", "-n", netns, *words], check=True, capture_output=True, text=True).stdout


def links(netns: str) -> dict[str, Any]:
    return {link["ifname"]: link for link in json.loads(ip(netns, "-d", "-j", "link"))}


@pytest.fixture
def host(netns: str) -> Host:
    ip(netns, "link", "add", NIC, "type", "veth", "peer", "name", "far")
    ip(netns, "link", "set", NIC, "up")
    return replace(HOST, netns=netns, physical_nic=NIC)


@pytest.fixture
def plain(host: Host, tmp_path: Path) -> Links:
    return Links(host, tmp_path, "ours")


def test_plug_and_unplug_twice(plain: Links, netns: str, make_vif: Callable[..., Vif]) -> None:
    """L3."""
    before, vif = links(netns), make_vif()
    for _ in range(2):
        plain.plug("one", vif)
    made = links(netns)
    tap, bridge = made[vif.devname], made[vif.bridge]
    assert (tap["mtu"], tap["master"], tap["linkinfo"]["info_kind"]) == (1450, vif.bridge, "tun")
    assert (tap["linkinfo"]["info_data"]["type"], tap["linkinfo"]["info_data"]["persist"]) == ("tap", True)
    assert "UP" in tap["flags"]
    assert "UP" in bridge["flags"]
    data = bridge["linkinfo"]["info_data"]
    assert (bridge["mtu"], data["stp_state"], data["forward_delay"]) == (1450, 0, 0)
    assert plain.list_taps() == [Wired(vif.devname, of="one", joined=False)]
    for _ in range(2):
        plain.unplug(vif.devname)
    assert links(netns) == before


def test_the_bridge_stays_while_something_is_in_it(plain: Links, netns: str, make_vif: Callable[..., Vif]) -> None:
    one = make_vif()
    two = replace(make_vif(1), bridge=one.bridge)
    plain.plug("one", one)
    plain.plug("two", two)
    plain.unplug(one.devname)
    assert one.bridge in links(netns)
    ip(netns, "link", "set", "far", "master", one.bridge)
    plain.unplug(two.devname)
    assert one.bridge in links(netns)
    ip(netns, "link", "set", "far", "nomaster")
    plain.release_bridge(one.bridge)
    assert one.bridge not in links(netns)


def test_what_a_kill_cut_off_is_completed_or_taken_away(
    plain: Links, netns: str, make_vif: Callable[..., Vif], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each change of a link in turn: finished by a second plug, or undone at once."""
    vif = replace(make_vif(), network_type="vxlan", segmentation_id=77)
    before = set(links(netns))
    points = 0
    while True:
        for finish in (True, False):
            left = points

            def dies(kernel: Kernel, link: Link, _set: Any = Kernel.set, **attributes: Any) -> None:
                nonlocal left
                left -= 1
                if left < 0:
                    raise KeyboardInterrupt
                _set(kernel, link, **attributes)

            with monkeypatch.context() as patch:
                patch.setattr(Kernel, "set", dies)
                try:
                    plain.plug("one", vif)
                except KeyboardInterrupt:
                    pass
                else:
                    assert points > 4
                    plain.unplug(vif.devname)
                    assert set(links(netns)) == before
                    return
            if finish:
                plain.plug("one", vif)
                assert links(netns)["vxlan-77"]["master"] == vif.bridge
                assert "UP" in links(netns)[vif.bridge]["flags"]
            plain.unplug(vif.devname)
            assert set(links(netns)) == before, points
        points += 1


@pytest.mark.parametrize("kind", ["tap", "bridge"])
def test_what_is_not_ours_is_left_alone(
    plain: Links, netns: str, tmp_path: Path, host: Host, make_vif: Callable[..., Vif], kind: str
) -> None:
    vif = make_vif()
    if kind == "tap":
        ip(netns, "tuntap", "add", vif.devname, "mode", "tap")
    else:
        ip(netns, "link", "add", vif.bridge, "type", "bridge")
    before = links(netns)
    with pytest.raises(WiringError, match=r"node-1: .* exists already and is not ours"):
        plain.plug("one", vif)
    plain.unplug(vif.devname)
    assert {name: found["ifindex"] for name, found in links(netns).items()} == {
        n: f["ifindex"] for n, f in before.items()
    }
    other = make_vif(1)
    Links(host, tmp_path, "theirs").plug("two", other)
    assert plain.list_taps() == []
    with pytest.raises(WiringError, match="not ours"):
        plain.plug("two", other)
    plain.unplug(other.devname)
    assert other.devname in links(netns)


def test_another_instances_tap_is_left_to_it(plain: Links, netns: str, make_vif: Callable[..., Vif]) -> None:
    """The port went from one to the other, and with it the tap's name."""
    vif = make_vif()
    plain.plug("two", vif)
    plain.unplug(vif.devname, "one")
    assert plain.list_taps() == [Wired(vif.devname, of="two", joined=False)]
    plain.unplug(vif.devname, "two")
    assert vif.bridge not in links(netns)


@pytest.mark.parametrize("name", ["--help", "x;id", "x%d", "tap../x", "brq", "", "tap" + "a" * 20, "tapa\nb"])
def test_no_name_that_we_would_not_make(plain: Links, netns: str, make_vif: Callable[..., Vif], name: str) -> None:
    before = set(links(netns))
    for vif in (replace(make_vif(), devname=name), replace(make_vif(), bridge=name)):
        with pytest.raises(WiringError, match="is not a name"):
            plain.plug("one", vif)
    plain.unplug(name)
    assert set(links(netns)) == before


@pytest.mark.parametrize("kind", ["flat", "vxlan"])
def test_an_uplink_comes_and_goes_with_the_bridge(
    plain: Links, netns: str, make_vif: Callable[..., Vif], kind: str
) -> None:
    vif = replace(make_vif(), network_type=kind, segmentation_id=77 if kind == "vxlan" else None)
    name = NIC if kind == "flat" else "vxlan-77"
    before = set(links(netns))
    plain.plug("one", vif)
    plain.plug("one", vif)
    assert links(netns)[name]["master"] == vif.bridge
    plain.unplug(vif.devname)
    assert set(links(netns)) == before
    assert "master" not in links(netns)[NIC]


@pytest.mark.kernel
def test_a_vlan_or_why_there_is_none(plain: Links, netns: str, make_vif: Callable[..., Vif]) -> None:
    before = set(links(netns))
    vif = replace(make_vif(), network_type="vlan", segmentation_id=77)
    kernel_has_it = subprocess.run(
        ["ip", "-n", netns, "link", "add", "probe", "link", NIC, "type", "vlan", "id", "1"], check=False
    )
    if kernel_has_it.returncode == 0:
        ip(netns, "link", "del", "probe")
        plain.plug("one", vif)
        assert links(netns)[f"{NIC}.77"]["master"] == vif.bridge
    else:
        with pytest.raises(WiringError, match="this kernel has no 8021q; load the module"):
            plain.plug("one", vif)
    plain.unplug(vif.devname)
    assert set(links(netns)) == before


def test_an_uplink_that_cannot_be(plain: Links, netns: str, tmp_path: Path, make_vif: Callable[..., Vif]) -> None:
    vif = replace(make_vif(), network_type="flat")
    absent = Links(replace(HOST, netns=netns, physical_nic="eth99"), tmp_path, "ours")
    nameless = Links(replace(HOST, netns=netns), tmp_path, "ours")
    nowhere = Links(replace(HOST, netns="slp-no-such", physical_nic=NIC), tmp_path, "ours")
    plain.check(vif)
    ip(netns, "address", "add", "192.0.2.1/24", "dev", NIC)
    for host, wrong in (
        (absent, "there is no physical_nic eth99"),
        (nameless, "must name its physical_nic"),
        (nowhere, "there is no network namespace slp-no-such"),
        (plain, "has addresses"),
    ):
        with pytest.raises(WiringError, match=wrong):
            host.check(vif)
        assert set(links(netns)) == {"lo", NIC, "far"}
        with pytest.raises(WiringError, match=wrong):
            host.plug("one", vif)
        if host is not nowhere:
            host.unplug(vif.devname)
    assert set(links(netns)) == {"lo", NIC, "far"}


@pytest.mark.parametrize(
    ("kind", "most"), [("flat", 1400), ("vlan", 1400), ("vxlan", 1350)], ids=["flat", "vlan", "vxlan"]
)
def test_packets_that_the_nic_would_lose_are_refused(
    plain: Links, netns: str, make_vif: Callable[..., Vif], kind: str, most: int
) -> None:
    before = set(links(netns))
    ip(netns, "link", "set", NIC, "mtu", "1400")
    vif = replace(make_vif(), network_type=kind, segmentation_id=None if kind == "flat" else 77, mtu=most + 1)
    with pytest.raises(WiringError, match=f"has MTU {most + 1}.* {NIC} "):
        plain.plug("one", vif)
    plain.unplug(vif.devname)
    assert set(links(netns)) == before
    assert "master" not in links(netns)[NIC]
    if kind != "vlan":
        plain.plug("one", replace(vif, mtu=most))
        plain.unplug(vif.devname)
        assert set(links(netns)) == before


@pytest.mark.parametrize("mtu", [1280, 1500, 9000])
def test_a_bridge_keeps_its_mtu(plain: Links, netns: str, make_vif: Callable[..., Vif], mtu: int) -> None:
    """By itself it has the least of its links', whoever puts one in."""
    vif = replace(make_vif(), mtu=mtu)
    plain.plug("one", vif)
    ip(netns, "link", "set", "far", "mtu", "1000")
    ip(netns, "link", "set", "far", "master", vif.bridge)
    assert links(netns)[vif.bridge]["mtu"] == mtu
    ip(netns, "link", "set", vif.bridge, "mtu", "1111")
    plain.plug("one", vif)
    assert links(netns)[vif.bridge]["mtu"] == mtu
    ip(netns, "link", "set", "far", "nomaster")
    plain.unplug(vif.devname)


def test_what_is_wrong_with_a_tap_is_said_and_plug_mends_it(
    plain: Links, netns: str, make_vif: Callable[..., Vif]
) -> None:
    vif, whole = replace(make_vif(), network_type="vxlan", segmentation_id=77), make_vif(1)
    before = set(links(netns))
    plain.plug("one", vif)
    plain.plug("two", whole)

    def fault() -> str:
        found = {tap.name: tap.fault for tap in plain.list_taps()}
        assert found[whole.devname] == ""
        return found[vif.devname]

    for words, said in (
        (("set", vif.devname, "down"), "it is down"),
        (("set", vif.devname, "nomaster"), f"it is not in its bridge {vif.bridge}"),
        (("set", vif.devname, "master", whole.bridge), f"it is not in its bridge {vif.bridge}"),
        (("set", vif.bridge, "down"), f"its bridge {vif.bridge} is down"),
        (("set", "vxlan-77", "down"), f"{vif.bridge}'s uplink vxlan-77 is down"),
        (("set", "vxlan-77", "nomaster"), f"{vif.bridge}'s uplink vxlan-77 is not in it"),
        (("del", "vxlan-77"), f"{vif.bridge}'s uplink vxlan-77 is gone"),
        (("del", vif.bridge), f"its bridge {vif.bridge} is gone"),
    ):
        ip(netns, "link", *words)
        assert fault() == said
        plain.plug("one", vif)
        assert fault() == ""
    ip(netns, "link", "set", vif.devname, "nomaster", "down")
    assert fault() == f"it is down; it is not in its bridge {vif.bridge}"
    ip(netns, "link", "del", vif.bridge)
    ip(netns, "link", "add", vif.bridge, "type", "bridge")
    assert fault() == f"it is down; its bridge {vif.bridge} is not ours"
    ip(netns, "link", "del", vif.bridge)
    ip(netns, "link", "del", "vxlan-77")
    for one in (vif, whole):
        plain.unplug(one.devname)
    assert set(links(netns)) == before


def hammer(host: Host, state: Path, vif: Vif, times: int) -> None:
    links = Links(host, state, "ours")
    for _ in range(times):
        links.plug(vif.port_id, vif)
        assert Wired(vif.devname, of=vif.port_id, joined=False) in links.list_taps()
        links.unplug(vif.devname)


def test_processes_at_one_bridge(host: Host, netns: str, tmp_path: Path, make_vif: Callable[..., Vif]) -> None:
    before = set(links(netns))
    bridge = f"brq{uuid.uuid4()}"[:14]
    vifs = [replace(make_vif(slot), bridge=bridge) for slot in range(4)]
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=hammer, args=(host, tmp_path, vif, 10)) for vif in vifs]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(PATIENCE)
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert set(links(netns)) == before


def test_nics_are_those_by_which_a_network_could_leave(plain: Links, netns: str, make_vif: Callable[..., Vif]) -> None:
    ip(netns, "link", "set", "lo", "up")
    assert plain.nics() == [NIC]
    ip(netns, "link", "set", "far", "up")
    plain.plug("one", make_vif())
    assert plain.nics() == [NIC, "far"]
    ip(netns, "link", "add", "br-x", "type", "bridge")
    ip(netns, "link", "set", "br-x", "up")
    ip(netns, "link", "set", "far", "master", "br-x")
    ip(netns, "link", "set", NIC, "master", "br-x")
    assert plain.nics() == [NIC]
