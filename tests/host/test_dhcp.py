"""DHCP servers: dnsmasq in namespaces, and guests that ask it."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import socket
import stat
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from slipway.drivers.wiring.linuxbridge.dhcp.servers import DhcpServers
from slipway.drivers.wiring.linuxbridge.namespace import exists, inside
from slipway.errors import InvalidInput, WiringError
from slipway.model.machine import Vif
from slipway.model.network import DhcpOption, FixedIp, HostRoute, Port, Subnet
from slipway.model.request import Host
from tests.host.dhcpclients import Client, client, ip
from tests.waiting import until

pytestmark = pytest.mark.host


def subnet(network: str, **says: object) -> Subnet:
    v6 = says.get("ip_version") == 6
    text: dict[str, object] = {"cidr": "fd00:9::/64" if v6 else "10.9.0.0/24", "gateway_ip": None if v6 else "10.9.0.1"}
    return Subnet(**{"id": "s6" if v6 else "s4", "name": "", "network_id": network, "project_id": "p",
                     "ip_version": 4, "allocation_pools": (), **text, **says})  # type: ignore[arg-type]  # fmt: skip


class World:
    """A network's bridge on a host, and its DHCP servers."""

    def __init__(self, netns: str, tmp_path: Path, network: str | None = None, host: str = "node-1") -> None:
        self.netns = netns
        self.state = tmp_path / "state"
        self.scratch = tmp_path
        self.network = network or str(uuid.uuid4())
        self.bridge = f"brq{self.network}"[:14]
        self.servers = DhcpServers(Host(host, 1, 1, 1, netns=netns), self.state, "one")
        self.subnets: tuple[Subnet, ...] = (subnet(self.network),)
        self.server = self.port("02:5c:00:00:00:fe", s4="10.9.0.2", s6="fd00:9::2")
        ip("link", "add", self.bridge, "type", "bridge", netns=netns)
        ip("link", "set", self.bridge, "up", netns=netns)

    def port(self, mac: str, **addresses: str) -> Port:
        fixed = tuple(FixedIp(name, address) for name, address in addresses.items())
        return Port(str(uuid.uuid4()), "", self.network, "p", mac, fixed)

    def vif(self, number: int, *options: DhcpOption, **addresses: str) -> Vif:
        fixed = addresses or {"s4": f"10.9.0.{10 + number}"}
        port = self.port(f"02:5c:00:00:00:{number:02x}", **fixed)
        return Vif(
            port_id=port.id, network_id=self.network, network_name="net", mac_address=port.mac_address,
            devname=f"tap{port.id}"[:14], bridge=self.bridge, mtu=1450, vif_type="bridge", vnic_type="normal",
            fixed_ips=port.fixed_ips, subnets=tuple(s for s in self.subnets if s.id in fixed), active=False,
            preserve_on_delete=False, dhcp_options=options,
        )  # fmt: skip

    def serve(self, vif: Vif) -> Vif:
        self.servers.serve("instance", vif, self.server)
        return vif

    def withdraw(self, vif: Vif) -> None:
        self.servers.withdraw(self.network, vif.port_id)

    def served(self) -> tuple[str, ...]:
        """The ports with which nothing is wrong."""
        return tuple(wired.name for wired in self.servers.list() if not wired.fault)

    def client(self, vif: Vif) -> AbstractContextManager[Client]:
        return client(self.netns, self.bridge, vif.mac_address, self.scratch)

    @property
    def directory(self) -> Path:
        return self.state / "dhcp" / "node-1" / self.network

    def configuration(self) -> str:
        return (self.directory / "dnsmasq.conf").read_text()

    def processes(self) -> dict[str, list[int]]:
        """Those that have the network's directory in their command line: dnsmasq and its supervisor."""
        found: dict[str, list[int]] = {"dnsmasq": [], "supervisor": []}
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().split(b"\0")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if any(self.network.encode() in word for word in words):
                found["dnsmasq" if words[0] == b"dnsmasq" else "supervisor"].append(int(path.parent.name))
        return found

    def namespace(self) -> str:
        [name] = [line.split()[0] for line in ip("netns").splitlines() if self.network in line]
        return name

    def left(self) -> list[str]:
        """What there is of servers."""
        links = [word for word in ip("-o", "link", netns=self.netns).split() if word.startswith(("tap", "ns-"))]
        spaces = [line for line in ip("netns").splitlines() if self.network in line]
        files = [str(path) for path in self.state.rglob("*") if path.is_file() or self.network in path.name]
        return links + spaces + files + [name for name, pids in self.processes().items() if pids]


