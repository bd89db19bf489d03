"""A real machine goes from one libvirtd to another and back: its address, its disks and its lease go along."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.orchestrator import Orchestrator
from tests.conftest import Guest
from tests.host.hosts import RealHost, things
from tests.host.moved import ADDRESS, Hosts, file_of
from tests.host.test_real_networks import answers
from tests.waiting import until

pytestmark = pytest.mark.host


@pytest.fixture
def hosts(real_hosts: Hosts) -> Iterator[Hosts]:
    yield real_hosts
    for host in real_hosts:
        host.clear()


def is_there(slipway: Orchestrator, old: RealHost, new: RealHost) -> None:
    """The guest runs on the new host with its address and its lease, and nothing of it is on the old one."""
    until(lambda: b"slipway-guest: ready" in b"".join(slipway.console("one")), "the guest's marker")
    instance = slipway.show("one").instance
    assert (instance.host, instance.vm_state, instance.addresses) == (new.name, "ACTIVE", (ADDRESS,))
    (network,) = slipway.network.list_networks()
    until(lambda: answers(new, network.id, ADDRESS), "an answer of the guest")
    assert len(new.domains()) == 1
    assert (old.domains(), [link for link in old.links() if link.startswith("tap")]) == ([], [])
    assert slipway.audit() == ()


def test_it_goes_to_the_other_host_and_back(hosts: Hosts, guest: Guest, tmp_path: Path) -> None:
    volume = tmp_path / "data.raw"
    volume.write_bytes(b"the user's".ljust(1 << 20, b"."))
    state = tmp_path / "state"
    with Orchestrator(state) as slipway:
        before = things(hosts, state)
        (ended,) = slipway.run(file_of(hosts, guest, volume)).ended
        assert ended.instance is not None
        assert ended.instance.fault is None, ended.instance.fault
        left, right = hosts
        for old, new in ((left, right), (right, left)):
            moved = slipway.changes.move("one", to=new.name)
            assert moved.fault is None, moved.fault
            is_there(slipway, old, new)
        assert slipway.delete("one").vm_state == "DELETED"
        assert slipway.audit() == ()
        assert things(hosts, state) == before
    assert volume.read_bytes() == b"the user's".ljust(1 << 20, b".")
