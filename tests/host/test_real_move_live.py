"""A real guest goes from one libvirtd to another while it runs: it answers pings all the time, and forgets nothing."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from slipway.model.record import Event
from slipway.orchestrator import Orchestrator
from slipway.runfile import RunFile, loads
from tests.conftest import Guest
from tests.host.hosts import RealHost, things
from tests.host.test_real_networks import answers
from tests.waiting import until

pytestmark = pytest.mark.host

Hosts = tuple[RealHost, RealHost]
ADDRESS = "10.10.0.11"


@pytest.fixture
def hosts(real_hosts: Hosts) -> Iterator[Hosts]:
    yield real_hosts
    for host in real_hosts:
        host.clear()


def file_of(hosts: Hosts, guest: Guest, volume: Path) -> RunFile:
    return loads(
        f"""
schema: 1
hosts:
  {hosts[0].entry()}
  {hosts[1].entry()}
networks: {{front: {{provider: {{type: vxlan}}, subnets: {{front-v4: {{cidr: 10.10.0.0/24}}}}}}}}
flavors: {{tiny: {{vcpus: 1, memory: 128MiB, disk: 1GiB}}}}
images: {{guest: {{kernel: {guest.kernel}, initrd: {guest.initrd}}}}}
security_groups: {{ping: {{rules: [{{protocol: icmp, from: 0.0.0.0/0}}]}}}}
instances:
  one:
    flavor: tiny
    image: guest
    security_groups: [ping]
    networks: [{{network: front, fixed_ip: {ADDRESS}}}]
    disks: [{{volume: {volume}, format: raw}}]
    host: {hosts[0].name}
""",
        "move-live.yaml",
    )


@contextmanager
def pinged(host: RealHost, network_id: str) -> Iterator[list[float]]:
    """Pings the guest from where the network's DHCP server on that host is; gives the pauses between answers then."""
    inside = next(name for name in host.namespaces() if network_id[:8] in name)
    command = ["ip", "netns", "exec", inside, "busybox", "ping", "-i", "0.1", ADDRESS]
    pauses: list[float] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield pauses
        finally:
            process.terminate()
        assert process.stdout is not None
        seen = [int(number) for number in re.findall(r"seq=(\d+)", process.stdout.read())]
    pauses += [(then - now) / 10 for now, then in pairwise(seen)]


def test_it_goes_while_it_runs_and_comes_back(hosts: Hosts, guest: Guest, tmp_path: Path) -> None:
    volume = tmp_path / "data.raw"
    volume.write_bytes(b"the user's".ljust(1 << 20, b"."))
    state = tmp_path / "state"
    told: list[Event] = []
    with Orchestrator(state) as slipway:
        before = things(hosts, state)
        (ended,) = slipway.run(file_of(hosts, guest, volume)).ended
        assert ended.instance is not None
        assert ended.instance.fault is None, ended.instance.fault
        (network,) = slipway.network.list_networks()
        until(lambda: b"slipway-guest: ready" in b"".join(slipway.console("one")), "the guest's marker")
        until(lambda: answers(hosts[0], network.id, ADDRESS), "an answer of the guest")
        for old, new in (hosts, hosts[::-1]):
            moved = slipway.changes.move("one", to=new.name, live=True, on_event=told.append)
            assert moved.fault is None, moved.fault
            assert (moved.host, moved.vm_state, moved.addresses) == (new.name, "ACTIVE", (ADDRESS,))
            until(partial(answers, new, network.id, ADDRESS), "an answer of the guest")
            # It was not started again: the console's log of the new host has no boot in it.
            assert b"slipway-guest: ready" not in b"".join(slipway.console("one"))
            assert len(new.domains()) == 1
            assert (old.domains(), [link for link in old.links() if link.startswith("tap")]) == ([], [])
            assert slipway.audit() == ()
        assert any("still to go" in event.message for event in told)
        assert slipway.stop("one", force=True).vm_state == "STOPPED"
        assert slipway.start("one").vm_state == "ACTIVE"
        until(lambda: b"slipway-guest: ready" in b"".join(slipway.console("one")), "the guest's marker")
        assert slipway.delete("one").vm_state == "DELETED"
        assert slipway.audit() == ()
        assert things(hosts, state) == before
    assert volume.read_bytes() == b"the user's".ljust(1 << 20, b".")