@pytest.fixture
def world(netns: str, tmp_path: Path) -> Iterator[World]:
    world = World(netns, tmp_path)
    yield world
    for wired in world.servers.list():
        world.servers.withdraw(world.network, wired.name)
    for pids in world.processes().values():
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
    assert not world.left() or not world.served()


def test_a_guest_gets_what_the_record_says(world: World) -> None:
    routes = (HostRoute("10.1.0.0/16", "10.9.0.7"),)
    world.subnets = (subnet(world.network, dns_nameservers=("9.9.9.9", "fd00::9"), host_routes=routes),)
    vif = world.serve(world.vif(1))
    with world.client(vif) as guest:
        told = guest.ask("121", "249", "26")
    assert told["ip"] == "10.9.0.11"
    assert told["mask"] == "24"
    assert told["serverid"] == "10.9.0.2"
    assert told["router"] == "10.9.0.1"
    assert told["dns"] == "9.9.9.9"
    assert told["mtu"] == "1450"
    assert told["lease"] == "86400"
    assert told["staticroutes"] == "10.1.0.0/16 10.9.0.7 0.0.0.0/0 10.9.0.1"
    assert told["msstaticroutes"] == told["staticroutes"]
    [lease] = world.servers.leases(world.network)
    assert (lease.port_id, lease.ip_address) == (vif.port_id, "10.9.0.11")
    assert world.served() == (vif.port_id,)


def test_a_route_to_everywhere_is_the_one_default_route(world: World) -> None:
    routes = (HostRoute("10.1.0.0/16", "10.9.0.7"), HostRoute("0.0.0.0/0", "10.9.0.8"))
    world.subnets = (subnet(world.network, host_routes=routes),)
    with world.client(world.serve(world.vif(1))) as guest:
        told = guest.ask("121")
    assert told["router"] == "10.9.0.8"
    assert told["staticroutes"] == "10.1.0.0/16 10.9.0.7 0.0.0.0/0 10.9.0.8"


def test_a_next_hop_outside_the_subnet_is_on_the_link(world: World) -> None:
    routes = tuple(HostRoute(f"10.{number}.255.0/32", f"198.51.100.{number + 100}") for number in range(10, 30))
    world.subnets = (subnet(world.network, gateway_ip="192.0.2.1", host_routes=routes),)
    with world.client(world.serve(world.vif(1))) as guest:
        told = guest.ask("121")
    assert told["router"] == "192.0.2.1"
    words = told["staticroutes"].split()
    assert list(zip(words[::2], words[1::2], strict=True)) == [
        ("192.0.2.1/32", "0.0.0.0"),
        *((f"{route.nexthop}/32", "0.0.0.0") for route in routes[:5]),
        *((route.destination, route.nexthop) for route in routes),
        ("0.0.0.0/0", "192.0.2.1"),
    ]


def test_without_a_gateway_no_router_is_named(world: World) -> None:
    world.subnets = (subnet(world.network, gateway_ip=None),)
    vif = world.serve(world.vif(1))
    with world.client(vif) as guest:
        told = guest.ask()
    assert told["ip"] == "10.9.0.11"
    assert "router" not in told


@pytest.mark.parametrize(
    ("says", "routes"),
    [
        ({}, ""),
        ({"host_routes": (HostRoute("10.1.0.0/16", "10.9.0.7"),)}, "10.1.0.0/16 10.9.0.7"),
        ({"host_routes": (HostRoute("0.0.0.0/0", "10.9.0.8"),)}, ""),
        ({"gateway_ip": "192.0.2.1"}, ""),
    ],
)  # fmt: skip
def test_a_port_that_is_told_of_no_router_gets_no_default_route(
    world: World, says: dict[str, Any], routes: str
) -> None:
    world.subnets = (subnet(world.network, **says),)
    second, other = world.serve(world.vif(1, DhcpOption("router", ""))), world.serve(world.vif(2))
    with world.client(second) as guest, world.client(other) as neighbour:
        told = guest.ask("121", "249", "26")
        assert (told["ip"], told["mtu"]) == ("10.9.0.11", "1450")
        assert "router" not in told
        assert (told.get("staticroutes", ""), told.get("msstaticroutes", "")) == (routes, routes)
        assert "router" in neighbour.ask("121")


