"""What a disk driver must do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

from msgspec import Struct

from slipway.model.machine import Disk, DiskRequest


class DiskInfo(Struct, frozen=True):
    """A disk that bears our tag, as it lies there, or a volume that we gave out; `size` in bytes.

    `fault` says what keeps a domain from being started with it, if anything.
    """

    instance_id: str
    slot: int
    size: int
    fault: str = ""


class DiskDriver(Protocol):
    """The disks of one host's instances. Every call is safe to repeat; a disk is found by instance and slot.

    Raises `DiskError` for what this host cannot do, `ImageUnacceptable` for an image that nobody could use.
    """

    local: ClassVar[bool]
    keeps_seeds: ClassVar[bool]
    """Whether what is on a seed can be read: then each instance gets one, if only for its host name."""

    def create_disk(self, request: DiskRequest) -> Disk:
        """Make the disk, or give the one that was made before. An image in `request` is what it starts from.

        A volume is taken as it is, by one instance at a time. Raises `VolumeInUse`.
        """

    def delete_disk(self, instance_id: str, slot: int) -> None:
        """Delete the disk. Absent: nothing happens. A volume is given back, and its file left alone."""

    def list_disks(self) -> Sequence[DiskInfo]:
        """All disks that bear our tag."""
