"""What every disk driver guarantees. A new driver: a class like `SimDiskStore`, and a line in `STORES`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import pytest

from slipway.drivers.disk.base import DiskDriver, DiskInfo
from slipway.drivers.disk.devices import device_name
from slipway.drivers.disk.qcow2.driver import Qcow2Disk
from slipway.drivers.disk.sim import SimDisk
from slipway.errors import DiskError, VolumeInUse
from slipway.model.machine import DiskRequest, DiskRole, Seed
from slipway.model.request import Host, Volume

HOST = Host("node-1", vcpus=8, memory=1 << 34, disk=1 << 40)
GIB = 1 << 30
ROOT = DiskRequest("one", 0, DiskRole.ROOT, 2 * GIB)
DATA = DiskRequest("one", 1, DiskRole.DATA, GIB)
SEED = DiskRequest("one", 2, DiskRole.SEED, 0, seed=Seed("#cloud-config\npassword: secret-word\n", "{}", "{}"))


class DiskStore(Protocol):
    """The disks of a host under test and the means to do to them what the driver cannot."""

    def driver(self, host: Host = HOST) -> DiskDriver:
        """A new driver object of the same disks, as after a restart."""

    def plant(self, instance_id: str, slot: int) -> None:
        """Put something that is not ours where this disk would be."""

    def count(self) -> int:
        """How many disks there are, ours and others', without the driver."""


class SimDiskStore:
    def __init__(self, state: Path) -> None:
        self.state = state
        self.disks = state / "world" / HOST.name / "disks"

    def driver(self, host: Host = HOST) -> SimDisk:
        return SimDisk(host, self.state)

    def plant(self, instance_id: str, slot: int) -> None:
        self.disks.mkdir(parents=True, exist_ok=True)
        content = {"instance_id": instance_id, "slot": slot, "owner": "somebody", "role": "data", "size": 1}
        content |= {"image": None, "user_data_sha256": None}
        (self.disks / f"{instance_id}-{slot}.json").write_text(json.dumps(content))

    def count(self) -> int:
        return len(list(self.disks.glob("*.json")))


class Qcow2DiskStore:
    def __init__(self, state: Path) -> None:
        if shutil.which("qemu-img") is None:
            pytest.skip("qemu-img (qemu-utils) is not installed")
        self.state = state
        self.disks = state / "disks" / HOST.name

    def driver(self, host: Host = HOST) -> Qcow2Disk:
        return Qcow2Disk(host, self.state, "slipway")

    def plant(self, instance_id: str, slot: int) -> None:
        self.disks.mkdir(parents=True, exist_ok=True)
        (self.disks / f"{instance_id}-{slot}.qcow2").write_text("not a disk")

    def count(self) -> int:
        return len(list(self.disks.glob("[!.]*")))


STORES: dict[str, Callable[[Path], DiskStore]] = {
    "sim": SimDiskStore,
    "qcow2": Qcow2DiskStore,
}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> DiskStore:
    return STORES[request.param](tmp_path / "state")


def test_a_disk_is_made_once(store: DiskStore) -> None:
    disk = store.driver().create_disk(ROOT)
    assert (disk.instance_id, disk.slot, disk.role, disk.size) == ("one", 0, DiskRole.ROOT, 2 * GIB)
    assert (disk.format, disk.device) == ("qcow2", "vda")
    assert Path(disk.path).is_file()
    assert store.driver().create_disk(ROOT) == disk
    assert store.count() == 1


def test_each_role_has_its_device(store: DiskStore) -> None:
    """L1: virtio disks in slot order."""
    disks = [store.driver().create_disk(request) for request in (ROOT, DATA, SEED)]
    assert [disk.device for disk in disks] == ["vda", "vdb", "vdc"]
    assert [disk.format for disk in disks] == ["qcow2", "qcow2", "raw"]
    assert len({disk.path for disk in disks}) == 3


def test_list_disks(store: DiskStore) -> None:
    assert list(store.driver().list_disks()) == []
    store.driver().create_disk(DATA)
    store.driver().create_disk(ROOT)
    assert list(store.driver().list_disks()) == [DiskInfo("one", 0, 2 * GIB), DiskInfo("one", 1, GIB)]