def test_unknown_guests_get_nothing(world: World) -> None:
    world.serve(world.vif(1))
    with world.client(world.vif(2)) as stranger:
        assert stranger.ask(seconds=2) == {}
    assert world.servers.leases(world.network) == ()


def test_options_of_the_port(world: World) -> None:
    options = (
        DhcpOption("tftp-server", "10.9.0.5"),
        DhcpOption("bootfile-name", "pxe/a b,c#d.0"),
        DhcpOption("150", "10.9.0.6,10.9.0.7"),
        DhcpOption("router", "10.9.0.254"),
        DhcpOption("server-ip-address", "10.9.0.8"),
    )
    vif, other = world.serve(world.vif(1, *options)), world.serve(world.vif(2))
    with world.client(vif) as guest, world.client(other) as neighbour:
        told = guest.ask("66", "67", "150")
        assert told["siaddr"] == "10.9.0.8"
        assert told.get("tftp", told.get("sname")) == "10.9.0.5"
        assert told.get("bootfile", told.get("boot_file")) == "pxe/a b,c#d.0"
        assert told["opt150"] == "0a0900060a090007"
        assert told["router"] == "10.9.0.254"
        assert neighbour.ask("150")["router"] == "10.9.0.1"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bootfile-name", "a\ndhcp-script=/bin/sh"),
        ("bootfile-name", "a\r"),
        ("bootfile-name", "a\x85b"),
        ("bootfile-name", 'a"b'),
        ("bootfile-name", "a\\nb"),
        ("bootfile-name", "a #b"),
        ("bootfile-name", "é" * 600),
        ("bootfile-name", "a" * 1010 + "dhcp-script=/bin/sh"),
        ("router,tag:other", "1.2.3.4"),
        ("6\nport=53", "1.2.3.4"),
        ("no-such-option", "1"),
        ("router", "not an address"),
        ("999", "1"),
        ("", "1"),
    ],
)
def test_hostile_options_are_refused(world: World, name: str, value: str) -> None:
    first = world.serve(world.vif(1))
    before = world.configuration(), world.processes()
    with pytest.raises(InvalidInput, match=r"^extra_dhcp_opts: "):
        world.serve(world.vif(2, DhcpOption(name, value)))
    assert (world.configuration(), world.processes()) == before
    assert world.served() == (first.port_id,)


def test_an_address_that_is_used_again_has_no_stale_lease(world: World) -> None:
    keeper, old = world.serve(world.vif(1)), world.serve(world.vif(2))
    with world.client(keeper) as neighbour, world.client(old) as guest:
        assert neighbour.ask()["ip"] == "10.9.0.11"
        assert guest.ask()["ip"] == "10.9.0.12"
    world.withdraw(old)
    assert "10.9.0.12" not in world.configuration() + (world.directory / "leases").read_text()
    assert [lease.port_id for lease in world.servers.leases(world.network)] == [keeper.port_id]
    new = world.serve(world.vif(3, s4="10.9.0.12"))
    with world.client(new) as guest:
        assert guest.ask()["ip"] == "10.9.0.12"
    with world.client(old) as guest:
        assert guest.ask(seconds=1) == {}


def test_other_addresses_take_the_place_of_the_first(world: World) -> None:
    vif = world.serve(world.vif(1))
    with world.client(vif) as guest:
        assert guest.ask()["ip"] == "10.9.0.11"
        world.serve(replace(vif, fixed_ips=(FixedIp("s4", "10.9.0.77"),)))
        assert guest.ask()["ip"] == "10.9.0.77"
        taker = world.serve(world.vif(2, s4="10.9.0.11"))
    with world.client(taker) as guest:
        assert guest.ask()["ip"] == "10.9.0.11"


def test_serving_twice_is_once(world: World) -> None:
    vif = world.serve(world.vif(1))
    before = world.configuration(), world.processes(), world.directory.joinpath("status").read_text()
    world.serve(vif)
    assert (world.configuration(), world.processes(), world.directory.joinpath("status").read_text()) == before


def test_dnsmasq_that_dies_comes_back(world: World) -> None:
    vif = world.serve(world.vif(1))

    def another(pid: int) -> bool:
        return bool(world.served()) and world.processes()["dnsmasq"] not in ([pid], [])

    for _ in range(2):
        [pid] = world.processes()["dnsmasq"]
        os.kill(pid, signal.SIGKILL)
        until(partial(another, pid), "another dnsmasq")
    with world.client(vif) as guest:
        assert guest.ask()["ip"] == "10.9.0.11"


