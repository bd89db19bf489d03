"""The simulator's world and the instances' files under kill -9 and beside other processes."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from slipway.drivers.compute.sim import SimCompute
from slipway.drivers.disk.sim import SimDisk
from slipway.drivers.files import TEMPORARY
from slipway.errors import ComputeError
from slipway.model.machine import DiskRequest, DiskRole, Domain, PowerState
from slipway.model.request import Host

HOST = Host("node-1", vcpus=8, memory=1 << 40, disk=1 << 40)


def in_child(work: Callable[[], object]) -> int:
    """Do the work in a forked process; gives its id. It ends with status 0 when the work did not raise."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return pid


def leftovers(state: Path) -> list[Path]:
    return [path for path in state.rglob("*") if path.name.endswith(TEMPORARY)]


def test_kill_9_leaves_a_world_that_can_be_read(tmp_path: Path, make_domain: Callable[..., Domain]) -> None:
    domains = [make_domain(f"web-{number}") for number in range(3)]
    chance = random.Random(1)
    begun, begins = os.pipe()

    def churn() -> None:
        os.write(begins, b"!")
        compute, disks = SimCompute(HOST, tmp_path), SimDisk(HOST, tmp_path)
        while True:
            for domain in domains:
                compute.spawn(domain)
                compute.write_definition(domain.instance_id, domain.xml)
                disks.create_disk(DiskRequest(domain.instance_id, 0, DiskRole.ROOT, 1))
            for domain in domains:
                disks.delete_disk(domain.instance_id, 0)
                compute.delete_definition(domain.instance_id)
                compute.destroy(domain.instance_id)

    compute, disks = SimCompute(HOST, tmp_path), SimDisk(HOST, tmp_path)
    found = 0
    for _ in range(60):
        pid = in_child(churn)
        os.read(begun, 1)
        time.sleep(chance.uniform(0.001, 0.012))
        os.kill(pid, signal.SIGKILL)
        assert os.WIFSIGNALED(os.waitpid(pid, 0)[1])
        found += len(compute.list_domains()) + len(disks.list_disks()) + len(compute.list_definitions())
        for path in tmp_path.rglob("*.json"):
            json.loads(path.read_bytes())
        for path in tmp_path.rglob("*.xml"):
            assert path.read_text() in [domain.xml for domain in domains]
    assert found > 0
    os.close(begun)
    os.close(begins)

    # Undoing is repeated after a crash, whatever there is: nothing may be left then.
    for domain in domains:
        disks.delete_disk(domain.instance_id, 0)
        compute.delete_definition(domain.instance_id)
        compute.destroy(domain.instance_id)
    assert leftovers(tmp_path) == []
    assert list(compute.list_domains()) == []
    assert list(disks.list_disks()) == []
    assert list(compute.list_definitions()) == []


def killed_before_rename(work: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    def child() -> None:
        monkeypatch.setattr(os, "rename", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        work()

    assert os.WIFSIGNALED(os.waitpid(in_child(child), 0)[1])


def test_a_torn_domain_goes_with_the_next_spawn(
    tmp_path: Path, make_domain: Callable[..., Domain], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no domain and blocks nobody."""
    torn, other = make_domain("web-1"), make_domain("web-2")
    compute = SimCompute(HOST, tmp_path)
    killed_before_rename(partial(compute.spawn, torn), monkeypatch)
    assert len(leftovers(tmp_path)) == 1
    assert list(compute.list_domains()) == []
    compute.spawn(other)
    assert leftovers(tmp_path) == []
    assert [info.instance_id for info in compute.list_domains()] == [other.instance_id]


@pytest.mark.parametrize("again", [False, True], ids=["undo", "again"])
@pytest.mark.parametrize("what", ["domain", "definition", "disk"])
def test_what_a_kill_tore_is_undone_or_made_again(
    tmp_path: Path, make_domain: Callable[..., Domain], monkeypatch: pytest.MonkeyPatch, what: str, again: bool
) -> None:
    domain = make_domain()
    compute, disks = SimCompute(HOST, tmp_path), SimDisk(HOST, tmp_path)
    calls: dict[str, tuple[Callable[[], object], Callable[[], None]]] = {
        "domain": (partial(compute.spawn, domain), partial(compute.destroy, domain.instance_id)),
        "definition": (
            partial(compute.write_definition, domain.instance_id, domain.xml),
            partial(compute.delete_definition, domain.instance_id),
        ),
        "disk": (
            partial(disks.create_disk, DiskRequest(domain.instance_id, 0, DiskRole.ROOT, 1)),
            partial(disks.delete_disk, domain.instance_id, 0),
        ),
    }
    do, undo = calls[what]
    killed_before_rename(do, monkeypatch)
    assert len(leftovers(tmp_path)) == 1
    assert (list(compute.list_domains()), list(compute.list_definitions()), list(disks.list_disks())) == ([], [], [])
    if again:
        do()
        assert leftovers(tmp_path) == []
    undo()
    assert leftovers(tmp_path) == []


def test_processes_at_once(tmp_path: Path, make_domain: Callable[..., Domain]) -> None:
    """Four processes want all of the same domains, in orders of their own, on a host that takes 40 of them."""
    host = Host("node-1", vcpus=8, memory=40 << 20, disk=1 << 40)
    domains = [make_domain(f"web-{number}", memory=1 << 20) for number in range(60)]
    start, release = os.pipe()

    def spawn_all(seed: int) -> None:
        os.close(release)
        os.read(start, 1)
        compute = SimCompute(host, tmp_path)
        for domain in random.Random(seed).sample(domains, len(domains)):
            with suppress(ComputeError):
                compute.spawn(domain)

    pids = [in_child(partial(spawn_all, seed)) for seed in range(4)]
    os.close(release)
    os.close(start)
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * 4
    present = SimCompute(host, tmp_path).list_domains()
    assert len(present) == 40
    assert {info.state for info in present} == {PowerState.RUNNING}
    assert leftovers(tmp_path) == []
