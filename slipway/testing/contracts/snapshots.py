"""What a disk driver that keeps snapshots guarantees besides."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from slipway.drivers.disk.base import DiskDriver
from slipway.errors import DiskError
from slipway.model.machine import DiskRequest, DiskRole, DiskSnapshot
from slipway.testing.contracts.disk import DATA, ROOT, DiskContract, Make, wanting
from slipway.testing.contracts.samples import GIB

Write = Callable[[str, int, str], None]
Read = Callable[[str, int], str]


class SnapshotContract(DiskContract):
    """Subclass it and override `make_driver`, `write` and `read`."""

    @pytest.fixture
    def write(self) -> Write:
        """Writes on the disk of an instance's slot, as its guest would."""
        raise NotImplementedError(f"{type(self).__name__}: override the fixture write")

    @pytest.fixture
    def read(self) -> Read:
        """What was written last on the disk of an instance's slot."""
        raise NotImplementedError(f"{type(self).__name__}: override the fixture read")

    @pytest.fixture
    def driver(self, make_driver: Make, write: Write) -> DiskDriver:
        """One with a disk, on which is written `before`."""
        driver = make_driver()
        driver.create_disk(ROOT)
        write("one", 0, "before")
        return driver

    def test_a_snapshot_is_made_once_and_listed(self, driver: DiskDriver, make_driver: Make) -> None:
        assert driver.keeps_snapshots
        assert list(driver.list_snapshots()) == []
        made = driver.create_snapshot("one", 0, "first")
        assert (made.instance_id, made.slot, made.snapshot) == ("one", 0, "first")
        assert make_driver().create_snapshot("one", 0, "first") == made
        assert list(make_driver().list_snapshots()) == [made]
        assert [info.slot for info in driver.list_disks()] == [0], "a snapshot is no disk"

    def test_a_disk_gets_back_what_it_had(self, driver: DiskDriver, write: Write, read: Read) -> None:
        driver.create_snapshot("one", 0, "first")
        write("one", 0, "after")
        driver.restore_disk("one", 0, "first")
        driver.restore_disk("one", 0, "first")
        assert read("one", 0) == "before"
        write("one", 0, "later")
        driver.restore_disk("one", 0, "first")
        assert read("one", 0) == "before", "the snapshot is not written on"

    def test_what_was_set_aside_comes_back(self, driver: DiskDriver, write: Write, read: Read) -> None:
        driver.create_snapshot("one", 0, "first")
        write("one", 0, "after")
        driver.set_aside("one", 0, "@aside")
        driver.set_aside("one", 0, "@aside")
        driver.restore_disk("one", 0, "first")
        driver.put_back("one", 0, "@aside")
        driver.put_back("one", 0, "@aside")
        assert read("one", 0) == "after"
        assert [one.snapshot for one in driver.list_snapshots()] == ["first"]

    def test_what_was_set_aside_and_not_replaced_comes_back_as_well(self, driver: DiskDriver, read: Read) -> None:
        driver.set_aside("one", 0, "@aside")
        driver.put_back("one", 0, "@aside")
        assert read("one", 0) == "before"
        assert list(driver.list_snapshots()) == []

    def test_what_was_set_aside_can_be_let_go(self, driver: DiskDriver, write: Write, read: Read) -> None:
        driver.create_snapshot("one", 0, "first")
        write("one", 0, "after")
        driver.set_aside("one", 0, "@aside")
        driver.restore_disk("one", 0, "first")
        driver.delete_snapshot("one", 0, "@aside")
        driver.put_back("one", 0, "@aside")
        assert read("one", 0) == "before"

    def test_a_snapshot_is_deleted_twice_and_before_it_is_made(self, driver: DiskDriver, read: Read) -> None:
        driver.delete_snapshot("one", 0, "first")
        driver.create_snapshot("one", 0, "first")
        driver.create_snapshot("one", 0, "1")
        driver.delete_snapshot("one", 0, "first")
        driver.delete_snapshot("one", 0, "first")
        assert [one.snapshot for one in driver.list_snapshots()] == ["1"]
        assert read("one", 0) == "before"
        with pytest.raises(DiskError):
            driver.restore_disk("one", 0, "first")

    def test_a_snapshot_stays_when_its_disk_goes(self, driver: DiskDriver) -> None:
        driver.create_snapshot("one", 0, "first")
        driver.delete_disk("one", 0)
        assert [one.snapshot for one in driver.list_snapshots()] == ["first"]
        driver.delete_snapshot("one", 0, "first")
        assert list(driver.list_snapshots()) == []

    def test_there_is_none_of_what_is_not_there(self, driver: DiskDriver, volume: Path) -> None:
        driver.create_disk(wanting(volume))
        for slot in (1, 7):
            with pytest.raises(DiskError):
                driver.create_snapshot("one", slot, "first")
            with pytest.raises(DiskError):
                driver.set_aside("one", slot, "first")
        assert list(driver.list_snapshots()) == []

    def test_a_disk_that_has_grown_stays_large(self, make_driver: Make, write: Write, read: Read) -> None:
        driver = make_driver()
        driver.create_disk(replace(DATA, slot=0))
        write("one", 0, "before")
        driver.create_snapshot("one", 0, "small")
        driver.delete_disk("one", 0)
        driver.create_disk(ROOT)
        driver.restore_disk("one", 0, "small")
        assert [info.size for info in driver.list_disks()] == [2 * GIB]
        assert read("one", 0) == "before"

    def test_a_disk_can_start_from_a_snapshot(self, driver: DiskDriver, write: Write, read: Read) -> None:
        driver.create_snapshot("one", 0, "first")
        copy = DiskRequest("two", 0, DiskRole.ROOT, 2 * GIB, source=DiskSnapshot("one", 0, "first"))
        disk = driver.create_disk(copy)
        driver.delete_snapshot("one", 0, "first")
        assert driver.create_disk(copy) == disk
        write("two", 0, "after")
        assert (read("one", 0), read("two", 0)) == ("before", "after")
        lost = replace(copy, instance_id="three")
        with pytest.raises(DiskError):
            driver.create_disk(lost)
        assert {info.instance_id for info in driver.list_disks()} == {"one", "two"}

    def test_it_is_said_what_a_snapshot_takes(self, driver: DiskDriver) -> None:
        driver.create_disk(DATA)
        one, both = driver.snapshot_space("one", [0]), driver.snapshot_space("one", [0, 1])
        assert 0 < one.needed < both.needed
        assert both.free > 0
