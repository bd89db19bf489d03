"""Real processes at one record: in namespaces and boots of their own, stopped beyond their lease, killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from slipway import errors
from slipway.operations.batch import Status
from slipway.orchestrator import Orchestrator
from tests.waiting import PATIENCE, until

FILE = """
schema: 1
hosts: {h1: {vcpus: 8, memory: 8GiB, disk: 100GiB, compute: sim}}
networks: {net: {subnets: {sub: {cidr: 10.0.0.0/24}}}}
flavors: {small: {vcpus: 1, memory: 512MiB, disk: 2GiB}}
images: {tiny: {path: ./tiny.qcow2, format: qcow2}}
instances: {web: {flavor: small, image: tiny, networks: [net]}}
settings: {step_timeout: 60s, takeover_grace: 20s, poll_interval: 50ms}
"""
LEASE = 81.0

WORK = """
import sys, time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from slipway import Orchestrator
from slipway.drivers.disk.sim import SimDisk
from slipway.runfile import load
create = SimDisk.create_disk
SimDisk.create_disk = lambda *given: time.sleep(float(sys.argv[4])) or create(*given)
file = load(Path(sys.argv[1]))
later = float(sys.argv[5])
clocks = {
    "clock": lambda: datetime.now(UTC) + timedelta(seconds=later),
    "monotonic": lambda: time.monotonic() + later,
}
with Orchestrator(sys.argv[2], settings=file.settings, **clocks) as orchestrator:
    what = orchestrator.run(file).ended if sys.argv[3] == "run" else orchestrator.resume()
    print(*(ended.status for ended in what), flush=True)
"""

needs_root = pytest.mark.skipif(
    os.getuid() != 0 or shutil.which("unshare") is None, reason="unshare, as root, makes the namespaces"
)

CONTAINER = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
BARE = ("unshare", "--pid", "--fork", "--kill-child")
"""Without a /proc of its own: what is there shows other processes by its numbers."""


def booted_anew(tmp_path: Path) -> tuple[str, ...]:
    """As if the machine had been started once more since."""
    (tmp_path / "boot_id").write_text("00000000-0000-0000-0000-000000000001\n")
    mount = f"mount --bind {tmp_path / 'boot_id'} /proc/sys/kernel/random/boot_id"
    return "unshare", "--mount", "sh", "-c", f'{mount} && exec "$@"', "sh"


@contextmanager
def worker(tmp_path: Path, *before: str, seconds: float = 300.0) -> Iterator[subprocess.Popen[str]]:
    """A process that builds the instance and is at its disk, which takes so long."""
    file = tmp_path / "file.yaml"
    file.write_text(FILE)
    command = [*before, sys.executable, "-c", WORK, str(file), str(tmp_path / "state"), "run", str(seconds), "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            until(lambda: process.poll() is not None or at_the_disk(tmp_path), "the disk")
            assert process.poll() is None, process.stdout and process.stdout.read()
            yield process
        finally:
            process.kill()


def at_the_disk(tmp_path: Path) -> bool:
    if not (tmp_path / "state" / "slipway.db").exists():
        return False
    with Orchestrator(tmp_path / "state") as orchestrator:
        return any(
            (effect.kind, effect.state) == ("disk", "intended")
            for instance in orchestrator.list()
            for effect in orchestrator.show(instance.id).effects
        )


def resumed(tmp_path: Path, *before: str, later: float = 0.0) -> str:
    """How a resume ends elsewhere, so many seconds later."""
    places = (str(tmp_path / "file.yaml"), str(tmp_path / "state"))
    command = [*before, sys.executable, "-c", WORK, *places, "resume", "0", str(later)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@needs_root
@pytest.mark.parametrize("where", [CONTAINER, BARE], ids=["container", "bare"])
def test_two_pid_namespaces_with_one_host_name_leave_each_others_builds_alone(
    tmp_path: Path, where: tuple[str, ...]
) -> None:
    with worker(tmp_path, *where) as there:
        with Orchestrator(tmp_path / "state") as orchestrator:
            assert [ended.status for ended in orchestrator.resume()] == [Status.BUSY]
        assert resumed(tmp_path, *where) == "busy"
        there.kill()
        there.wait()
        # Nobody can see from here that it is gone.
        assert resumed(tmp_path, *where) == "busy"
        assert resumed(tmp_path, *where, later=LEASE) == "resumed"


@needs_root
@pytest.mark.parametrize("where", [CONTAINER, BARE], ids=["container", "bare"])
def test_a_pid_namespace_does_not_take_what_is_at_work_outside(tmp_path: Path, where: tuple[str, ...]) -> None:
    with worker(tmp_path) as here:
        assert resumed(tmp_path, *where) == "busy"
        here.kill()
        here.wait()
        assert resumed(tmp_path, *where) == "busy"
        # From where it was it is seen to be gone at once.
        with Orchestrator(tmp_path / "state") as orchestrator:
            assert [ended.status for ended in orchestrator.resume()] == [Status.RESUMED]


@needs_root
def test_what_another_boot_left_is_taken_when_its_lease_has_passed(tmp_path: Path) -> None:
    with worker(tmp_path) as before:
        before.kill()
        before.wait()
        assert resumed(tmp_path, *booted_anew(tmp_path)) == "busy"
        assert resumed(tmp_path, *booted_anew(tmp_path), later=LEASE) == "resumed"


@pytest.mark.parametrize("verb", ["delete", "resume"])
def test_a_worker_that_is_stopped_beyond_its_lease_takes_back_what_came_too_late(tmp_path: Path, verb: str) -> None:
    with worker(tmp_path, seconds=1.0) as stopped:
        stopped.send_signal(signal.SIGSTOP)
        with Orchestrator(tmp_path / "state") as now, pytest.raises(errors.InstanceBusy):
            now.delete("web", timeout=0.5) if verb == "delete" else now.stop("web")
        with Orchestrator(tmp_path / "state", monotonic=lambda: time.monotonic() + LEASE) as later:
            if verb == "delete":
                assert later.delete("web").vm_state == "DELETED"
            else:
                assert [ended.status for ended in later.resume()] == [Status.RESUMED]
        stopped.send_signal(signal.SIGCONT)
        assert stopped.communicate(timeout=PATIENCE)[0].split()[-1] == "interrupted"
    with Orchestrator(tmp_path / "state") as orchestrator:
        assert orchestrator.audit() == ()
    disks = list((tmp_path / "state").glob("world/*/disks/*.json"))
    assert len(disks) == (0 if verb == "delete" else 1)