def test_a_server_without_its_supervisor_is_mended(world: World) -> None:
    vif = world.serve(world.vif(1))
    for name in ("supervisor", "dnsmasq"):
        # Either alone: the one that is left must not be in the way.
        for pid in world.processes()["supervisor"] + (world.processes()["dnsmasq"] if name == "dnsmasq" else []):
            os.kill(pid, signal.SIGKILL)
        until(lambda: world.served() == (), "nobody's being served")
        world.serve(vif)
        assert [len(pids) for pids in world.processes().values()] == [1, 1]
        assert world.served() == (vif.port_id,)
    with world.client(vif) as guest:
        assert guest.ask()["ip"] == "10.9.0.11"


def test_a_supervisor_that_fails_takes_its_server_with_it(world: World) -> None:
    vif = world.serve(world.vif(1))
    in_the_way = world.directory / "status.new"
    in_the_way.mkdir()
    [pid] = world.processes()["dnsmasq"]
    os.kill(pid, signal.SIGKILL)
    until(lambda: not any(world.processes().values()), "the end of both")
    in_the_way.rmdir()
    world.serve(vif)
    assert world.served() == (vif.port_id,)


def test_links_that_were_lost_are_mended(world: World) -> None:
    vif = world.serve(world.vif(1))
    ip("link", "del", f"tap{world.server.id}"[:14], netns=world.netns)
    world.serve(vif)
    ip("link", "set", f"tap{world.server.id}"[:14], "nomaster", netns=world.netns)
    world.serve(vif)
    ip("link", "set", f"tap{world.server.id}"[:14], "down", netns=world.netns)
    world.serve(vif)
    with world.client(vif) as guest:
        assert guest.ask()["ip"] == "10.9.0.11"
        ip("netns", "del", world.namespace())
        world.serve(vif)
        assert [len(pids) for pids in world.processes().values()] == [1, 1]
        assert guest.ask()["ip"] == "10.9.0.11"


def test_a_process_that_has_the_id_now_is_let_alone(world: World) -> None:
    vif = world.serve(world.vif(1))
    status = world.directory / "status"
    words = status.read_text().split(" ")
    for pids in world.processes().values():
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
    with subprocess.Popen(["sleep", "60"]) as other:
        began = Path(f"/proc/{other.pid}/stat").read_text().split(" ")[21]
        status.write_text(" ".join([str(other.pid), began, str(other.pid), began, *words[4:]]))
        assert world.served() == ()
        world.serve(vif)
        assert world.served() == (vif.port_id,)
        world.withdraw(vif)
        assert other.poll() is None
        other.kill()


def test_all_is_gone_with_the_last_port(world: World) -> None:
    one, two = world.serve(world.vif(1)), world.serve(world.vif(2))
    assert "slipway:one:dhcp" in ip("link", "show", f"tap{world.server.id}"[:14], netns=world.netns)
    world.withdraw(one)
    assert world.served() == (two.port_id,)
    world.withdraw(two)
    world.withdraw(two)
    world.servers.withdraw(str(uuid.uuid4()), two.port_id)
    assert world.left() == []


def test_what_was_half_done_is_withdrawn(world: World) -> None:
    """The record comes first: wherever a process was killed, withdrawing finds what it had made."""
    vif = world.vif(1)
    ip("link", "del", world.bridge, netns=world.netns)
    with pytest.raises(WiringError, match=f"there is no bridge {world.bridge}"):
        world.serve(vif)
    assert world.served() == ()
    world.withdraw(vif)
    assert world.left() == []


def test_after_a_boot_ports_are_withdrawn_and_served_again(world: World) -> None:
    one, two, three = (world.serve(world.vif(number)) for number in (1, 2, 3))
    for pids in world.processes().values():
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
    ip("link", "del", f"tap{world.server.id}"[:14], netns=world.netns)
    ip("netns", "del", world.namespace())
    world.withdraw(one)
    assert world.served() == ()
    world.serve(two)
    assert world.served() == tuple(sorted([two.port_id, three.port_id]))
    with world.client(two) as guest, world.client(one) as stranger:
        assert guest.ask()["ip"] == "10.9.0.12"
        assert stranger.ask(seconds=1) == {}
    world.withdraw(two)
    world.withdraw(three)
    assert world.left() == []


