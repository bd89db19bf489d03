"""The contract of disk drivers, over all of them, and what just these promise besides."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from slipway.drivers.disk.devices import device_name
from slipway.drivers.disk.qcow2.driver import Qcow2Disk
from slipway.drivers.disk.sim import SimDisk
from slipway.errors import VolumeInUse
from slipway.model.request import Host
from slipway.testing.contracts.disk import DATA, ROOT, SEED, Count, Make, Plant, wanting
from slipway.testing.contracts.samples import HOST
from slipway.testing.contracts.snapshots import Read, SnapshotContract, Write


class OurDisk(SnapshotContract):
    """What users' drivers may do otherwise."""

    def test_the_formats(self, make_driver: Make) -> None:
        """L1."""
        disks = [make_driver().create_disk(request) for request in (ROOT, DATA, SEED)]
        assert [(disk.format, disk.device) for disk in disks] == [("qcow2", "vda"), ("qcow2", "vdb"), ("raw", "vdc")]
        assert all(Path(disk.path).is_file() for disk in disks)

    def test_the_text_says_whose_a_volume_is(self, make_driver: Make, volume: Path) -> None:
        make_driver().create_disk(wanting(volume))
        with pytest.raises(VolumeInUse, match="in use by instance one"):
            make_driver().create_disk(wanting(volume, "two"))


class TestSim(OurDisk):
    @pytest.fixture
    def disks(self, tmp_path: Path) -> Path:
        return tmp_path / "state" / "world" / HOST.name / "disks"

    @pytest.fixture
    def make_driver(self, tmp_path: Path) -> Make:
        def make(host: Host = HOST) -> SimDisk:
            return SimDisk(host, tmp_path / "state")

        return make

    @pytest.fixture
    def plant(self, disks: Path) -> Plant:
        def plant(instance_id: str, slot: int) -> Callable[[], bool]:
            disks.mkdir(parents=True, exist_ok=True)
            content = {"instance_id": instance_id, "slot": slot, "owner": "somebody", "role": "data", "size": 1}
            content |= {"image": None, "user_data_sha256": None}
            file = disks / f"{instance_id}-{slot}.json"
            file.write_text(json.dumps(content))
            return lambda: bool(json.loads(file.read_text()) == content)

        return plant

    @pytest.fixture
    def count(self, disks: Path) -> Count:
        return lambda: len(list(disks.glob("*.json")))

    @pytest.fixture
    def write(self, disks: Path) -> Write:
        def write(instance_id: str, slot: int, text: str) -> None:
            file = disks / f"{instance_id}-{slot}.json"
            file.write_text(json.dumps({**json.loads(file.read_text()), "image": text}))

        return write

    @pytest.fixture
    def read(self, disks: Path) -> Read:
        return lambda instance_id, slot: str(json.loads((disks / f"{instance_id}-{slot}.json").read_text())["image"])


class TestQcow2(OurDisk):
    @pytest.fixture
    def disks(self, tmp_path: Path) -> Path:
        return tmp_path / "state" / "disks" / HOST.name

    @pytest.fixture
    def make_driver(self, tmp_path: Path) -> Make:
        if shutil.which("qemu-img") is None:
            pytest.skip("qemu-img (qemu-utils) is not installed")

        def make(host: Host = HOST) -> Qcow2Disk:
            return Qcow2Disk(host, tmp_path / "state", "slipway")

        return make

    @pytest.fixture
    def plant(self, disks: Path) -> Plant:
        def plant(instance_id: str, slot: int) -> Callable[[], bool]:
            disks.mkdir(parents=True, exist_ok=True)
            file = disks / f"{instance_id}-{slot}.qcow2"
            file.write_text("not a disk")
            return lambda: file.read_text() == "not a disk"

        return plant

    @pytest.fixture
    def count(self, disks: Path) -> Count:
        return lambda: len(list(disks.glob("[!.]*")))

    @pytest.fixture
    def write(self, disks: Path) -> Write:
        def write(instance_id: str, slot: int, text: str) -> None:
            qemu_io(disks / f"{instance_id}-{slot}.qcow2", f"write -q -P {PATTERNS[text]} 64k 64k")

        return write

    @pytest.fixture
    def read(self, disks: Path) -> Read:
        def read(instance_id: str, slot: int) -> str:
            said = qemu_io(disks / f"{instance_id}-{slot}.qcow2", "read -v 64k 16")
            byte = int(said.split()[1], 16)
            return next(text for text, pattern in PATTERNS.items() if pattern == byte)

        return read


PATTERNS = {"nothing": 0, "before": 11, "after": 22, "later": 33}


def qemu_io(file: Path, command: str) -> str:
    done = subprocess.run(
        ["qemu-io", "-f", "qcow2", "-c", command, str(file)], capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.parametrize(
    ("slot", "device"),
    [
        (0, "vda"),
        (25, "vdz"),
        (26, "vdaa"),
        (701, "vdzz"),
        (702, "vdaaa"),
    ],
)
def test_device_names(slot: int, device: str) -> None:
    assert device_name(slot) == device
