"""Hosts register with what their workers measure: by libvirt's own test driver, whose node is what a file says."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from slipway import GiB, Host, Orchestrator
from slipway.cli.main import main
from slipway.errors import HostNotFound
from slipway.operations import registering
from slipway.operations.registering import register
from slipway.runfile import loads
from slipway.states.schema import hosts
from tests.boards import Server
from tests.workers.fleet import Fleet

pytest.importorskip("libvirt")

NODE = """
<node>
  <cpu><nodes>1</nodes><sockets>1</sockets><cores>{cpus}</cores><threads>1</threads><active>{cpus}</active></cpu>
  <memory>{mebibytes}</memory>
</node>
"""


@pytest.fixture
def node(tmp_path: Path) -> Callable[..., str]:
    """Makes what the hypervisor says of itself anew, and gives its URI."""

    def make(cpus: int = 8, mebibytes: int = 3072) -> str:
        path = tmp_path / "node.xml"
        path.write_text(NODE.format(cpus=cpus, mebibytes=mebibytes << 10))
        return f"test://{path}"

    return make


@pytest.fixture
def slipway(tmp_path: Path) -> Callable[..., Result]:
    return lambda *words: CliRunner().invoke(main, [*words, "--state", str(tmp_path / "state")])


def measured(tmp_path: Path, *names: str) -> list[str]:
    """What a worker of these hosts says when it starts: a new process each time."""
    said: list[str] = []
    with Orchestrator(tmp_path / "state") as one:
        for name in names:
            register(name, one._tools, said.append)
    return said


def shown(tmp_path: Path, name: str) -> tuple[int, int]:
    with Orchestrator(tmp_path / "state") as one:
        host = one.show_host(name).usage.host
        return host.vcpus, host.memory


def added(slipway: Callable[..., Result], uri: str, *more: str) -> Result:
    return slipway("host", "add", "node-1", "--compute", "libvirt", "--disks", "qcow2", "--uri", uri, *more)


def test_what_is_not_said_of_a_host_is_measured(
    slipway: Callable[..., Result], node: Callable[..., str], tmp_path: Path
) -> None:
    assert added(slipway, node()).exit_code == 0
    found = json.loads(slipway("host", "show", "node-1", "--output", "json").stdout)
    assert (found["vcpus"]["total"], found["memory"]["total"]) == (8, 3 * GiB)
    assert found["disk"]["total"] == shutil.disk_usage(tmp_path).total
    assert found["measured"]["hypervisor"]["version"].startswith("TEST ")
    assert "8 vCPUs, 3GiB memory" in slipway("host", "show", "node-1").stdout


def test_numa_cells_are_measured_as_well(slipway: Callable[..., Result]) -> None:
    assert added(slipway, "test:///default").exit_code == 0
    found = json.loads(slipway("host", "show", "node-1", "--output", "json").stdout)
    assert found["numa"] == found["measured"]["hypervisor"]["numa"] == ["0-7", "8-15"]
    assert "NUMA cells 0-7; 8-15" in slipway("host", "show", "node-1").stdout


def test_what_was_measured_follows_and_what_was_said_stays(
    slipway: Callable[..., Result], node: Callable[..., str], tmp_path: Path
) -> None:
    assert added(slipway, node(), "--memory", "2GiB").exit_code == 0
    assert measured(tmp_path, "node-1") == []
    node(cpus=4, mebibytes=4096)
    assert measured(tmp_path, "node-1") == ["node-1 was measured anew: vcpus"]
    assert shown(tmp_path, "node-1") == (4, 2 * GiB)
    with Orchestrator(tmp_path / "state") as one:
        seen = one.show_host("node-1").measured
        assert seen is not None
        assert seen.hypervisor is not None
        assert seen.hypervisor.memory == 4 * GiB


def test_a_host_does_not_become_smaller_than_what_is_claimed(
    slipway: Callable[..., Result], node: Callable[..., str], tmp_path: Path
) -> None:
    assert added(slipway, node()).exit_code == 0
    with Orchestrator(tmp_path / "state") as one, one._store.write() as tx:
        tx.execute(hosts.update().values(memory_used=2 * GiB))
    node(mebibytes=1024)
    (said,) = measured(tmp_path, "node-1")
    assert "host node-1 cannot be made as small: 2GiB of memory are claimed, 1GiB could be given out" in said
    assert shown(tmp_path, "node-1")[1] == 3 * GiB


def test_a_run_files_host_stays_as_the_file_says(node: Callable[..., str], tmp_path: Path) -> None:
    entry = f"vcpus: 8, memory: 3GiB, disk: 10GiB, compute: libvirt, disks: qcow2, uri: 'test://{tmp_path}/node.xml'"
    node()
    with Orchestrator(tmp_path / "state") as one:
        one.run(loads(f"schema: 1\nhosts: {{node-1: {{{entry}}}}}\n", "demo.yaml"))
    assert measured(tmp_path, "node-1") == []
    node(cpus=4)
    assert measured(tmp_path, "node-1") == []
    assert shown(tmp_path, "node-1")[0] == 8


def test_one_that_cannot_be_measured_stays_and_a_new_one_is_not_made(
    slipway: Callable[..., Result], node: Callable[..., str], tmp_path: Path
) -> None:
    assert added(slipway, node()).exit_code == 0
    (tmp_path / "node.xml").unlink()
    (said,) = measured(tmp_path, "node-1")
    assert said.startswith("node-1 cannot be measured: node-1: libvirt at test://")
    assert shown(tmp_path, "node-1")[0] == 8
    done = added(slipway, f"test://{tmp_path}/none.xml")
    assert (done.exit_code, "exists" in done.stderr or "cannot be reached" in done.stderr) == (1, True)
    done = slipway("host", "add", "node-2", "--vcpus", "1")
    assert (done.exit_code, done.stderr) == (
        2,
        "slipway: host node-2: its drivers do not measure disk, memory: say it (--disk --memory)\n",
    )


def test_a_host_that_is_not_on_record_is_put_there(
    node: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = node()

    def blank(name: str) -> Host:
        return replace(registering_blank(name), uri=uri, wiring="null")

    registering_blank = registering.blank
    monkeypatch.setattr(registering, "blank", blank)
    (tmp_path / "node.xml").unlink()
    with pytest.raises(HostNotFound, match=r"is not on record, and cannot be measured: .*slipway host add"):
        measured(tmp_path, "node-1")
    node()
    (said,) = measured(tmp_path, "node-1")
    assert said.startswith("node-1 is new on record: 8 vCPUs, 3GiB memory")
    assert shown(tmp_path, "node-1") == (8, 3 * GiB)
    assert measured(tmp_path, "node-1") == []
    with pytest.raises(HostNotFound, match=r"^host nod-1 is not on record, and this machine is there as node-1: "):
        measured(tmp_path, "nod-1")


def test_a_worker_measures_its_host_when_it_starts(
    shared_board: Server, node: Callable[..., str], tmp_path: Path
) -> None:
    """And what nobody is heard of any more is told as unknown."""
    made = Fleet(shared_board, tmp_path / "state", hosts=("node-2",))
    try:
        with made.look() as one:
            host = Host("node-1", 2, GiB, GiB, compute="libvirt", disks="qcow2", uri=node())
            one.add_host(host)
        made.start("one", "--host", "node-1", "--ttl", "1")
        with made.look() as one:
            seen = one.show_host("node-1").measured
            assert seen is not None
            assert seen.hypervisor is not None
            assert seen.hypervisor.vcpus == 8
            assert one.show_host("node-1").usage.host.vcpus == 2
    finally:
        made.close()
