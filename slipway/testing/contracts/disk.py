"""What every disk driver guarantees, as `slipway.drivers.disk.base` says it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import pytest
from msgspec.structs import replace

from slipway.drivers.disk.base import DiskDriver, DiskInfo
from slipway.drivers.disk.devices import device_name
from slipway.errors import DiskError, VolumeInUse
from slipway.model.machine import DiskRequest, DiskRole, Seed
from slipway.model.request import Host, Image, Volume
from slipway.testing.contracts.samples import GIB, HOST, lacking

ROOT = DiskRequest("one", 0, DiskRole.ROOT, 2 * GIB)
DATA = DiskRequest("one", 1, DiskRole.DATA, GIB)
SEED = DiskRequest("one", 2, DiskRole.SEED, 0, seed=Seed("#cloud-config\npassword: secret-word\n", "{}", "{}"))

SNAPSHOT_CALLS = {
    *("snapshot_space", "create_snapshot", "delete_snapshot", "list_snapshots", "set_aside", "restore_disk", "put_back")
}
"""What only a driver that keeps snapshots has: see `slipway.testing.contracts.snapshots`."""

Count = Callable[[], int]
Plant = Callable[[str, int], Callable[[], bool]]


class Make(Protocol):
    """Makes a driver of a host's disks; each call another one, as after a restart. All hosts share the volumes."""

    def __call__(self, host: Host = HOST) -> DiskDriver: ...