def test_nobody_else_reads_its_files_and_it_is_not_root(world: World) -> None:
    old = os.umask(0)
    try:
        vif = world.serve(world.vif(1))
    finally:
        os.umask(old)
    with world.client(vif) as guest:
        assert guest.ask()
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [world.state, *world.state.rglob("*")]}
    assert {modes.pop(path.name) for path in [world.state, *world.state.rglob("*")] if path.is_dir()} == {0o700}
    assert set(modes.values()) == {0o600}
    [pid] = world.processes()["dnsmasq"]
    assert Path(f"/proc/{pid}").stat().st_uid != 0
    [pid] = world.processes()["supervisor"]
    assert os.getsid(pid) not in (os.getsid(0), os.getpid())
    assert {os.readlink(f"/proc/{pid}/fd/{fd}").split(":")[0] for fd in os.listdir(f"/proc/{pid}/fd")} == {
        "/dev/null",
        "pipe",
    }
    private = [line for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines() if "Private" in line]
    assert sum(int(line.split()[1]) for line in private) < 8192


def test_what_dnsmasq_says_is_in_the_error(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    vif = world.vif(1)
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(world.scratch))
        with pytest.raises(WiringError, match="install dnsmasq-base"):
            world.serve(vif)
    world.serve(vif)
    name = world.namespace()
    world.withdraw(vif)
    ip("netns", "add", name)
    with inside(name):
        taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with taken:
        taken.bind(("0.0.0.0", 67))
        with pytest.raises(WiringError, match="Address already in use"):
            world.serve(vif)
        with pytest.raises(WiringError, match="Address already in use"):
            world.serve(vif)
    until(lambda: world.served() == (vif.port_id,), "another try, by itself")


def test_stateful_dhcpv6(world: World) -> None:
    world.subnets = (
        subnet(world.network),
        subnet(world.network, ip_version=6, ipv6_address_mode="dhcpv6-stateful", ipv6_ra_mode="dhcpv6-stateful",
               dns_nameservers=("fd00::53",)),
    )  # fmt: skip
    option = DhcpOption("bootfile-url", "tftp://[fd00:9::5]/a.efi", 6)
    vif = world.serve(world.vif(1, option, s4="10.9.0.11", s6="fd00:9::11"))
    with world.client(vif) as guest:
        address, told = guest.ask_v6(23, 59)
        assert address == "fd00:9::11"
        assert told[23] == socket.inet_pton(socket.AF_INET6, "fd00::53")
        assert told[59] == b"tftp://[fd00:9::5]/a.efi"
        assert guest.ask()["ip"] == "10.9.0.11"
        leases = {(lease.port_id, lease.ip_address) for lease in world.servers.leases(world.network)}
        assert leases == {(vif.port_id, "10.9.0.11"), (vif.port_id, "fd00:9::11")}
        assert guest.global_addresses() == set(), "the prefix is not for addresses of the guest's own making"
    keeper = world.serve(world.vif(2, s4="10.9.0.12", s6="fd00:9::12"))
    world.withdraw(vif)
    new = world.serve(world.vif(3, s4="10.9.0.11", s6="fd00:9::11"))
    with world.client(new) as guest, world.client(keeper) as neighbour:
        assert guest.ask_v6()[0] == "fd00:9::11"
        assert neighbour.ask_v6()[0] == "fd00:9::12"
    with world.client(vif) as stranger, pytest.raises(TimeoutError):
        stranger.ask_v6(seconds=2)


@pytest.mark.parametrize("mode", ["slaac", "dhcpv6-stateless"])
def test_addresses_that_guests_make_themselves(world: World, mode: str) -> None:
    world.subnets = (
        subnet(world.network, ip_version=6, ipv6_address_mode=mode, ipv6_ra_mode=mode, dns_nameservers=("fd00::53",)),
    )
    vif = world.serve(world.vif(1, s6="fd00:9::5c:ff:fe00:1"))
    with world.client(vif) as guest:
        until(lambda: guest.global_addresses() == {"fd00:9::5c:ff:fe00:1"}, "the guest's address")
        assert "default" not in ip("-6", "route", netns=guest.netns), "the server is no router"
        if mode == "dhcpv6-stateless":
            assert guest.ask_for_information(23)[23] == socket.inet_pton(socket.AF_INET6, "fd00::53")


def test_another_subnet_later(world: World) -> None:
    """A VIF brings the subnets of its own addresses only."""
    more = subnet(world.network, id="s5", cidr="10.8.0.0/24", gateway_ip="10.8.0.1")
    world.server = world.port("02:5c:00:00:00:fe", s4="10.9.0.2", s5="10.8.0.2")
    world.subnets = (*world.subnets, more)
    world.serve(world.vif(1))
    vif = world.serve(world.vif(2, s5="10.8.0.12"))
    with world.client(vif) as guest:
        assert guest.ask()["ip"] == "10.8.0.12"
    world.subnets = (replace(more, id="s9"),)
    with pytest.raises(WiringError, match="has no address in subnet s9"):
        world.serve(world.vif(3, s9="10.8.0.13"))


