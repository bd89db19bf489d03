"""What all renderers of a real cloud-init make of the network config on a seed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from msgspec.structs import replace

from examples.real.guest import unpack
from slipway.drivers.disk.network_config import network_config
from slipway.drivers.disk.network_data import network_data
from slipway.drivers.files import locked
from slipway.model.machine import Vif
from slipway.model.network import HostRoute
from tests.drivers.test_cloudinit import DHCP, STATIC, subnet, vif

pytestmark = pytest.mark.host

PREFIX = "2001:db8:1::/64"
SLAAC = subnet("slaac", PREFIX, ipv6_ra_mode="slaac", ipv6_address_mode="slaac", dns_nameservers=("fd00::53",))
STATELESS = subnet("less", PREFIX, ipv6_ra_mode="dhcpv6-stateless", ipv6_address_mode="dhcpv6-stateless")
STATEFUL = subnet("full", PREFIX, ipv6_ra_mode="dhcpv6-stateful", ipv6_address_mode="dhcpv6-stateful")
EVERYWHERE = subnet("static6", PREFIX, enable_dhcp=False, host_routes=(HostRoute("::/0", "2001:db8:1::7"),))
OWN = "2001:db8:1::f816:3eff:fe00:0"

Render = Callable[..., dict[str, str]]
"""What each renderer writes for these NICs."""

RENDER = """
import json, pathlib, sys, tempfile
sys.path.insert(0, sys.argv[1])
from cloudinit import subp
from cloudinit.distros.rhel import Distro
from cloudinit.net import eni, netplan, network_manager, network_state, networkd, sysconfig

subp.subp = lambda *_, **__: ("", "")
config, said = json.load(sys.stdin), {}
for renderer in (eni, sysconfig, netplan, networkd, network_manager):
    name, root = renderer.__name__.rpartition(".")[2], tempfile.mkdtemp()
    made = renderer.Renderer(Distro.renderer_configs.get(name, {}))
    made.render_network_state(network_state.parse_net_config_data(config, renderer=made), target=root)
    files = sorted(path for path in pathlib.Path(root).rglob("*") if path.is_file() and "udev" not in str(path))
    said[name] = "\\n".join(path.read_text() for path in files)
