"""Simulated disks: what a disk would be is a small file in the world, see `slipway.drivers.simworld`."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from msgspec import Struct
from msgspec.structs import replace

from slipway.drivers.disk.base import DiskInfo
from slipway.drivers.disk.devices import device_name
from slipway.drivers.disk.volumes import check_free
from slipway.drivers.simulation import Calls
from slipway.drivers.simworld import OWNER, Shelf
from slipway.errors import DiskError
from slipway.model.machine import Disk, DiskRequest, DiskRole
from slipway.model.request import Host, Volume


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


class SimDisk:
    """The disks of one simulated host; may be used by many threads and processes at once."""

    local: ClassVar[bool] = False
    keeps_seeds: ClassVar[bool] = False

    def __init__(
        self, host: Host, state: Path, installation: str = "", *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._host = host
        self._calls = Calls(host, "disk store", DiskError, sleep)
        self._disks = Shelf(state, host.name, "disks", SimDiskFile, DiskError)

    def create_disk(self, request: DiskRequest) -> Disk:
        """Make the disk, or give the one that was made before. Image and volume are not opened.

        Raises `DiskError` where something that is not ours is in its place, `VolumeInUse`.
        """
        self._calls.enter("create_disk")
        key = _key(request.instance_id, request.slot)
        with self._disks.locked():
            disk = self._disks.get(key)
            if disk is None:
                disk = _made(request)
                self._put(key, disk)
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
            taken = ((other.volume.path, other.instance_id) for other in disks if other.volume)
            check_free(disk.volume.path, taken)
            self._disks.put(key, disk)

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
