"""A real guest goes from one libvirtd to another while it runs: it answers pings, and forgets nothing."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace

from slipway.drivers.compute.base import Endpoint
from slipway.model.record import Event
from slipway.orchestrator import Orchestrator
from slipway.testing.contracts.migration import Make, MigrationContract
from slipway.testing.contracts.samples import HOST, make_domain
from tests.conftest import Guest
from tests.host.hosts import RealHost, run, things
from tests.host.moved import ADDRESS, Hosts, file_of
from tests.host.test_real_networks import answers
from tests.waiting import until

pytestmark = pytest.mark.host

MIB = 1 << 20
WRITTEN = "0xab"
"""A byte that is on its root disk, 64 KiB of it behind the first MiB."""


@pytest.fixture
def hosts(real_hosts: Hosts) -> Iterator[Hosts]:
    yield real_hosts
    for host in real_hosts:
        host.clear()


class Moving:
    """One guest on the first of two hosts, which has booted."""

    def __init__(self, hosts: Hosts, guest: Guest, tmp_path: Path) -> None:
        self.hosts, self.state, self.volume = hosts, tmp_path / "state", tmp_path / "data.raw"
        self.volume.write_bytes(b"the user's".ljust(MIB, b"."))
        self.told: list[Event] = []
        with Orchestrator(self.state) as slipway:
            self.before = things(hosts, self.state)
            (ended,) = slipway.run(file_of(hosts, guest, self.volume)).ended
            assert ended.instance is not None
            assert ended.instance.fault is None, ended.instance.fault
            self.id = ended.instance.id
            (network,) = slipway.network.list_networks()
            self.network = network.id
            slipway.stop("one", force=True)
            self.on_disk(hosts[0], f"write -P {WRITTEN} 1M 64k")
            slipway.start("one")
            until(lambda: b"slipway-guest: ready" in b"".join(slipway.console("one")), "the guest's marker")
        until(partial(answers, hosts[0], self.network, ADDRESS), "an answer of the guest")

    def on_disk(self, host: RealHost, command: str) -> None:
        """Done with its root disk on that host; fails where what is read is not what was written."""
        disk = self.state / "disks" / host.name / f"{self.id}-0.qcow2"
        output = run("qemu-io", "-f", "qcow2", "-c", command, str(disk))
        assert "Pattern verification failed" not in output

    def is_on(self, slipway: Orchestrator, host: RealHost) -> None:
        """It runs there, has not been started again, and nothing of it is on the other one."""
        (other,) = (one for one in self.hosts if one is not host)
        until(partial(answers, host, self.network, ADDRESS), "an answer of the guest")
        instance = slipway.show("one").instance
        assert (instance.host, instance.vm_state, instance.addresses) == (host.name, "ACTIVE", (ADDRESS,))
        assert (len(host.domains()), other.domains()) == (1, [])
        assert [link for link in other.links() if link.startswith("tap")] == []
        assert slipway.audit() == ()

    def ends(self, host: RealHost) -> None:
        """It is stopped on that host, what was written is on its disk there, and with it all goes."""
        with Orchestrator(self.state) as slipway:
            slipway.stop("one", force=True)
            self.on_disk(host, f"read -P {WRITTEN} 1M 64k")
            assert slipway.start("one").vm_state == "ACTIVE"
            assert slipway.delete("one").vm_state == "DELETED"
            assert slipway.audit() == ()
        assert things(self.hosts, self.state) == self.before
        assert self.volume.read_bytes() == b"the user's".ljust(MIB, b".")
        assert not [*Path("/tmp").glob(f"slipway-{self.id}")]


@contextmanager
def pinged(host: RealHost, network_id: str) -> Iterator[Callable[[], tuple[int, int]]]:
    """Somebody at the network's bridge of that host pings the guest ten times a second; gives how many, of how many,
    were answered by now."""
    name, bridge = f"{host.name}-p", f"brq{network_id[:11]}"
    run("ip", "netns", "add", name)
    try:
        run("ip", "-n", host.name, "link", "add", "pinger", "type", "veth", "peer", "name", "eth0", "netns", name)
        host.ip("link", "set", "pinger", "master", bridge, "up")
        run("ip", "-n", name, "address", "add", "10.10.0.200/24", "dev", "eth0")
        run("ip", "-n", name, "link", "set", "eth0", "mtu", "1400", "up")
        command = ["ip", "netns", "exec", name, "busybox", "ping", "-i", "0.1", ADDRESS]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:

            def ended() -> tuple[int, int]:
                process.send_signal(signal.SIGINT)
                output = process.communicate()[0]
                sent = re.search(r"(\d+) packets transmitted, (\d+)", output)
                assert sent, output
                return int(sent[2]), int(sent[1])

            try:
                yield ended
            finally:
                process.kill()
    finally:
        run("ip", "netns", "del", name)


def test_it_goes_while_it_runs_and_comes_back(hosts: Hosts, guest: Guest, tmp_path: Path) -> None:
    moving = Moving(hosts, guest, tmp_path)
    with Orchestrator(moving.state) as slipway:
        with pinged(hosts[0], moving.network) as pings:
            for new in (hosts[1], hosts[0]):
                moved = slipway.changes.move("one", to=new.name, live=True, on_event=moving.told.append)
                assert moved.fault is None, moved.fault
            answered, sent = pings()
        print(f"\nthere and back: {answered} of {sent} pings were answered")
        assert sent - answered < 30
        moving.is_on(slipway, hosts[0])
        assert any("still to go" in event.message for event in moving.told)
        assert b"slipway-guest: ready" not in b"".join(slipway.console("one")), "it was started again"
    moving.ends(hosts[0])


SLOW = """
import sys
from slipway import Orchestrator
with Orchestrator(sys.argv[1]) as slipway:
    slipway.changes.move("one", live=True, on_event=lambda event: print(event.message, flush=True))