json.dump(said, sys.stdout)
"""


@pytest.fixture(scope="session")
def cloud_init(pytestconfig: pytest.Config) -> Path:
    """Its modules; the package is downloaded once for all runs from this checkout, and not installed."""
    pytest.importorskip("configobj", reason="cloud-init needs configobj")
    directory = pytestconfig.cache.mkdir("cloud-init")
    with locked(directory):
        found = directory / "cloud-init"
        if not found.exists():
            found = unpack("cloud-init", directory)
    return found / "usr/lib/python3/dist-packages"


@pytest.fixture
def render(cloud_init: Path) -> Render:
    def run(*vifs: Vif) -> dict[str, str]:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", RENDER, str(cloud_init)],
            input=json.dumps(network_config(vifs)),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, str] = json.loads(done.stdout)
        return found

    return run


@pytest.mark.parametrize(
    ("on", "eni", "sysconfig"),
    [
        (SLAAC, "iface eth0 inet6 auto\n    dns-nameservers fd00::53\n    dhcp 0\n", "IPV6_AUTOCONF=yes\n"),
        (STATELESS, "iface eth0 inet6 auto\n    dhcp 1\n", "DHCPV6C=yes\nDHCPV6C_OPTIONS=-S\n"),
        (STATEFUL, "iface eth0 inet6 dhcp\n", "DHCPV6C=yes\n"),
    ],
    ids=["slaac", "stateless", "stateful"],
)
def test_a_nic_with_nothing_but_ipv6_comes_up(render: Render, on: object, eni: str, sysconfig: str) -> None:
    said = render(vif(0, (on, OWN)))  # type: ignore[arg-type]
    assert f"auto eth0\n{eni}" in said["eni"]
    assert sysconfig in said["sysconfig"]
    assert "IPV6INIT=yes\n" in said["sysconfig"]
    assert "ONBOOT=yes\n" in said["sysconfig"]
    assert "accept-ra: true" in said["netplan"]
    assert "method=auto" in said["network_manager"].partition("[ipv6]")[2]
    # Advertisements are heeded unless it is told not to.
    assert "IPv6AcceptRA=false" not in said["networkd"]
    assert "MACAddress=fa:16:3e:00:00:00\nName=eth0\n" in said["networkd"]


def test_beside_others_slaac_takes_nothing_from_them(render: Render) -> None:
    said = render(vif(0, (STATIC, "10.1.0.5"), (SLAAC, OWN)), vif(1, (DHCP, "10.0.0.5")))
    for words in (
        "iface eth0 inet static\n    address 10.1.0.5/16\n",
        "gateway 10.1.0.1\n",
        "172.16.0.0/12",
        "iface eth0 inet6 auto",
        "auto eth1\niface eth1 inet dhcp",
    ):
        assert words in said["eni"]
    for renderer, words in (
        ("sysconfig", "GATEWAY=10.1.0.1"),
        ("netplan", "gateway4: 10.1.0.1"),
        ("networkd", "Gateway=10.1.0.1"),
        ("network_manager", "gateway=10.1.0.1"),
    ):
        assert words in said[renderer]
        assert "9.9.9.9" in said[renderer]


def test_a_route_to_everywhere(render: Render) -> None:
    said = render(vif(0, (EVERYWHERE, "2001:db8:1::5")))
    for renderer, words in (
        ("eni", "gateway 2001:db8:1::7"),
        ("sysconfig", "IPV6_DEFAULTGW=2001:db8:1::7"),
        ("netplan", "gateway6: 2001:db8:1::7"),
        ("networkd", "Gateway=2001:db8:1::7"),
        ("network_manager", "gateway=2001:db8:1::7"),
    ):
        assert words in said[renderer]
        assert "/64,2001" not in said[renderer]


def test_a_gateway_outside_the_subnet(render: Render) -> None:
    off = replace(STATIC, gateway_ip="192.0.2.1"), replace(EVERYWHERE, gateway_ip="fd00::1", host_routes=())
    said = render(vif(0, (off[0], "10.1.0.5"), (off[1], "2001:db8:1::5")))
    # The others drop `on-link`; none of them may fail over it.
    netplan = yaml.safe_load(said["netplan"])["network"]["ethernets"]["eth0"]
    assert {"to": "0.0.0.0/0", "via": "192.0.2.1", "on-link": True} in netplan["routes"]
    assert {"to": "::/0", "via": "fd00::1", "on-link": True} in netplan["routes"]
    assert not {"gateway4", "gateway6"} & set(netplan)
    for renderer in said:
        assert "192.0.2.1" in said[renderer]


CONVERT = """
import json, sys
sys.path.insert(0, sys.argv[1])
from cloudinit.sources.helpers.openstack import convert_net_json

macs = {"fa:16:3e:00:00:00": "eth0", "fa:16:3e:00:00:01": "eth1"}
json.dump(convert_net_json(json.load(sys.stdin), known_macs=macs), sys.stdout)
"""


def test_a_config_drives_networks_are_understood(cloud_init: Path) -> None:
    data = network_data([vif(0, (DHCP, "10.0.0.5"), (SLAAC, OWN)), vif(1, (STATIC, "10.1.0.5"), (STATEFUL, OWN))])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CONVERT, str(cloud_init)],
        input=json.dumps(data),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["config"]
    nics = {nic["name"]: nic for nic in found if nic["type"] == "physical"}
    kinds = {name: [(one["type"], one.get("address")) for one in nic["subnets"]] for name, nic in nics.items()}
    assert kinds == {
        "eth0": [("dhcp4", None), ("ipv6_slaac", None)],
        "eth1": [("static", "10.1.0.5"), ("ipv6_dhcpv6-stateful", None)],
    }
    assert nics["eth0"]["mtu"] == 1450
    routes = nics["eth1"]["subnets"][0]["routes"]
    assert [(one["network"], one["gateway"]) for one in routes] == [("172.16.0.0", "10.1.0.9")]
