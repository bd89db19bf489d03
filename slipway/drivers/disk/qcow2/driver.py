"""The disks of one host's instances: `disks/<host>/<instance id>-<slot>.qcow2`, or `.iso`, in the state directory.

A volume that was brought along stays where it is; `<instance id>-<slot>.volume` there says who has it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ClassVar

import msgspec

from slipway.drivers.disk.base import DiskInfo, SnapshotInfo, SnapshotSpace
from slipway.drivers.disk.devices import device_name
from slipway.drivers.disk.qcow2.seed import seed_image
from slipway.drivers.disk.qcow2.snapshots import Snapshots, copy, taken
from slipway.drivers.disk.volumes import check_free
from slipway.drivers.files import TEMPORARY, clear, file_name, locked, make_directories, remove, replace, text_of
from slipway.drivers.images import qemu_img
from slipway.drivers.images.cache import ImageCache
from slipway.drivers.images.header import backing_file, read_header
from slipway.drivers.images.integrity import check, check_whole
from slipway.drivers.images.room import capacity, spare
from slipway.errors import DiskError, FlavorDiskTooSmall, ImageUnacceptable
from slipway.model.machine import Disk, DiskRequest, DiskRole, DiskSnapshot
from slipway.model.request import Host, Image, Volume

_DISK, _SEED, _VOLUME = ".qcow2", ".iso", ".volume"


class _Attached(msgspec.Struct, frozen=True):
    """The content of a `.volume` file: the volume's real path, its format, and what a guest sees, in bytes."""

    path: str
    format: str
    size: int


