"""Packets over VLANs. Run where the kernel has 8021q, by test_debian_kernel.py; not collected elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from slipway.drivers.wiring.linuxbridge.links import Links
from slipway.model.machine import Vif
from slipway.model.request import Host
from tests.host import lan as net
from tests.host.hosts import NIC
from tests.host.lan import Lan, pings

pytestmark = pytest.mark.kernel

MakeVif = Callable[..., Vif]


def plug(host: Host, state: Path, vif: Vif, vlan: int) -> None:
    Links(host, state, "ours").plug("i", replace(vif, network_type="vlan", segmentation_id=vlan))


def test_guests_of_two_hosts_hear_those_of_their_own_vlan_only(lan: Lan, make_vif: MakeVif, tmp_path: Path) -> None:
    names = [lan.namespace(name) for name in ("one", "two")]
    net.ip("-n", names[0], "link", "add", NIC, "type", "veth", "peer", "name", NIC, "netns", names[1])
    for name in names:
        net.ip("-n", name, "link", "set", NIC, "up")
    one, two = (Host(name, 1, 1, 1, netns=name, physical_nic=NIC) for name in names)
    ours, others = make_vif(), make_vif(1)
    plug(one, tmp_path, ours, 77)
    plug(two, tmp_path, ours, 77)
    plug(two, tmp_path, others, 78)
    here, there = (lan.guest(host, network_id=ours.network_id) for host in (one, two))
    apart = lan.guest(two, network_id=others.network_id)
    for version in (4, 6):
        assert pings(here, there, version)
        assert not pings(here, apart, version)
