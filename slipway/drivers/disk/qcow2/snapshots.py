"""Snapshots of disks: whole copies beside them, `<instance id>-<slot>@<snapshot>.snapshot`.

A disk's file has all of it while nobody writes on it, but for the image that it is on, which never changes. So a copy
of the file is a disk as well, made at the speed of the file system, and at once where that shares what files have in
common.
"""

from __future__ import annotations

import fcntl
import math
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from slipway.drivers.deadline import left
from slipway.drivers.disk.base import SnapshotInfo
from slipway.drivers.files import TEMPORARY, file_name, text_of
from slipway.drivers.images import qemu_img
from slipway.drivers.images.header import read_header
from slipway.drivers.images.room import check_room
from slipway.errors import DiskError

_SUFFIX = ".snapshot"
_CHUNK = 1 << 20
_FICLONE = 0x40049409
"""Have a file share another one's blocks, where the file system can (btrfs, XFS)."""


class Snapshots:
    """The snapshots in one directory of disks. Raises `OSError`, and `DiskError` for what is not there or not ours."""

    def __init__(self, host: str, directory: Path) -> None:
        self._host = host
        self._directory = directory

    def path(self, instance_id: str, slot: int, snapshot: str) -> str:
        """The snapshot's file. Names have no `@` in them there: it is percent-encoded."""
        return f"{self._directory}/{file_name(instance_id)}-{slot}@{file_name(snapshot)}{_SUFFIX}"

    def all(self) -> Iterator[SnapshotInfo]:
        """All that are ours."""
        try:
            names = sorted(os.listdir(self._directory))
        except FileNotFoundError:
            return
        for name in names:
            disk, _, snapshot = name.removesuffix(_SUFFIX).partition("@")
            instance, _, slot = disk.rpartition("-")
            if not name.endswith(_SUFFIX) or not slot.isdecimal():
                continue
            found = _taken(f"{self._directory}/{name}")
            if found is not None:
                yield SnapshotInfo(text_of(instance), int(slot), text_of(snapshot), found)

    def copy(self, disk: str, instance_id: str, slot: int, snapshot: str) -> SnapshotInfo:
        """Copy the disk of that file. Needs the lock of the directory for what is of this name."""
        path = self.path(instance_id, slot, snapshot)
        if not os.path.lexists(path):
            check_room(str(self._directory), taken(disk))
            copy(disk, path)
        return SnapshotInfo(instance_id, slot, snapshot, self._own(path))

    def set_aside(self, disk: str, instance_id: str, slot: int, aside: str) -> None:
        """Give the disk's file a second name: whatever gets the first one, this is what it was."""
        with suppress(FileExistsError):
            os.link(disk, self.path(instance_id, slot, aside))

    def restore(self, disk: str, instance_id: str, slot: int, snapshot: str) -> None:
        """Have a copy of the snapshot in the disk's place, as large as the disk is by now."""
        path = self.path(instance_id, slot, snapshot)
        self._own(path)
        check_room(str(self._directory), taken(path))
        copy(path, disk, at_least=_size(disk))

    def put_back(self, disk: str, instance_id: str, slot: int, aside: str) -> None:
        """Have what was set aside in the disk's place; where it is that still, nothing more is left aside."""
        path = self.path(instance_id, slot, aside)
        with suppress(FileNotFoundError):
            if os.path.exists(disk) and os.path.samefile(path, disk):
                os.unlink(path)
            else:
                os.rename(path, disk)

    def delete(self, instance_id: str, slot: int, snapshot: str) -> None:
        """Delete it, and what a copy that was killed has left of it."""
        path = self.path(instance_id, slot, snapshot)
        for name in (path + TEMPORARY, path):
            if not os.path.lexists(name) or stat.S_ISREG(os.lstat(name).st_mode):
                with suppress(FileNotFoundError):
                    os.unlink(name)

    def _own(self, path: str) -> int:
        found = _taken(path)
        if found is None:
            raise DiskError(f"{self._host}: {path} is not there, or not ours")
        return found


def copy(source: str, target: str, *, at_least: int = 0) -> None:
    """Have a copy of a qcow2 file under another name, in one step and with mode 0600; a guest sees `at_least` so many
    bytes. Raises `StepTimeout` where the time of the step is over before it is made."""
    temporary = target + TEMPORARY
    try:
        with open(source, "rb", buffering=0) as old:
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with open(fd, "wb") as new:
                try:
                    fcntl.ioctl(new, _FICLONE, old.fileno())
                except OSError:
                    while chunk := old.read(_CHUNK):
                        left(math.inf)
                        # Holes stay holes.
                        if chunk.count(0) == len(chunk):
                            new.seek(len(chunk), os.SEEK_CUR)
                        else:
                            new.write(chunk)
                    new.truncate(new.tell())
        if _size(temporary) < at_least:
            qemu_img.resize(temporary, at_least)
        os.rename(temporary, target)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)


def taken(path: str) -> int:
    """The bytes that a file takes of its file system."""
    return os.stat(path).st_blocks * 512


def _taken(path: str) -> int | None:
    """None where no snapshot of ours is there."""
    with suppress(FileNotFoundError):
        found = os.lstat(path)
        if stat.S_ISREG(found.st_mode) and read_header(path) is not None:
            return found.st_blocks * 512
    return None


def _size(path: str) -> int:
    """What a guest sees of it, in bytes."""
    header = read_header(path)
    return header.size if header else 0
