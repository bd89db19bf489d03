"""Ports and networks that are administratively down pass no packet; a port's status says what it does."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from msgspec.structs import replace

from slipway.drivers.wiring.linuxbridge.namespace import inside
from slipway.model.network import Port
from slipway.networks import Networks
from slipway.orchestrator import Orchestrator
from slipway.runfile import loads
from tests.host.hosts import NetworkHost
from tests.host.lan import arp

pytestmark = pytest.mark.host

_TUNSETIFF, _TAP_AS_QEMU = 0x400454CA, 0x0002 | 0x1000 | 0x4000
_HEADER = 10
"""Bytes of the virtio header before each frame."""


@dataclass
class Nic:
    """What a guest has at its tap: frames go in and come out as with QEMU."""

    file: int
    port: Port

    @property
    def address(self) -> str:
        return self.port.fixed_ips[0].ip_address

    def send(self, frame: bytes) -> None:
        os.write(self.file, bytes(_HEADER) + frame)

    def hears(self, frame: bytes, within: float) -> bool:
        give_up = time.monotonic() + within
        while select.select([self.file], [], [], max(0.0, give_up - time.monotonic()))[0]:
            if os.read(self.file, 2000)[_HEADER:].startswith(frame[:42]):
                return True
        return False


@dataclass
class Pair:
    slipway: Orchestrator
    one: Nic
    two: Nic
    network_id: str

    @property
    def network(self) -> Networks:
        return self.slipway.network

    def passes(self) -> tuple[bool, bool]:
        """Whether a question of each arrives at the other."""
        return self._arrives(self.one, self.two), self._arrives(self.two, self.one)

    def _arrives(self, sender: Nic, receiver: Nic) -> bool:
        for wait in (0.3, 0.7):
            # The first frame after a link has come up may be lost.
            frame = arp(sender.port.mac_address, sender.address, target=receiver.address)
            sender.send(frame)
            if receiver.hears(frame, wait):
                return True
        return False

    def status(self) -> list[str]:
        return [self.network.show_port(nic.port.id).status for nic in (self.one, self.two)]


def file_of(netns: str, security: str = "") -> str:
    return f"""
schema: 1
hosts: {{{netns}: {{vcpus: 8, memory: 8GiB, disk: 1TiB, wiring: linuxbridge, netns: {netns}}}}}
networks:
  net: {{{security}subnets: {{v4: {{cidr: 10.9.0.0/24}}}}, ports: {{a: {{}}, b: {{}}}}}}
flavors: {{small: {{vcpus: 1, memory: 512MiB, disk: 1GiB}}}}
images: {{tiny: {{path: ./tiny.qcow2, format: qcow2}}}}
instances:
  one: {{flavor: small, image: tiny, networks: [{{port: a}}]}}
  two: {{flavor: small, image: tiny, networks: [{{port: b}}]}}
"""


Build = Callable[..., Pair]


@pytest.fixture
def build(netns: str, tmp_path: Path) -> Iterator[Build]:
    """Builds the two, after `first` was done with the networks."""
    with ExitStack() as stack:
        stack.callback(NetworkHost(netns).clear)

        def nic(slipway: Orchestrator, name: str) -> Nic:
            (port,) = slipway.network.list_ports(name=name)
            with inside(netns):
                file = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            stack.callback(os.close, file)
            with inside(netns):
                fcntl.ioctl(file, _TUNSETIFF, struct.pack("16sH22x", f"tap{port.id}"[:14].encode(), _TAP_AS_QEMU))
            return Nic(file, port)

        def make(security: str = "", first: Callable[[Networks], object] = lambda _: None) -> Pair:
            slipway = stack.enter_context(Orchestrator(tmp_path / "state"))
            file = loads(file_of(netns, security), "admin.yaml")
            slipway.run(replace(file, instances=()))
            first(slipway.network)
            assert [ended.status.value for ended in slipway.run(file).ended] == ["built"] * 2
            stack.callback(slipway.destroy, file)
            return Pair(slipway, nic(slipway, "a"), nic(slipway, "b"), slipway.network.list_networks()[0].id)

        yield make


def test_a_port_that_is_down_passes_nothing_until_it_is_up(build: Build) -> None:
    pair = build()
    assert pair.passes() == (True, True)
    assert pair.status() == ["ACTIVE", "ACTIVE"]
    assert pair.network.update_port(pair.two.port.id, admin_state_up=False).status == "DOWN"
    assert pair.passes() == (False, False)
    assert pair.status() == ["ACTIVE", "DOWN"]
    assert pair.slipway.audit() == ()
    pair.slipway.reboot("two", force=True)
    assert pair.passes() == (False, False)
    assert pair.status() == ["ACTIVE", "DOWN"]
    pair.network.update_port(pair.two.port.id, admin_state_up=True)
    assert pair.passes() == (True, True)
    assert pair.status() == ["ACTIVE", "ACTIVE"]


def test_a_network_that_is_down_passes_nothing_until_it_is_up(build: Build) -> None:
    pair = build()
    pair.network.update_network(pair.network_id, admin_state_up=False)
    assert pair.passes() == (False, False)
    assert pair.status() == ["DOWN", "DOWN"]
    assert pair.slipway.audit() == ()
    pair.network.update_network(pair.network_id, admin_state_up=True)
    assert pair.passes() == (True, True)
    assert pair.status() == ["ACTIVE", "ACTIVE"]


@pytest.mark.parametrize("security", ["", "port_security_enabled: false, "])
def test_what_is_down_before_the_build_passes_nothing(build: Build, security: str) -> None:
    def down(network: Networks) -> None:
        network.update_port(network.list_ports(name="b")[0].id, admin_state_up=False)

    pair = build(security, down)
    assert pair.passes() == (False, False)
    assert pair.status() == ["ACTIVE", "DOWN"]
    pair.network.update_port(pair.two.port.id, admin_state_up=True)
    assert pair.passes() == (True, True)
    pair.network.update_port(pair.one.port.id, admin_state_up=False)
    assert pair.passes() == (False, False)


def test_instances_on_a_network_that_is_down_are_built_and_wait(build: Build) -> None:
    pair = build(first=lambda network: network.update_network(network.list_networks()[0].id, admin_state_up=False))
    assert pair.passes() == (False, False)
    pair.network.update_network(pair.network_id, admin_state_up=True)
    assert pair.passes() == (True, True)


def test_a_ports_status_follows_its_instance(build: Build) -> None:
    pair = build()
    (server,) = pair.network.list_ports(device_owner="network:dhcp")
    assert server.status == "ACTIVE"
    pair.slipway.stop("two", force=True)
    assert pair.status() == ["ACTIVE", "DOWN"]
    assert [port.name for port in pair.network.list_ports(status="ACTIVE", device_owner="compute:nova")] == ["a"]
    pair.slipway.start("two")
    assert pair.status() == ["ACTIVE", "ACTIVE"]
    pair.slipway.delete("two")
    assert pair.status() == ["ACTIVE", "DOWN"]