def test_two_hosts_on_one_machine(world: World, tmp_path: Path) -> None:
    other_netns = f"{world.netns}-2"
    ip("netns", "add", other_netns)
    try:
        other = World(other_netns, tmp_path, world.network, "node-2")
        one, two = world.serve(world.vif(1)), other.serve(other.vif(2))
        with other.client(two) as guest:
            assert guest.ask()["ip"] == "10.9.0.12"
        assert (world.served(), other.served()) == ((one.port_id,), (two.port_id,))
        other.withdraw(two)
        with world.client(one) as guest:
            assert guest.ask()["ip"] == "10.9.0.11"
    finally:
        ip("netns", "del", other_netns)


def test_a_host_that_names_no_namespace_is_where_we_are(world: World) -> None:
    world.servers = DhcpServers(Host("node-1", 1, 1, 1), world.state, "one")
    vif = world.vif(1)
    with inside(world.netns):
        world.serve(vif)
        world.serve(vif)
    assert world.namespace() == f"qdhcp-{world.network}"
    with world.client(vif) as guest:
        assert guest.ask()["ip"] == "10.9.0.11"
    with inside(world.netns):
        world.withdraw(vif)
    assert world.left() == []


def test_many_processes_on_one_network(world: World) -> None:
    """Each serves and withdraws; the last one out ends the server, just before somebody else needs it again."""
    context = multiprocessing.get_context("fork")
    vifs = [world.vif(number) for number in range(1, 5)]
    with context.Pool(len(vifs)) as pool:
        assert pool.starmap(_hammer, [(world, vif, number) for number, vif in enumerate(vifs)]) == [None] * len(vifs)
        assert set(world.served()) == {vif.port_id for vif in vifs}
        assert [len(pids) for pids in world.processes().values()] == [1, 1]
        pool.starmap(World.withdraw, [(world, vif) for vif in vifs])
    assert world.left() == []


def _hammer(world: World, vif: Vif, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(8):
        world.serve(vif)
        assert vif.port_id in world.served()
        if chance.random() < 0.8:
            world.withdraw(vif)
    world.serve(vif)


def test_whoever_is_killed_in_the_middle_leaves_what_can_be_withdrawn(world: World) -> None:
    context = multiprocessing.get_context("fork")
    chance = random.Random(1)
    vifs = [world.vif(number) for number in range(1, 3)]
    for turn in range(12):
        worker = context.Process(target=_hammer, args=(world, vifs[turn % 2], turn))
        worker.start()
        worker.join(chance.uniform(0.01, 0.3))
        worker.kill()
        worker.join()
    keeper = world.serve(world.vif(3))
    assert [len(pids) for pids in world.processes().values()] == [1, 1]
    with world.client(keeper) as guest:
        assert guest.ask()["ip"] == "10.9.0.13"
    for vif in [*vifs, keeper]:
        world.withdraw(vif)
    assert world.left() == []


def test_what_dnsmasq_refuses_takes_nothing_from_the_others(world: World) -> None:
    first = world.serve(world.vif(1))
    before = world.processes()
    world.subnets = (subnet(world.network, ip_version=6, cidr="fd00:9::/56", ipv6_address_mode="dhcpv6-stateful"),)
    with pytest.raises(WiringError, match=r"prefix length must be at least 64 at line .* dhcp-range=set:subnet-s6"):
        world.serve(world.vif(2, s6="fd00:9::11"))
    assert (world.served(), world.processes()) == ((first.port_id,), before)


def test_an_address_is_served_to_one_port(world: World) -> None:
    vif = world.serve(world.vif(1))
    with pytest.raises(WiringError, match=f"10.9.0.11 is served to port {vif.port_id} already"):
        world.serve(world.vif(2, s4="10.9.0.11"))
    assert world.served() == (vif.port_id,)


def test_the_namespace_is_ours(world: World) -> None:
    world.serve(world.vif(1))
    name = world.namespace()
    assert name.startswith(f"qdhcp-{world.network}-")
    assert exists(name)
    assert f"ns-{world.server.id}"[:14] in ip("link", netns=name)
    assert world.server.mac_address in ip("link", netns=name)