class Qcow2Disk:
    """Files with mode 0600 in directories of mode 0700; may be used by many threads and processes at once.

    Ours is what lies there by the right name, is a file, and is whole: a disk gets its name when it is.
    """

    local: ClassVar[bool] = False
    keeps_seeds: ClassVar[bool] = True
    keeps_snapshots: ClassVar[bool] = True

    def __init__(self, host: Host, state: Path, installation: str) -> None:
        """The state directory is one installation's."""
        self._host = host.name
        self._directory = state.absolute() / "disks" / file_name(host.name)
        self._state = os.path.realpath(state)
        self._images = ImageCache(host.name, state)
        self._snapshots = Snapshots(host.name, self._directory)

    def capacity(self) -> int:
        """Those of the state directory's file system."""
        with self._translated():
            return capacity(self._state)

    def create_disk(self, request: DiskRequest) -> Disk:
        """Make the disk, or give the one that was made before: an overlay on its image, an empty one, or the seed.

        Raises `DiskError`, `ImageUnacceptable`, `VolumeInUse`, and `FlavorDiskTooSmall` for an image that has no room.
        """
        if request.volume is not None:
            with self._translated():
                return self._attached(request, request.volume)
        path = self._path(request.instance_id, request.slot, _SEED if request.role is DiskRole.SEED else _DISK)
        with self._translated():
            if _size(path) is None:
                self._make(request, path)
            return self._there(request, path)

    def _there(self, request: DiskRequest, path: str) -> Disk:
        """The disk that lies there. Raises `DiskError` for something that is not ours."""
        size = _size(path)
        if size is None:
            raise DiskError(f"{self._host}: {path} exists already and is not ours")
        return Disk(
            instance_id=request.instance_id,
            slot=request.slot,
            role=request.role,
            path=path,
            format="raw" if request.role is DiskRole.SEED else "qcow2",
            size=size,
            device=device_name(request.slot),
            direct=_takes_direct(path),
        )

    def check_volume(self, volume: Volume) -> None:
        """Raises `VolumeInUse`, `ImageUnacceptable`, and `DiskError` for what this host cannot do."""
        with self._translated():
            path = os.path.realpath(volume.path)
            check_free(path, self._taken())
            self._checked(path, volume.format)

    def check_image(self, image: Image, size: int) -> None:
        """The image is in the cache then. Raises `ImageUnacceptable`, `FlavorDiskTooSmall`, `DiskError`."""
        with self._translated(), self._base(image, size):
            """It is there, and fits."""

    def copy_disk(self, request: DiskRequest, source: str) -> Disk:
        """Copy the disk, or the seed, of another host; all hosts of this state directory have the same images.

        Holes stay holes. Raises `DiskError`, and `ImageUnacceptable` where a volume is gone.
        """
        there = self._directory.parent / file_name(source)
        if request.volume is not None:
            with self._translated():
                return self._shared(request, there)
        path = self._path(request.instance_id, request.slot, _SEED if request.role is DiskRole.SEED else _DISK)
        with self._translated():
            if _size(path) is None:
                original = f"{there}/{os.path.basename(path)}"
                if _size(original) is None:
                    raise DiskError(f"{source}: there is no disk {original} of ours to copy")
                make_directories(self._directory)
                with locked(self._directory, os.path.basename(path)):
                    if not os.path.lexists(path):
                        copy(original, path)
            return self._there(request, path)

    def grow_disk(self, instance_id: str, slot: int, size: int) -> None:
        """By qemu-img; what the disk is larger by takes no room before a guest writes there."""
        path = self._path(instance_id, slot, _DISK)
        with self._translated():
            found = _size(path)
            if found is None:
                raise DiskError(f"{self._host}: there is no disk {instance_id}-{slot} that could grow")
            if found < size:
                qemu_img.resize(path, size)

    def delete_disk(self, instance_id: str, slot: int) -> None:
        """Delete the disk. Absent: nothing happens."""
        with self._translated(), suppress(FileNotFoundError), locked(self._directory):
            for path in (self._path(instance_id, slot, suffix) for suffix in (_DISK, _SEED, _VOLUME)):
                if not os.path.lexists(path) or _size(path) is not None:
                    remove(path)
                    # What was killed while it copied.
                    remove(path + TEMPORARY)

    def list_disks(self) -> Sequence[DiskInfo]:
        """All disks that are ours, by instance and slot."""
        with self._translated():
            try:
                names = os.listdir(self._directory)
            except FileNotFoundError:
                return ()
            found = [info for name in names if (info := self._info(name)) is not None]
        return tuple(sorted(found, key=lambda info: (info.instance_id, info.slot)))

    # --- snapshots --------------------------------------------------------------------------------------------------

    def snapshot_space(self, instance_id: str, slots: Sequence[int]) -> SnapshotSpace:
        """What the disks' files take now; free is what images may take as well."""
        with self._translated():
            needed = sum(taken(self._existing(instance_id, slot)) for slot in slots)
            return SnapshotSpace(needed, spare(str(self._directory)))

    def create_snapshot(self, instance_id: str, slot: int, snapshot: str) -> SnapshotInfo:
        """Copy the disk's file beside it."""
        with self._snapshot_of(instance_id, slot) as disk:
            return self._snapshots.copy(disk, instance_id, slot, snapshot)

    def delete_snapshot(self, instance_id: str, slot: int, snapshot: str) -> None:
        """Delete that file."""
        with self._translated(), suppress(FileNotFoundError), locked(self._directory, f"{instance_id}-{slot}"):
            self._snapshots.delete(instance_id, slot, snapshot)

    def list_snapshots(self) -> Sequence[SnapshotInfo]:
        """All such files."""
        with self._translated():
            return tuple(self._snapshots.all())

    def set_aside(self, instance_id: str, slot: int, aside: str) -> None:
        """Link the disk's file beside it."""
        with self._snapshot_of(instance_id, slot) as disk:
            self._snapshots.set_aside(disk, instance_id, slot, aside)

    def restore_disk(self, instance_id: str, slot: int, snapshot: str) -> None:
        """Have a copy of the snapshot's file in place of the disk's."""
        with self._snapshot_of(instance_id, slot) as disk:
            self._snapshots.restore(disk, instance_id, slot, snapshot)

    def put_back(self, instance_id: str, slot: int, aside: str) -> None:
        """Rename the file that was set aside."""
        with self._translated(), suppress(FileNotFoundError), locked(self._directory, f"{instance_id}-{slot}"):
            self._snapshots.put_back(self._path(instance_id, slot, _DISK), instance_id, slot, aside)

    @contextmanager
    def _snapshot_of(self, instance_id: str, slot: int) -> Iterator[str]:
        """The disk's file, and nobody else at its snapshots. Raises `DiskError` where there is none that is ours."""
        with self._translated():
            disk = self._existing(instance_id, slot)
            with locked(self._directory, f"{instance_id}-{slot}"):
                yield disk

    def _existing(self, instance_id: str, slot: int) -> str:
        path = self._path(instance_id, slot, _DISK)
        if _size(path) is None:
            is_volume = os.path.exists(self._path(instance_id, slot, _VOLUME))
            what = "is a volume that was brought along" if is_volume else "is not there"
            raise DiskError(f"{self._host}: disk {slot} of instance {instance_id} {what}")
        return path

    # --- making them ------------------------------------------------------------------------------------------------

    def _make(self, request: DiskRequest, path: str) -> None:
        """Make the file under another name, then give it its own."""
        if request.source is not None:
            self._copied(request.source, path, request.size)
            return
        with self._base(request.image, request.size) as base:
            make_directories(self._directory)
            with locked(self._directory):
                if request.clears and _size(path) is None:
                    clear(path, whole=True)
                if not os.path.lexists(path):
                    if request.seed is not None:
                        replace(path, seed_image(request.seed))
                    else:
                        _make_qcow2(path, request.size, base)

    @contextmanager
    def _base(self, image: Image | None, size: int) -> Iterator[tuple[str, str] | None]:
        """The image's file in the cache, and its format; None where there is none, or without a disk. It fits into so
        many bytes, and nobody deletes it meanwhile."""
        if image is None or image.path is None:
            yield None
            return
        with self._images.held(image) as base:
            if base.size > size:
                raise FlavorDiskTooSmall(f"image {image.name} has {base.size} bytes, the disk for it {size}")
            yield base.path, base.format

    def _copied(self, source: DiskSnapshot, path: str, size: int) -> None:
        """Copy a snapshot."""
        kept = self._snapshots.path(source.instance_id, source.slot, source.snapshot)
        with locked(self._directory, os.path.basename(path)):
            if not os.path.lexists(path):
                copy(kept, path, at_least=size)

    def _attached(self, request: DiskRequest, volume: Volume) -> Disk:
        """The volume as a disk, which this instance has from now on.

        The claim is a file as well, so that a kill leaves a whole one or none. To look through a large volume takes its
        time: whoever wants the same one waits meanwhile, on whichever host, and nobody else.
        """
        claim = self._path(request.instance_id, request.slot, _VOLUME)
        path = os.path.realpath(volume.path)
        make_directories(self._directory)
        with locked(self._directory.parent, _identity(path)):
            found = _read_claim(claim)
            if found is None:
                check_free(path, self._taken())
                found = self._checked(path, volume.format)
                with locked(self._directory):
                    if request.clears:
                        clear(claim)
                    replace(claim, msgspec.json.encode(found))
        return self._volume(request, found)

    def _shared(self, request: DiskRequest, there: Path) -> Disk:
        """The volume of another host as a disk, which this instance has on this one as well."""
        claim = self._path(request.instance_id, request.slot, _VOLUME)
        found = _read_claim(claim)
        if found is None:
            found = _read_claim(f"{there}/{os.path.basename(claim)}")
            if found is None:
                raise DiskError(f"{there.name}: there is no volume of ours in slot {request.slot} to take")
            if not os.path.isfile(found.path):
                raise ImageUnacceptable(f"volume {found.path} is gone")
            make_directories(self._directory)
            with locked(self._directory):
                replace(claim, msgspec.json.encode(found))
        return self._volume(request, found)

    def _volume(self, request: DiskRequest, found: _Attached) -> Disk:
        return Disk(
            instance_id=request.instance_id,
            slot=request.slot,
            role=request.role,
            path=found.path,
            format=found.format,
            size=found.size,
            device=device_name(request.slot),
            volume=True,
            direct=_takes_direct(found.path),
        )

    def _taken(self) -> Iterator[tuple[str, str]]:
        for claim in self._directory.parent.glob(f"*/*{_VOLUME}"):
            found = _read_claim(str(claim))
            if found is not None:
                yield found.path, text_of(claim.stem.rpartition("-")[0])

    def _checked(self, path: str, form: str) -> _Attached:
        """Refused is as well what is ours: an image of the cache, another instance's disk, the database."""
        if Path(path).is_relative_to(self._state):
            raise ImageUnacceptable(f"volume {path} is in the state directory of Slipway: copy it to another place")
        try:
            regular = stat.S_ISREG(os.stat(path).st_mode)
        except OSError as error:
            raise ImageUnacceptable(f"volume {path} cannot be read: {error.strerror}") from error
        if not regular:
            raise ImageUnacceptable(f"volume {path} is not a file")
        found = check(f"volume {path}", form, path)
        check_whole(f"volume {path}", found.format, path)
        return _Attached(path, form, found.size)

    def _info(self, name: str) -> DiskInfo | None:
        stem, suffix = os.path.splitext(name)
        instance, _, slot = stem.rpartition("-")
        if suffix not in (_DISK, _SEED, _VOLUME) or not slot.isdecimal():
            return None
        path = f"{self._directory}/{name}"
        size = _size(path)
        return None if size is None else DiskInfo(text_of(instance), int(slot), size, _fault(path))

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


