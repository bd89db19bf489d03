"""The disks of one host's instances: `disks/<host>/<instance id>-<slot>.qcow2`, or `.iso`, in the state directory."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ClassVar

from slipway.drivers.disk.base import DiskInfo
from slipway.drivers.disk.devices import device_name
from slipway.drivers.disk.qcow2 import qemu_img
from slipway.drivers.disk.qcow2.header import read_header
from slipway.drivers.disk.qcow2.images import ImageCache
from slipway.drivers.disk.qcow2.seed import seed_image
from slipway.drivers.files import TEMPORARY, file_name, locked, make_directories, remove, replace, text_of
from slipway.errors import DiskError, FlavorDiskTooSmall
from slipway.model import Disk, DiskRequest, DiskRole, Host

_DISK, _SEED = ".qcow2", ".iso"


class Qcow2Disk:
    """Files with mode 0600 in directories of mode 0700; may be used by many threads and processes at once.

    Ours is what lies there by the right name, is a file, and is whole: a disk gets its name when it is.
    """

    local: ClassVar[bool] = False

    def __init__(self, host: Host, state: Path, installation: str) -> None:
        """The state directory is one installation's."""
        self._host = host.name
        self._directory = state.absolute() / "disks" / file_name(host.name)
        self._images = ImageCache(host.name, state)

    def create_disk(self, request: DiskRequest) -> Disk:
        """Make the disk, or give the one that was made before: an overlay on its image, an empty one, or the seed.

        Raises `DiskError`, `ImageUnacceptable`, and `FlavorDiskTooSmall` for an image that is larger than the disk.
        """
        path = self._path(request.instance_id, request.slot, _SEED if request.role is DiskRole.SEED else _DISK)
        with self._translated():
            size = _size(path)
            if size is None:
                size = self._make(request, path)
        return Disk(
            instance_id=request.instance_id,
            slot=request.slot,
            role=request.role,
            path=path,
            format="raw" if request.role is DiskRole.SEED else "qcow2",
            size=size,
            device=device_name(request.slot),
        )

    def delete_disk(self, instance_id: str, slot: int) -> None:
        """Delete the disk. Absent: nothing happens."""
        with self._translated(), suppress(FileNotFoundError), locked(self._directory):
            for path in (self._path(instance_id, slot, suffix) for suffix in (_DISK, _SEED)):
                if not os.path.lexists(path) or _size(path) is not None:
                    remove(path)

    def list_disks(self) -> Sequence[DiskInfo]:
        """All disks that are ours, by instance and slot."""
        with self._translated():
            try:
                names = os.listdir(self._directory)
            except FileNotFoundError:
                return ()
            found = [info for name in names if (info := self._info(name)) is not None]
        return tuple(sorted(found, key=lambda info: (info.instance_id, info.slot)))

    def _make(self, request: DiskRequest, path: str) -> int:
        """Make the file under another name, then give it its own; its size."""
        base = None
        if request.image is not None and request.image.path is not None:
            image = self._images.base(request.image)
            if image.size > request.size:
                raise FlavorDiskTooSmall(
                    f"image {request.image.name} has {image.size} bytes, the disk for it {request.size}"
                )
            base = (image.path, image.format)
        make_directories(self._directory)
        with locked(self._directory):
            if not os.path.lexists(path):
                if request.seed is not None:
                    replace(path, seed_image(request.seed))
                else:
                    _make_qcow2(path, request.size, base)
            size = _size(path)
        if size is None:
            raise DiskError(f"{self._host}: {path} exists already and is not ours")
        return size

    def _info(self, name: str) -> DiskInfo | None:
        stem, suffix = os.path.splitext(name)
        instance, _, slot = stem.rpartition("-")
        if suffix not in (_DISK, _SEED) or not slot.isdecimal():
            return None
        size = _size(f"{self._directory}/{name}")
        return None if size is None else DiskInfo(text_of(instance), int(slot), size)

    def _path(self, instance_id: str, slot: int, suffix: str) -> str:
        return f"{self._directory}/{file_name(instance_id)}-{slot}{suffix}"

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DiskError(f"{self._host}: the instances' disks cannot be used: {error}") from error


def _make_qcow2(path: str, size: int, base: tuple[str, str] | None) -> None:
    temporary = path + TEMPORARY
    try:
        # Made beforehand for its mode: qemu-img takes the umask's.
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600))
        qemu_img.create(temporary, size, base)
        os.rename(temporary, path)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)


def _size(path: str) -> int | None:
    """The size of a disk of ours in bytes; None where nothing is there, or something else."""
    with suppress(FileNotFoundError):
        found = os.lstat(path)
        if stat.S_ISREG(found.st_mode):
            if path.endswith(_SEED):
                return found.st_size
            header = read_header(path)
            return header.size if header else None
    return None
