"""Simulated disks: what a disk would be is a small file in the world, see `slipway.drivers.simworld`."""

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from msgspec import Struct
from msgspec.structs import replace

from slipway.drivers.disk.base import DiskInfo, SnapshotInfo, SnapshotSpace
from slipway.drivers.disk.devices import device_name
from slipway.drivers.disk.volumes import check_free
from slipway.drivers.simulation import Calls
from slipway.drivers.simworld import OWNER, Shelf
from slipway.errors import DiskError
from slipway.model.machine import Disk, DiskRequest, DiskRole
from slipway.model.request import Host, Image, Volume


class SimDiskFile(Struct, frozen=True):
    """A disk as the world has it; size in bytes. Of user data it has the digest only, for they may hold secrets."""

    instance_id: str
    slot: int
    owner: str
    role: DiskRole
    size: int
    image: str | None
    user_data_sha256: str | None
    volume: Volume | None = None


class SimSnapshot(Struct, frozen=True):
    """A snapshot as the world has it: the disk as it was then."""

    snapshot: str
    owner: str
    disk: SimDiskFile


class SimDisk:
    """The disks of one simulated host; may be used by many threads and processes at once."""

    local: ClassVar[bool] = False
    keeps_seeds: ClassVar[bool] = False
    keeps_snapshots: ClassVar[bool] = True

    def __init__(
        self, host: Host, state: Path, installation: str = "", *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._host, self._state = host, state
        self._calls = Calls(host, "disk store", DiskError, sleep)
        self._disks = Shelf(state, host.name, "disks", SimDiskFile, DiskError)
        self._snapshots = Shelf(state, host.name, "snapshots", SimSnapshot, DiskError)

    def capacity(self) -> None:
        """Nothing is measured: there is as much as the host's entry says."""
        self._calls.enter("capacity")

    def create_disk(self, request: DiskRequest) -> Disk:
        """Make the disk, or give the one that was made before. Image and volume are not opened.

        Raises `DiskError` where something that is not ours is in its place, `VolumeInUse`.
        """
        self._calls.enter("create_disk")
        key = _key(request.instance_id, request.slot)
        with self._disks.locked():
            disk = self._disks.get(key)
            if request.clears and (disk is None or disk.owner != OWNER):
                self._disks.clear(key)
                disk = None
            if disk is None:
                disk = _made(request)
                if (source := request.source) is not None:
                    disk = replace(disk, image=self._kept(source.instance_id, source.slot, source.snapshot).disk.image)
                self._put(key, disk)
        return self._known(key, disk)

    def copy_disk(self, request: DiskRequest, source: str) -> Disk:
        """Make the disk as it is on another host, or give the one that was made before."""
        self._calls.enter("copy_disk")
        key = _key(request.instance_id, request.slot)
        original = Shelf(self._state, source, "disks", SimDiskFile, DiskError).get(key)
        with self._disks.locked():
            disk = self._disks.get(key)
            if disk is None:
                if original is None or original.owner != OWNER:
                    raise DiskError(f"{source}: there is no disk {key} of ours to copy")
                disk = original
                self._disks.put(key, disk)
        return self._known(key, disk)

    def _known(self, key: str, disk: SimDiskFile) -> Disk:
        """The disk as it was made. Raises `DiskError` for one that is not ours."""
        if disk.owner != OWNER:
            raise DiskError(f"{self._host.name}: disk {key} exists already and is not ours")
        return Disk(
            instance_id=disk.instance_id,
            slot=disk.slot,
            role=disk.role,
            path=disk.volume.path if disk.volume else self._disks.path(key),
            format=disk.volume.format if disk.volume else "raw" if disk.role is DiskRole.SEED else "qcow2",
            size=disk.size,
            device=device_name(disk.slot),
            volume=disk.volume is not None,
        )

    def _put(self, key: str, disk: SimDiskFile) -> None:
        """Make the disk. Its file is what says who has a volume, so all hosts' disks are looked through first."""
        if disk.volume is None:
            self._disks.put(key, disk)
            return
        with self._disks.everywhere() as disks:
            check_free(disk.volume.path, _volumes(disks))
            self._disks.put(key, disk)

    def check_volume(self, volume: Volume) -> None:
        """Raises `VolumeInUse`."""
        self._calls.enter("check_volume")
        with self._disks.locked(), self._disks.everywhere() as disks:
            check_free(os.path.realpath(volume.path), _volumes(disks))

    def check_image(self, image: Image, size: int) -> None:
        """It is not opened."""
        self._calls.enter("check_image")

    def grow_disk(self, instance_id: str, slot: int, size: int) -> None:
        """Have the world say so."""
        self._calls.enter("grow_disk")
        key = _key(instance_id, slot)
        with self._disks.locked():
            disk = self._disks.get(key)
            if disk is None or disk.owner != OWNER or disk.volume is not None or disk.role is DiskRole.SEED:
                raise DiskError(f"{self._host.name}: there is no disk {key} that could grow")
            if disk.size < size:
                self._disks.put(key, replace(disk, size=size))

    def delete_disk(self, instance_id: str, slot: int) -> None:
        """Delete the disk. Absent: nothing happens."""
        self._calls.enter("delete_disk")
        key = _key(instance_id, slot)
        with self._disks.locked():
            disk = self._disks.get(key)
            if disk is None or disk.owner == OWNER:
                self._disks.remove(key)

    def list_disks(self) -> Sequence[DiskInfo]:
        """All disks that bear our tag."""
        self._calls.enter("list_disks")
        return tuple(
            DiskInfo(disk.instance_id, disk.slot, disk.size) for disk in self._disks.all() if disk.owner == OWNER
        )

    # --- snapshots --------------------------------------------------------------------------------------------------

    def snapshot_space(self, instance_id: str, slots: Sequence[int]) -> SnapshotSpace:
        """As large as the disks; free is what the host has, less all disks and snapshots."""
        self._calls.enter("snapshot_space")
        needed = sum(self._disk(instance_id, slot).size for slot in slots)
        taken = sum(disk.size for disk in self._disks.all()) + sum(one.disk.size for one in self._snapshots.all())
        return SnapshotSpace(needed, max(0, int(self._host.disk * self._host.disk_ratio) - taken))

    def create_snapshot(self, instance_id: str, slot: int, snapshot: str) -> SnapshotInfo:
        """Copy the disk's record."""
        self._calls.enter("create_snapshot")
        return _info(self._keep(instance_id, slot, snapshot))

    def delete_snapshot(self, instance_id: str, slot: int, snapshot: str) -> None:
        """Delete the copy."""
        self._calls.enter("delete_snapshot")
        key = _snapshot_key(instance_id, slot, snapshot)
        with self._snapshots.locked():
            kept = self._snapshots.get(key)
            if kept is None or kept.owner == OWNER:
                self._snapshots.remove(key)

    def list_snapshots(self) -> Sequence[SnapshotInfo]:
        """All that bear our tag."""
        self._calls.enter("list_snapshots")
        return tuple(_info(one) for one in self._snapshots.all() if one.owner == OWNER)

    def set_aside(self, instance_id: str, slot: int, aside: str) -> None:
        """Copy the disk's record."""
        self._calls.enter("set_aside")
        self._keep(instance_id, slot, aside)

    def restore_disk(self, instance_id: str, slot: int, snapshot: str) -> None:
        """Write the copy in the disk's place."""
        self._calls.enter("restore_disk")
        kept = self._kept(instance_id, slot, snapshot).disk
        with self._disks.locked():
            now = self._disk(instance_id, slot)
            self._disks.put(_key(instance_id, slot), replace(kept, size=max(kept.size, now.size)))

    def put_back(self, instance_id: str, slot: int, aside: str) -> None:
        """Write what was set aside in the disk's place."""
        self._calls.enter("put_back")
        key = _snapshot_key(instance_id, slot, aside)
        with self._snapshots.locked():
            kept = self._snapshots.get(key)
            if kept is None or kept.owner != OWNER:
                return
            with self._disks.locked():
                self._disks.put(_key(instance_id, slot), kept.disk)
            self._snapshots.remove(key)

    def _keep(self, instance_id: str, slot: int, snapshot: str) -> SimSnapshot:
        key = _snapshot_key(instance_id, slot, snapshot)
        with self._snapshots.locked():
            kept = self._snapshots.get(key)
            if kept is None:
                kept = SimSnapshot(snapshot, OWNER, self._disk(instance_id, slot))
                self._snapshots.put(key, kept)
        if kept.owner != OWNER:
            raise DiskError(f"{self._host.name}: snapshot {key} exists already and is not ours")
        return kept

    def _disk(self, instance_id: str, slot: int) -> SimDiskFile:
        disk = self._disks.get(_key(instance_id, slot))
        if disk is None or disk.owner != OWNER or disk.volume is not None:
            what = "is a volume that was brought along" if disk is not None and disk.volume else "is not there"
            raise DiskError(f"{self._host.name}: disk {slot} of instance {instance_id} {what}")
        return disk

    def _kept(self, instance_id: str, slot: int, snapshot: str) -> SimSnapshot:
        kept = self._snapshots.get(_snapshot_key(instance_id, slot, snapshot))
        if kept is None or kept.owner != OWNER:
            raise DiskError(f"{self._host.name}: there is no snapshot {snapshot} of disk {slot} of {instance_id}")
        return kept


def _info(kept: SimSnapshot) -> SnapshotInfo:
    return SnapshotInfo(kept.disk.instance_id, kept.disk.slot, kept.snapshot, kept.disk.size)


def _snapshot_key(instance_id: str, slot: int, snapshot: str) -> str:
    return f"{_key(instance_id, slot)}@{snapshot}"


def _volumes(disks: Iterable[SimDiskFile]) -> Iterator[tuple[str, str]]:
    return ((disk.volume.path, disk.instance_id) for disk in disks if disk.volume)


def _key(instance_id: str, slot: int) -> str:
    return f"{instance_id}-{slot}"


def _made(request: DiskRequest) -> SimDiskFile:
    data = None if request.seed is None else request.seed.user_data
    return SimDiskFile(
        instance_id=request.instance_id,
        slot=request.slot,
        owner=OWNER,
        role=request.role,
        size=request.size,
        image=None if request.image is None else request.image.name,
        user_data_sha256=None if data is None else hashlib.sha256(data.encode()).hexdigest(),
        volume=None if request.volume is None else replace(request.volume, path=os.path.realpath(request.volume.path)),
    )
