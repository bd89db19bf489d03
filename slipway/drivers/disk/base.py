"""What a disk driver must do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

from msgspec import Struct

from slipway.model.machine import Disk, DiskRequest
from slipway.model.request import Image, Volume


class DiskInfo(Struct, frozen=True):
    """A disk that bears our tag, as it lies there, or a volume that we gave out; `size` in bytes.

    `fault` says what keeps a domain from being started with it, if anything.
    """

    instance_id: str
    slot: int
    size: int
    fault: str = ""


class SnapshotInfo(Struct, frozen=True):
    """A copy of a disk as it was at one moment, that bears our tag; `size`: the bytes that it takes."""

    instance_id: str
    slot: int
    snapshot: str
    size: int


class SnapshotSpace(Struct, frozen=True):
    """The bytes that a snapshot would take at most, and those that are to spare for it."""

    needed: int
    free: int


def keeps_snapshots(driver: DiskDriver) -> bool:
    """Whether it has the calls for snapshots; one of another package may be older than they are."""
    return getattr(driver, "keeps_snapshots", False)


class DiskDriver(Protocol):
    """The disks of one host's instances. Every call is safe to repeat; a disk is found by instance and slot.

    Where `keeps_snapshots` is false the driver need not have the calls for them, which are the last seven. While one of
    them is made nobody writes on the disk: its guest is stopped, or paused.

    Raises `DiskError` for what this host cannot do, `ImageUnacceptable` for an image that nobody could use.
    """

    local: ClassVar[bool]
    keeps_seeds: ClassVar[bool]
    """Whether what is on a seed can be read: then each instance gets one, if only for its host name."""
    keeps_snapshots: ClassVar[bool]

    def create_disk(self, request: DiskRequest) -> Disk:
        """Make the disk, or give the one that was made before. An image or a snapshot in `request` is what it starts
        from.

        A volume is taken as it is, by one instance at a time. Raises `VolumeInUse`.
        """

    def capacity(self) -> int | None:
        """The bytes of where its disks are, whoever has them; None: it measures nothing."""

    def check_volume(self, volume: Volume) -> None:
        """Raise what `create_disk` would for the volume now: `VolumeInUse`, `ImageUnacceptable`. Nothing is made."""

    def check_image(self, image: Image, size: int) -> None:
        """Raise what `create_disk` would for a disk of so many bytes from the image now; the image may be fetched for
        that, and nothing else is made."""

    def copy_disk(self, request: DiskRequest, source: str) -> Disk:
        """Make the disk as it lies on another host of the same kind, or give the one that was made before.

        `source`: that host's name. Nobody may write to it meanwhile, and it stays. A volume is taken as it is, beside
        the other host. Raises `DiskError`, also where there is none.
        """

    def grow_disk(self, instance_id: str, slot: int, size: int) -> None:
        """Have the disk be so many bytes large, with what is on it. As large or larger: nothing happens.

        No guest may have it open. Raises `DiskError` where there is no such disk, also for a seed or a volume.
        """

    def delete_disk(self, instance_id: str, slot: int) -> None:
        """Delete the disk. Absent: nothing happens. A volume is given back, and its file left alone."""

    def list_disks(self) -> Sequence[DiskInfo]:
        """All disks that bear our tag."""

    def snapshot_space(self, instance_id: str, slots: Sequence[int]) -> SnapshotSpace:
        """What a snapshot of these disks would take."""

    def create_snapshot(self, instance_id: str, slot: int, snapshot: str) -> SnapshotInfo:
        """Copy the disk as it is, or give the copy of that name that was made before. Raises `DiskError` where there is
        no such disk, also for a volume: that is its owner's, and for want of room.
        """

    def delete_snapshot(self, instance_id: str, slot: int, snapshot: str) -> None:
        """Delete the copy. Absent: nothing happens."""

    def list_snapshots(self) -> Sequence[SnapshotInfo]:
        """All copies that bear our tag, those that were set aside among them."""

    def set_aside(self, instance_id: str, slot: int, aside: str) -> None:
        """Keep the disk as it is as a snapshot of that name, at no cost, until `put_back` or `delete_snapshot`.

        Set aside before: nothing happens.
        """

    def restore_disk(self, instance_id: str, slot: int, snapshot: str) -> None:
        """Have the disk be what the snapshot is, as a whole or not at all; one that has grown since stays so large.

        Raises `DiskError` where there is no such snapshot.
        """

    def put_back(self, instance_id: str, slot: int, aside: str) -> None:
        """Have the disk be what was set aside, which then is there no more. Nothing was: nothing happens."""