def _identity(path: str) -> str:
    """The same for all names of a file."""
    with suppress(OSError):
        found = os.stat(path)
        return f"{found.st_dev} {found.st_ino}"
    return path


def _read_claim(path: str) -> _Attached | None:
    try:
        return msgspec.json.decode(Path(path).read_bytes(), type=_Attached)
    except (FileNotFoundError, IsADirectoryError):
        return None
    except msgspec.MsgspecError as error:
        raise DiskError(f"{path} is damaged: {error}; delete it when no guest uses its volume") from error


def _fault(path: str) -> str:
    """What is gone of that which a disk of ours stands on: its image in the cache, or the volume itself."""
    with suppress(FileNotFoundError):
        if path.endswith(_VOLUME):
            claim = _read_claim(path)
            return f"its volume {claim.path} is gone" if claim and not os.path.isfile(claim.path) else ""
        if path.endswith(_DISK) and (base := backing_file(path)) is not None and not os.path.isfile(base):
            return f"its image {base} is gone"
    return ""


def _takes_direct(path: str) -> bool:
    """Whether it can be opened with O_DIRECT: tmpfs and ramfs, for instance, have it on some kernels only."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_DIRECT | os.O_CLOEXEC))
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return False
    return True


def _size(path: str) -> int | None:
    """The size of a disk of ours in bytes; None where nothing is there, or something else."""
    with suppress(FileNotFoundError):
        found = os.lstat(path)
        if stat.S_ISREG(found.st_mode):
            if path.endswith(_VOLUME):
                return claim.size if (claim := _read_claim(path)) else None
            if path.endswith(_SEED):
                return found.st_size
            header = read_header(path)
            return header.size if header else None
    return None
