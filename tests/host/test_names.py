"""The DNS of a network: its guests' names both ways, and for all others the host's own name servers."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from msgspec.structs import replace

from slipway.drivers.wiring.linuxbridge.namespace import inside
from slipway.model.hostname import domain_of, names_of
from slipway.model.machine import Vif
from slipway.model.network import Network, Port
from tests.host.dhcpclients import ip
from tests.host.dnsclient import (
    AAAA,
    NO_ERROR,
    NO_SUCH_NAME,
    REFUSED,
    Answer,
    answer,
    message,
    resolve,
    reverse,
)
from tests.host.test_dhcp import World, subnet
from tests.host.test_dhcp import world as world
from tests.waiting import until

pytestmark = pytest.mark.host
SERVER = "10.9.0.2"


def named(vif: Vif, name: str, *, out: bool = False) -> Vif:
    return replace(vif, names=(f"{name}.demo-net", name), domain="demo-net", reaches_out=out)


def serve(world: World, *names: str, out: bool = False) -> list[Vif]:
    return [world.serve(named(world.vif(number), name, out=out)) for number, name in enumerate(names, 1)]


def test_guests_know_each_other_by_name(world: World) -> None:
    world.subnets = (subnet(world.network), subnet(world.network, ip_version=6))
    one = world.serve(named(world.vif(1, s4="10.9.0.11", s6="fd00:9::11"), "web-1"))
    world.serve(named(world.vif(2, s4="10.9.0.12"), "web-2"))
    with world.client(one) as guest:
        told = guest.ask("15")
        assert (told["dns"], told["domain"]) == (SERVER, "demo-net")
        ip("address", "add", "10.9.0.11/24", "dev", "eth0", netns=guest.netns)
        ip("address", "add", "fd00:9::11/64", "dev", "eth0", "nodad", netns=guest.netns)
        for server in (SERVER, "fd00:9::2"):
            assert resolve(guest.netns, server, "web-1") == Answer(NO_ERROR, ("10.9.0.11",))
            assert resolve(guest.netns, server, "WEB-2.demo-net") == Answer(NO_ERROR, ("10.9.0.12",))
            assert resolve(guest.netns, server, "web-1.demo-net", AAAA) == Answer(NO_ERROR, ("fd00:9::11",))
            # It is there, and has no such address: a resolver that is told so asks nobody else.
            assert resolve(guest.netns, server, "web-2.demo-net", AAAA) == Answer(NO_ERROR, ())
        assert resolve(guest.netns, SERVER, "web-1", stream=True) == Answer(NO_ERROR, ("10.9.0.11",))
        assert reverse(guest.netns, SERVER, "10.9.0.12") == Answer(NO_ERROR, ("web-2.demo-net",))
        assert reverse(guest.netns, SERVER, "fd00:9::11") == Answer(NO_ERROR, ("web-1.demo-net",))
        assert reverse(guest.netns, SERVER, "10.9.0.99") == Answer(NO_SUCH_NAME, ())
        assert resolve(guest.netns, SERVER, "web-9.demo-net") == Answer(NO_SUCH_NAME, ())
        assert resolve(guest.netns, SERVER, "web-9") == Answer(NO_SUCH_NAME, ())
        assert resolve(guest.netns, SERVER, "www.example.org") == Answer(REFUSED, ())
        address = guest.ask_v6(23, 24)[1]
        assert address[23] == socket.inet_pton(socket.AF_INET6, "fd00:9::2")
        assert address[24] == b"\x08demo-net\0"


def test_names_follow_those_who_are_served(world: World) -> None:
    one, two = serve(world, "web-1", "web-1")
    with world.client(one) as guest:
        ip("address", "add", "10.9.0.11/24", "dev", "eth0", netns=guest.netns)
        assert resolve(guest.netns, SERVER, "web-1").said == ("10.9.0.11", "10.9.0.12")
        world.servers.refresh([named(two, "db")], world.server)
        assert resolve(guest.netns, SERVER, "web-1").said == ("10.9.0.11",)
        assert reverse(guest.netns, SERVER, "10.9.0.12").said == ("db.demo-net",)
        world.withdraw(two)
        assert resolve(guest.netns, SERVER, "db") == Answer(NO_SUCH_NAME, ())


def test_name_servers_that_a_subnet_names_are_told_in_its_place(world: World) -> None:
    world.subnets = (subnet(world.network, dns_nameservers=("9.9.9.9",)),)
    with world.client(serve(world, "web-1")[0]) as guest:
        told = guest.ask("15")
    assert told["dns"] == "9.9.9.9"
    assert "domain" not in told


def test_guests_are_told_of_no_name_server(world: World) -> None:
    world.subnets = (subnet(world.network, dns_nameservers=("0.0.0.0",)),)
    with world.client(serve(world, "web-1")[0]) as guest:
        assert "dns" not in guest.ask()


@contextmanager
def name_server(netns: str) -> Iterator[list[bytes]]:
    """One at the loopback address of the host, where its resolv.conf says it is; what it was asked."""
    asked: list[bytes] = []
    own = Path("/etc/netns", netns)
    own.mkdir(parents=True)
    (own / "resolv.conf").write_text("# ours\nsearch example.org\nnameserver 127.0.0.54\nnameserver 127.0.0.53\n")
    ip("link", "set", "lo", "up", netns=netns)
    with inside(netns):
        heard = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        streams = socket.create_server(("127.0.0.53", 53))
        heard.bind(("127.0.0.53", 53))

    def one() -> None:
        with suppress(OSError):
            while (received := heard.recvfrom(1000))[0]:
                question, back = received
                asked.append(question)
                heard.sendto(answer(question, "192.0.2.80"), back)

    def long_one() -> None:
        with suppress(OSError):
            while True:
                stream, _ = streams.accept()
                with stream:
                    said = answer(message(stream), "192.0.2.81")
                    stream.sendall(len(said).to_bytes(2) + said)

    threads = [threading.Thread(target=each, daemon=True) for each in (one, long_one)]
    for thread in threads:
        thread.start()
    try:
        yield asked
    finally:
        for each in (heard, streams):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        (own / "resolv.conf").unlink()
        own.rmdir()


def test_other_names_are_asked_from_the_hosts_own_name_servers(world: World) -> None:
    with name_server(world.netns) as asked, world.client(serve(world, "web-1", out=True)[0]) as guest:
        ip("address", "add", "10.9.0.11/24", "dev", "eth0", netns=guest.netns)
        assert resolve(guest.netns, SERVER, "www.example.org") == Answer(NO_ERROR, ("192.0.2.80",))
        assert resolve(guest.netns, SERVER, "ftp.example.org", stream=True) == Answer(NO_ERROR, ("192.0.2.81",))
        [question] = asked
        for name in ("web-1", "web-1.demo-net", "plain"):
            resolve(guest.netns, SERVER, name)
            resolve(guest.netns, SERVER, name, AAAA)
        reverse(guest.netns, SERVER, "10.9.0.11")
        assert asked == [question], "what is known here is asked nowhere else"
        # Nobody but the server reaches the relay.
        with inside(guest.netns), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.settimeout(0.3)
            stranger.connect((SERVER, 5300))
            stranger.send(question)
            with pytest.raises(OSError, match=r"timed out|refused"):
                stranger.recv(100)


def test_a_guest_that_is_called_as_a_domain_takes_no_names_from_it(world: World) -> None:
    with name_server(world.netns), world.client(serve(world, "org", out=True)[0]) as guest:
        ip("address", "add", "10.9.0.11/24", "dev", "eth0", netns=guest.netns)
        assert resolve(guest.netns, SERVER, "org") == Answer(NO_ERROR, ("10.9.0.11",))
        assert resolve(guest.netns, SERVER, "www.example.org") == Answer(NO_ERROR, ("192.0.2.80",))


def relays(world: World) -> list[int]:
    return [pid for pid in world.processes()["supervisor"] if b"relay.py" in _command(pid)[3]]


def _command(pid: int) -> list[bytes]:
    return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")


def test_a_relay_may_do_nothing_and_comes_and_goes_with_the_way_out(world: World) -> None:
    [one] = serve(world, "web-1")
    assert relays(world) == []
    world.servers.refresh([replace(one, reaches_out=True)], world.server)
    [pid] = relays(world)
    status = Path(f"/proc/{pid}/status").read_text()
    assert "\nUid:\t0" not in status
    assert "CapEff:\t0000000000000000" in status
    assert Path(f"/proc/{pid}/ns/net").stat().st_ino == Path("/run/netns", world.netns).stat().st_ino
    os.kill(pid, signal.SIGKILL)
    until(lambda: relays(world) not in ([], [pid]), "another relay")
    assert world.served() == (one.port_id,)
    world.servers.refresh([one], world.server)
    assert relays(world) == []
    assert world.served() == (one.port_id,)


def test_a_relay_that_is_gone_is_found_and_mended(world: World) -> None:
    [one] = serve(world, "web-1", out=True)
    supervised = [pid for pid in world.processes()["supervisor"] if any(b"/relay" in word for word in _command(pid))]
    for pid in supervised:
        os.kill(pid, signal.SIGKILL)
    [wired] = world.servers.list()
    assert "name servers" in wired.fault
    world.serve(one)
    assert world.served() == (one.port_id,)


NET = Network("n", "Demo_Net", "p")
PORT = Port("i", "", "n", "p", "fa:16:3e:00:00:01", dns_name="Web-1")


@pytest.mark.parametrize(
    ("network", "name", "expected"),
    [
        ({}, "Web-1", ("web-1.demo-net", "web-1")),
        ({}, "", ()),
        ({"dns_domain": "Example.org."}, "web-1", ("web-1.example.org", "web-1.demo-net", "web-1")),
        ({"name": "10.0"}, "web-1", ("web-1",)),
        ({}, "www.example.org", ("www.example.org.demo-net",)),
        ({}, "www.example.org.", ()),
        ({"dns_domain": "example.org."}, "www.example.org.", ("www.example.org",)),
        ({"name": "x" * 63}, "a." * 100 + "a", ()),
    ],
)
def test_by_which_names_a_port_is_known(network: dict[str, str], name: str, expected: tuple[str, ...]) -> None:
    assert names_of(replace(PORT, dns_name=name), replace(NET, **network)) == expected


def test_the_domain_of_a_network() -> None:
    assert domain_of(NET) == "demo-net"
    assert domain_of(replace(NET, dns_domain="example.org.")) == "example.org"
    assert domain_of(replace(NET, name="10.0")) == ""