class DiskContract:
    """Subclass it and override the fixture `make_driver`; `plant` and `count` say what the driver itself cannot."""

    @pytest.fixture
    def make_driver(self) -> Make:
        """See `Make`; there are no disks yet."""
        raise NotImplementedError(f"{type(self).__name__}: override the fixture make_driver")

    @pytest.fixture
    def plant(self) -> Plant:
        """Puts what is not ours where the disk of an instance's slot would be; gives whether that is still there."""
        pytest.skip(f"{type(self).__name__} does not say how to make a disk that is not ours: override `plant`")

    @pytest.fixture
    def count(self, make_driver: Make) -> Count:
        """Tells how many disks there are on the host; better not by the driver."""
        return lambda: len(make_driver().list_disks())

    @pytest.fixture
    def volume(self, tmp_path: Path) -> Path:
        """A file of the user's own."""
        path = tmp_path / "outside" / "data.raw"
        path.parent.mkdir()
        path.write_bytes(b"the user's".ljust(1 << 20, b"."))
        return path

    def test_it_has_all_that_the_protocol_names(self, make_driver: Make) -> None:
        driver = make_driver()
        assert lacking(driver, DiskDriver) - (set() if driver.keeps_snapshots else SNAPSHOT_CALLS) == set()

    def test_to_look_at_an_image_makes_no_disk(self, make_driver: Make, count: Count) -> None:
        make_driver().check_image(Image("kernel", kernel="/vmlinuz"), GIB)
        assert count() == 0

    def test_a_disk_is_made_once(self, make_driver: Make, count: Count) -> None:
        disk = make_driver().create_disk(ROOT)
        assert (disk.instance_id, disk.slot, disk.role, disk.size) == ("one", 0, DiskRole.ROOT, 2 * GIB)
        assert disk.device == device_name(0)
        assert Path(disk.path).exists()
        assert make_driver().create_disk(ROOT) == disk
        assert count() == 1

    def test_each_role_has_its_device(self, make_driver: Make) -> None:
        """Virtio disks in slot order."""
        disks = [make_driver().create_disk(request) for request in (ROOT, DATA, SEED)]
        assert [disk.device for disk in disks] == [device_name(slot) for slot in range(3)]
        assert all(disk.format for disk in disks)
        assert len({disk.path for disk in disks}) == 3

    def test_list_disks(self, make_driver: Make) -> None:
        assert list(make_driver().list_disks()) == []
        make_driver().create_disk(DATA)
        make_driver().create_disk(ROOT)
        assert list(make_driver().list_disks()) == [DiskInfo("one", 0, 2 * GIB), DiskInfo("one", 1, GIB)]

    def test_a_disk_grows_and_never_shrinks(self, make_driver: Make) -> None:
        driver = make_driver()
        for request in (ROOT, DATA):
            driver.create_disk(request)
        for size in (3 * GIB, 3 * GIB, GIB):
            driver.grow_disk("one", 0, size)
            assert [(info.slot, info.size) for info in make_driver().list_disks()] == [(0, 3 * GIB), (1, GIB)]
        assert driver.create_disk(ROOT).size == 3 * GIB
        with pytest.raises(DiskError):
            driver.grow_disk("one", 7, GIB)

    def test_a_seed_or_a_volume_does_not_grow(self, make_driver: Make, volume: Path) -> None:
        driver = make_driver()
        driver.create_disk(SEED)
        driver.create_disk(replace(DATA, size=0, volume=Volume(str(volume), "raw")))
        before = volume.stat().st_size
        for slot in (1, 2):
            with pytest.raises(DiskError):
                driver.grow_disk("one", slot, 4 * GIB)
        assert volume.stat().st_size == before

    def test_delete_twice_and_before_create(self, make_driver: Make) -> None:
        driver = make_driver()
        driver.delete_disk("one", 0)
        path = driver.create_disk(ROOT).path
        driver.create_disk(DATA)
        driver.delete_disk("one", 0)
        driver.delete_disk("one", 0)
        assert not Path(path).exists()
        assert [info.slot for info in driver.list_disks()] == [1]

    def test_what_is_not_ours_is_left_alone(self, make_driver: Make, plant: Plant) -> None:
        is_there = plant("one", 0)
        driver = make_driver()
        assert list(driver.list_disks()) == []
        with pytest.raises(DiskError):
            driver.create_disk(ROOT)
        driver.delete_disk("one", 0)
        assert is_there()

    def test_a_volume_is_taken_as_it_is_and_given_back(self, make_driver: Make, volume: Path) -> None:
        content, before = volume.read_bytes(), volume.stat()
        disk = make_driver().create_disk(wanting(volume))
        assert (disk.path, disk.format, disk.device, disk.volume) == (str(volume), "raw", device_name(1), True)
        assert make_driver().create_disk(wanting(volume)) == disk
        assert [(info.instance_id, info.slot) for info in make_driver().list_disks()] == [("one", 1)]
        make_driver().delete_disk("one", 1)
        make_driver().delete_disk("one", 1)
        assert list(make_driver().list_disks()) == []
        assert (volume.read_bytes(), volume.stat().st_mode) == (content, before.st_mode)
        assert volume.stat().st_mtime_ns == before.st_mtime_ns
        assert make_driver().create_disk(wanting(volume, "two")).path == str(volume)

    def test_a_disk_is_copied_to_another_host_once_and_stays(self, make_driver: Make, volume: Path) -> None:
        other = replace(HOST, name="node-2")
        for request in (ROOT, SEED):
            original = make_driver().create_disk(request)
            copy = make_driver(other).copy_disk(request, source=HOST.name)
            assert copy.path != original.path
            assert replace(copy, path=original.path) == original
            assert Path(copy.path).read_bytes() == Path(original.path).read_bytes()
            assert make_driver(other).copy_disk(request, source=HOST.name) == copy
            make_driver().delete_disk("one", request.slot)
            assert Path(copy.path).exists()
        with pytest.raises(DiskError):
            make_driver(other).copy_disk(DATA, source=HOST.name)

    def test_a_volume_is_taken_on_another_host_as_well_and_stays_its_instance_s(
        self, make_driver: Make, volume: Path
    ) -> None:
        other = replace(HOST, name="node-2")
        disk = make_driver().create_disk(wanting(volume))
        assert make_driver(other).copy_disk(wanting(volume), source=HOST.name).path == disk.path
        make_driver().delete_disk("one", 1)
        with pytest.raises(VolumeInUse, match="one"):
            make_driver().create_disk(wanting(volume, "two"))
        make_driver(other).delete_disk("one", 1)
        assert make_driver().create_disk(wanting(volume, "two")).path == str(volume)

    @pytest.mark.parametrize("link", [None, "symlink_to", "hardlink_to"])
    def test_a_volume_is_never_given_to_two(self, make_driver: Make, volume: Path, link: str | None) -> None:
        """Whatever its name, and on whichever host."""
        other = volume.with_name("other") if link else volume
        if link:
            getattr(other, link)(volume)
        make_driver().check_volume(Volume(str(other), "raw"))
        make_driver().create_disk(wanting(volume))
        for driver in (make_driver(), make_driver(replace(HOST, name="node-2"))):
            with pytest.raises(VolumeInUse, match="one"):
                driver.create_disk(wanting(other, "two"))
            with pytest.raises(VolumeInUse, match="one"):
                driver.check_volume(Volume(str(other), "raw"))
            driver.delete_disk("two", 1)
            assert next(iter(make_driver().list_disks())).instance_id == "one"
        with pytest.raises(VolumeInUse):
            make_driver().create_disk(wanting(other, "one", 2))

    def test_of_many_at_once_one_gets_the_volume(self, make_driver: Make, volume: Path) -> None:
        hosts = [replace(HOST, name=f"node-{number}") for number in range(8)]
        with ThreadPoolExecutor(8) as pool:
            tries = [pool.submit(make_driver(host).create_disk, wanting(volume, host.name)) for host in hosts]
        errors = [one.exception() for one in tries]
        assert errors.count(None) == 1
        assert all(isinstance(error, VolumeInUse) for error in errors if error)

    def test_disks_at_once(self, make_driver: Make, count: Count) -> None:
        requests = [DiskRequest("one", slot, DiskRole.DATA, GIB) for slot in range(10)]
        with ThreadPoolExecutor(8) as pool:
            disks = [f.result() for f in [pool.submit(make_driver().create_disk, request) for request in requests * 2]]
        assert disks[:10] == disks[10:]
        assert count() == 10

    def test_user_data_are_in_no_file_that_others_may_read(self, make_driver: Make, tmp_path: Path) -> None:
        make_driver().create_disk(SEED)
        bearing = [path for path in tmp_path.rglob("*") if path.is_file() and b"secret-word" in path.read_bytes()]
        assert all(path.stat().st_mode & 0o077 == 0 for path in bearing)


def wanting(volume: Path, instance_id: str = "one", slot: int = 1) -> DiskRequest:
    """The request of a disk that is this volume."""
    return DiskRequest(instance_id, slot, DiskRole.DATA, 0, volume=Volume(str(volume), "raw"))