def test_delete_twice_and_before_create(store: DiskStore) -> None:
    driver = store.driver()
    driver.delete_disk("one", 0)
    path = driver.create_disk(ROOT).path
    driver.create_disk(DATA)
    driver.delete_disk("one", 0)
    driver.delete_disk("one", 0)
    assert not Path(path).exists()
    assert [info.slot for info in driver.list_disks()] == [1]


def test_what_is_not_ours_is_left_alone(store: DiskStore) -> None:
    store.plant("one", 0)
    driver = store.driver()
    assert list(driver.list_disks()) == []
    with pytest.raises(DiskError):
        driver.create_disk(ROOT)
    driver.delete_disk("one", 0)
    assert store.count() == 1


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    path = tmp_path / "outside" / "data.raw"
    path.parent.mkdir()
    path.write_bytes(b"the user's".ljust(1 << 20, b"."))
    return path


def wanting(volume: Path, instance_id: str = "one", slot: int = 1) -> DiskRequest:
    return DiskRequest(instance_id, slot, DiskRole.DATA, 0, volume=Volume(str(volume), "raw"))


def test_a_volume_is_taken_as_it_is_and_given_back(store: DiskStore, volume: Path) -> None:
    content, before = volume.read_bytes(), volume.stat()
    disk = store.driver().create_disk(wanting(volume))
    assert (disk.path, disk.format, disk.device, disk.volume) == (str(volume), "raw", "vdb", True)
    assert store.driver().create_disk(wanting(volume)) == disk
    assert [(info.instance_id, info.slot) for info in store.driver().list_disks()] == [("one", 1)]
    store.driver().delete_disk("one", 1)
    store.driver().delete_disk("one", 1)
    assert list(store.driver().list_disks()) == []
    assert (volume.read_bytes(), volume.stat().st_mode) == (content, before.st_mode)
    assert volume.stat().st_mtime_ns == before.st_mtime_ns
    assert store.driver().create_disk(wanting(volume, "two")).path == str(volume)


@pytest.mark.parametrize("link", [None, "symlink_to", "hardlink_to"])
def test_a_volume_is_never_given_to_two(store: DiskStore, volume: Path, link: str | None) -> None:
    """Whatever its name, and on whichever host."""
    other = volume.with_name("other") if link else volume
    if link:
        getattr(other, link)(volume)
    store.driver().create_disk(wanting(volume))
    for driver in (store.driver(), store.driver(Host("node-2", vcpus=8, memory=1 << 34, disk=1 << 40))):
        with pytest.raises(VolumeInUse, match="in use by instance one"):
            driver.create_disk(wanting(other, "two"))
        driver.delete_disk("two", 1)
        assert next(iter(store.driver().list_disks())).instance_id == "one"
    with pytest.raises(VolumeInUse):
        store.driver().create_disk(wanting(other, "one", 2))


def test_of_many_at_once_one_gets_the_volume(store: DiskStore, volume: Path) -> None:
    hosts = [Host(f"node-{number}", vcpus=8, memory=1 << 34, disk=1 << 40) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        tries = [pool.submit(store.driver(host).create_disk, wanting(volume, host.name)) for host in hosts]
    errors = [one.exception() for one in tries]
    assert errors.count(None) == 1
    assert all(isinstance(error, VolumeInUse) for error in errors if error)


def test_disks_at_once(store: DiskStore) -> None:
    requests = [DiskRequest("one", slot, DiskRole.DATA, GIB) for slot in range(10)]
    with ThreadPoolExecutor(8) as pool:
        disks = [f.result() for f in [pool.submit(store.driver().create_disk, request) for request in requests * 2]]
    assert disks[:10] == disks[10:]
    assert store.count() == 10


def test_user_data_are_in_no_file_that_others_may_read(store: DiskStore, tmp_path: Path) -> None:
    store.driver().create_disk(SEED)
    bearing = [path for path in tmp_path.rglob("*") if path.is_file() and b"secret-word" in path.read_bytes()]
    assert all(path.stat().st_mode & 0o077 == 0 for path in bearing)


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
