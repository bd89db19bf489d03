"""A disk that is really full: a small tmpfs for the database, which grows again before the resume."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway import Orchestrator
from slipway.errors import DatabaseFull
from slipway.operations.batch import Status
from slipway.runfile import loads
from slipway.testing import crashed

FILE = loads(
    """
schema: 1
hosts: {node-1: {vcpus: 100, memory: 100GiB, disk: 1000GiB, compute: sim}}
networks: {a: {subnets: {a4: {cidr: 10.0.0.0/16}}}}
flavors: {small: {vcpus: 1, memory: 64MiB, disk: 1GiB}}
images: {tiny: {path: ./tiny.qcow2, format: qcow2}}
instances: {web: {flavor: small, image: tiny, networks: [a], count: 100}}
""",
    "full.yaml",
)
BIN = "/bin:/sbin:/usr/bin:/usr/sbin"
MOUNT, UMOUNT = shutil.which("mount", path=BIN), shutil.which("umount", path=BIN)


def mount(place: Path, *options: str) -> None:
    subprocess.run([str(MOUNT), "-t", "tmpfs", *options, "slipway-test", str(place)], check=True, capture_output=True)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1.5 MB."""
    place = tmp_path / "small"
    place.mkdir()
    try:
        mount(place, "-o", "size=1500k")
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no right to mount a tmpfs: {error}")
    yield place
    subprocess.run([str(UMOUNT), "--lazy", str(place)], check=True)


def until_full(slipway: Orchestrator) -> None:
    """Run until the database's disk is full, which stops the run and is told."""
    with pytest.raises(DatabaseFull, match="no space is left"):
        slipway.run(FILE)


def goes_on(slipway: Orchestrator) -> None:
    assert {one.status for one in slipway.resume()} <= {Status.RESUMED}
    assert slipway.audit() == ()
    ended = slipway.run(FILE).ended
    assert {one.instance.vm_state for one in ended if one.instance} == {"ACTIVE"}
    assert len({address for one in slipway.list() for address in one.addresses}) == 100
    assert slipway.audit() == ()


@pytest.mark.parametrize("process", ["the same process", "another process"])
def test_a_full_disk_stops_the_run_and_loses_nothing(process: str, small: Path, tmp_path: Path) -> None:
    def orchestrator() -> Orchestrator:
        return Orchestrator(tmp_path / "state", db=f"sqlite:///{small / 'slipway.db'}")

    def first() -> None:
        with orchestrator() as slipway:
            until_full(slipway)

    with orchestrator() as slipway:
        if process == "another process":
            slipway.close()
            assert not crashed(first)
        else:
            until_full(slipway)
        mount(small, "-o", "remount,size=30m")
        goes_on(slipway)