"""


@pytest.mark.slow
def test_one_that_is_too_slow_stays_one_that_is_killed_goes_on_and_a_host_is_drained(
    hosts: Hosts, guest: Guest, tmp_path: Path
) -> None:
    import libvirt

    moving = Moving(hosts, guest, tmp_path)
    connection = libvirt.open(hosts[0].libvirtd.uri)
    domain = connection.lookupByUUIDString(moving.id)
    domain.migrateSetMaxSpeed(1)
    with Orchestrator(moving.state) as slipway:
        there = things(hosts, moving.state)
        stays = slipway.changes.move("one", live=True, timeout=5)
        assert stays.fault is not None
        assert (stays.fault.type, stays.fault.step) == ("StepTimeout", "migration"), stays.fault
        assert re.search(r"within 5 s: \d+ MiB were still to go.*--timeout", stays.fault.message), stays.fault
        moving.is_on(slipway, hosts[0])
        assert things(hosts, moving.state) == there

    with subprocess.Popen(
        [sys.executable, "-c", SLOW, str(moving.state)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        next(line for line in process.stdout if "still to go" in line)
        os.kill(process.pid, signal.SIGKILL)
    domain.migrateSetMaxSpeed(0x7FFFFFFF)
    connection.close()
    with Orchestrator(moving.state) as slipway:
        slipway.resume()
        moving.is_on(slipway, hosts[1])

    drained = [str(Path(sys.executable).with_name("slipway")), "host", "drain", hosts[1].name, "--move", "--live"]
    done = subprocess.run([*drained, "--state", str(moving.state)], check=False, capture_output=True, text=True)
    print(done.stdout, done.stderr)
    assert done.returncode == 0, done.stderr
    with Orchestrator(moving.state) as slipway:
        moving.is_on(slipway, hosts[0])
        slipway.enable_hosts(hosts[1].name)
    moving.ends(hosts[0])


@pytest.mark.slow
class TestContract(MigrationContract):
    """What every hypervisor driver promises of it, by two real ones."""

    @pytest.fixture
    def make_driver(self, hosts: Hosts, tmp_path: Path) -> Make:
        return _maker(hosts[0], tmp_path)

    @pytest.fixture
    def make_other(self, hosts: Hosts, tmp_path: Path) -> Make:
        return _maker(hosts[1], tmp_path)

    def test_a_hypervisor_is_told_from_itself_and_from_others(self, make_driver: Make, make_other: Make) -> None:
        domain, here, there = make_domain(), make_driver(), make_other()
        here.spawn(domain)
        (text,) = here.unmovable(domain.instance_id, here.endpoint())
        assert "host_uuid" in text
        (text,) = here.unmovable(domain.instance_id, Endpoint("TEST", "test:///default"))
        assert text == "its hypervisor is QEMU, that of test:///default is TEST"
        assert list(here.unmovable(domain.instance_id, there.endpoint())) == []


def _maker(host: RealHost, state: Path) -> Make:
    from slipway.drivers.compute.libvirt.driver import LibvirtCompute

    entry = replace(HOST, name=host.name, compute="libvirt", uri=host.libvirtd.uri, accel="tcg")
    return lambda: LibvirtCompute(entry, state, "slipway")
