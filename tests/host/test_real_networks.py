"""Real machines on networks: their addresses, who reaches whom, and what is left when they are gone."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from slipway.orchestrator import Orchestrator
from slipway.runfile import RunFile, loads
from tests.conftest import BOOT, Guest
from tests.host.hosts import RealHost, things
from tests.waiting import until

pytestmark = pytest.mark.host

Hosts = tuple[RealHost, RealHost]


@pytest.fixture
def hosts(real_hosts: Hosts) -> Iterator[Hosts]:
    yield real_hosts
    for host in real_hosts:
        host.clear()


def file_of(hosts: Hosts, guest: Guest) -> RunFile:
    """`one` and `two` on a host, `three` on the other one; at the front each may be pinged, at the back nobody."""

    def image(name: str, *pinged: str) -> str:
        boot = f"{BOOT} slipway.ping={','.join(pinged)}"
        return f"{name}: {{{guest.image.replace(BOOT, boot)}}}"

    def instance(number: int, name: str, zone: str) -> str:
        nics = f"{{network: front, fixed_ip: 10.10.0.1{number}}}, {{network: back, fixed_ip: 10.20.0.1{number}}}"
        says = "flavor: tiny, security_groups: [ping]"
        return f"{name}: {{{says}, image: for-{name}, networks: [{nics}], zone: {zone}}}"

    return loads(
        f"""
schema: 1
hosts:
  {hosts[0].entry(", zone: left")}
  {hosts[1].entry(", zone: right")}
networks:
  front: {{provider: {{type: vxlan}}, subnets: {{front-v4: {{cidr: 10.10.0.0/24}}}}}}
  back: {{provider: {{type: vxlan}}, subnets: {{back-v4: {{cidr: 10.20.0.0/24, gateway: null}}}}}}
flavors: {{tiny: {{vcpus: 1, memory: 128MiB, disk: 1GiB}}}}
images:
  {image("for-one", "10.10.0.12", "10.10.0.13", "10.20.0.12", "10.20.0.13")}
  {image("for-two", "10.10.0.11")}
  {image("for-three", "10.10.0.12", "10.20.0.11")}
security_groups: {{ping: {{rules: [{{protocol: icmp, from: 10.10.0.0/24}}]}}}}
instances:
  {instance(1, "one", "left")}
  {instance(2, "two", "left")}
  {instance(3, "three", "right")}
""",
        "networks.yaml",
    )


def lines(orchestrator: Orchestrator, name: str, word: str) -> list[list[str]]:
    """What the guest has said of it: the words after it."""
    text = b"".join(orchestrator.console(name)).decode(errors="replace")
    said = (line.split() for line in text.splitlines() if line.startswith("slipway-guest: "))
    return [words[2:] for words in said if words[1] == word]


def pings(orchestrator: Orchestrator, name: str) -> dict[str, str]:
    """What the guest said last of each address that it pings."""
    return {address: outcome for address, outcome in lines(orchestrator, name, "ping")}  # noqa: C416 - two words each


def answers(host: RealHost, network_id: str, address: str) -> bool:
    """Whether a guest answers the pings of its network's DHCP server."""
    (namespace,) = [name for name in host.namespaces() if network_id in name]
    ping = ["ip", "netns", "exec", namespace, "busybox", "ping", "-c", "1", "-W", "2", address]
    return subprocess.run(ping, check=False, capture_output=True).returncode == 0


def neighbour(host: RealHost, network_id: str, address: str) -> str:
    """What the DHCP server has learnt of the address by ARP."""
    (namespace,) = [name for name in host.namespaces() if network_id in name]
    return subprocess.run(
        ["ip", "-n", namespace, "neighbour", "show", address], check=True, capture_output=True, text=True
    ).stdout


def test_guests_get_their_addresses_and_reach_whom_they_may(hosts: Hosts, guest: Guest, tmp_path: Path) -> None:
    """N1, L3."""
    state = tmp_path / "state"
    with Orchestrator(state) as orchestrator:
        before = things(hosts, state)
        run = orchestrator.run(file_of(hosts, guest))
        assert [ended.message for ended in run.ended if ended.instance is None or ended.instance.fault] == []
        there = things(hosts, state)
        assert orchestrator.audit() == ()
        for host, machines in zip(hosts, (2, 1), strict=True):
            assert len(host.domains()) == machines
            assert len(host.namespaces()) == 2
            assert len([link for link in host.links() if link.startswith("vxlan-")]) == 2
        assert len(there["processes"]) == 4 * 2, "supervisor and dnsmasq for each network and host"

        for name, at in (("one", hosts[0]), ("two", hosts[0]), ("three", hosts[1])):
            until(partial(lines, orchestrator, name, "ready"), f"the marker of {name}")
            (one,) = [instance for instance in orchestrator.list() if instance.name == name]
            assert one.host == at.name
            ports = orchestrator.network.list_ports(device_id=one.id)
            recorded = {(port.mac_address, f"{port.fixed_ips[0].ip_address}/24") for port in ports}
            assert len(recorded) == 2
            assert {tuple(words[1:]) for words in lines(orchestrator, name, "nic")} == recorded

        ids = {network.name: network.id for network in orchestrator.network.list_networks()}
        for host, number in ((hosts[0], 1), (hosts[0], 2), (hosts[1], 3)):
            assert answers(host, ids["front"], f"10.10.0.1{number}")
            assert not answers(host, ids["back"], f"10.20.0.1{number}"), "no rule says so"
            assert "lladdr fa:16:3e" in neighbour(host, ids["back"], f"10.20.0.1{number}"), "though it is there"

        expected = {
            "one": {"10.10.0.12": "ok", "10.10.0.13": "ok", "10.20.0.12": "no", "10.20.0.13": "no"},
            "two": {"10.10.0.11": "ok"},
            "three": {"10.10.0.12": "ok", "10.20.0.11": "no"},
        }
        for name, says in expected.items():
            until(partial(lambda name, says: pings(orchestrator, name) == says, name, says), f"the pings of {name}")
        # All are asked again since all are there.
        time.sleep(4)
        for name, says in expected.items():
            reached = {address for address, outcome in lines(orchestrator, name, "ping") if outcome == "ok"}
            assert reached == {address for address, outcome in says.items() if outcome == "ok"}, name

        orchestrator.delete("one")
        assert orchestrator.audit() == ()
        until(lambda: pings(orchestrator, "three")["10.10.0.12"] == "ok", "the ping of three")
        assert answers(hosts[0], ids["front"], "10.10.0.12"), "two has lost nothing"
        orchestrator.destroy(file_of(hosts, guest))
        assert orchestrator.audit() == ()
        assert things(hosts, state) == before
