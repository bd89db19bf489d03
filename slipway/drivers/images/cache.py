"""The images that disks start from: copied to `images/<sha256>` once, checked, and never changed from then on."""

from __future__ import annotations

import hashlib
import math
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec
from msgspec import Struct

from slipway.drivers.deadline import left
from slipway.drivers.files import TEMPORARY, locked, make_directories, replace
from slipway.drivers.images import qemu_img
from slipway.drivers.images.header import read_header
from slipway.drivers.images.integrity import check_whole
from slipway.drivers.images.room import check_room
from slipway.errors import DiskError, ImageUnacceptable, StepTimeout
from slipway.model.request import Image

_CHUNK = 1 << 20
_SHA256 = re.compile("[0-9a-f]{64}")


class Base(Struct, frozen=True):
    """A checked image in the cache; `size` is what a guest sees, in bytes."""

    path: str
    format: str
    size: int


class _Source(msgspec.Struct, frozen=True):
    """A file as it was when it was copied, by device, inode, size and time: the same again needs no reading."""

    device: int
    inode: int
    size: int
    changed_ns: int
    sha256: str


class ImageCache:
    """The images of one machine; may be used by many threads and processes at once.

    Raises `ImageUnacceptable` for an image that nobody could use, `DiskError` when the cache cannot be used.
    """

    def __init__(self, host: str, state: Path) -> None:
        self._host = host
        self._directory = state.absolute() / "images"

    def base(self, image: Image) -> Base:
        """The image in the cache, put there if need be.

        Refused are: a file that is not there or not what `sha256` says, a format other than qcow2 and raw, images that
        name other files (a backing file, an external data file), for they could be any file of the host, and images
        that no guest could use: empty, encrypted, cut off or damaged.
        """
        with self._translated(image):
            declared = image.sha256.lower() if image.sha256 else None
            if declared is not None and not _SHA256.fullmatch(declared):
                raise ImageUnacceptable(f"image {image.name}: {image.sha256!r} is not a sha256")
            cached = f"{self._directory}/{declared}"
            if declared is None or not os.path.exists(cached):
                make_directories(self._directory)
                cached = f"{self._directory}/{self._brought(image, declared)}"
            return check(f"image {image.name}", image.format, cached)

    def _brought(self, image: Image, declared: str | None) -> str:
        """The digest of the image, which is in the cache then. Whoever wants the same one waits, and nobody else."""
        assert image.path is not None
        url = urlsplit(image.path) if "://" in image.path else None
        if url is None:
            return self._copied(image, image.path, declared)
        if url.scheme == "file" and url.netloc in ("", "localhost"):
            return self._copied(image, unquote(url.path), declared)
        if url.scheme not in ("http", "https"):
            raise ImageUnacceptable(f"image {image.name}: {image.path} is neither a path nor a file: or http: URL")
        if declared is None:
            raise ImageUnacceptable(f"image {image.name}: an image by http needs its sha256")
        # With it comes all of HTTP: most images are files.
        from slipway.drivers.images.download import download

        with locked(self._directory, declared):
            if not os.path.exists(f"{self._directory}/{declared}"):
                part = f"{self._directory}/{declared}{TEMPORARY}"
                download(image, image.path, declared, part)
                try:
                    _check_all(f"image {image.name}", image.format, part)
                except ImageUnacceptable:
                    os.unlink(part)
                    raise
                os.rename(part, f"{self._directory}/{declared}")
        return declared

    def _copied(self, image: Image, source: str, declared: str | None) -> str:
        """The digest of the image's file, which is in the cache then."""
        place = hashlib.sha256(source.encode()).hexdigest()
        with locked(self._directory, place), _opened(image, source) as file:
            now = os.fstat(file)
            if not stat.S_ISREG(now.st_mode):
                raise ImageUnacceptable(f"image {image.name}: {source} is not a file")
            note = f"{self._directory}/source-{place}.json"
            known = _known(note, now)
            if known is None or not os.path.exists(f"{self._directory}/{known}"):
                check_room(str(self._directory), now.st_blocks * 512)
                known = self._copy(image, file, f"{self._directory}/copy-{place}{TEMPORARY}")
                replace(note, msgspec.json.encode(_source(now, known)))
        if declared not in (None, known):
            raise ImageUnacceptable(f"image {image.name}: the sha256 of {source} is {known}, not {declared}")
        return known

    def _copy(self, image: Image, file: int, temporary: str) -> str:
        before, digest = os.fstat(file), hashlib.sha256()
        try:
            target = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            # Buffered: of a raw write to a disk that is nearly full a part is missing, and nobody says so.
            with open(target, "wb") as copy:
                while chunk := os.read(file, _CHUNK):
                    left(math.inf)
                    digest.update(chunk)
                    # Holes stay holes.
                    if chunk.count(0) == len(chunk):
                        copy.seek(len(chunk), os.SEEK_CUR)
                    else:
                        copy.write(chunk)
                copy.truncate(copy.tell())
            after = os.fstat(file)
            if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
                raise DiskError(f"{self._host}: the file of image {image.name} changed while it was copied; try again")
            _check_all(f"image {image.name}", image.format, temporary)
            os.rename(temporary, f"{self._directory}/{digest.hexdigest()}")
        except StepTimeout as error:
            raise StepTimeout(f"{self._host}: image {image.name} is too large to be copied in time: {error}") from error
        finally:
            with suppress(FileNotFoundError):
                os.unlink(temporary)
        return digest.hexdigest()

    @contextmanager
    def _translated(self, image: Image) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DiskError(f"{self._host}: image {image.name} cannot be kept: {error}") from error


def _check_all(what: str, said: str | None, path: str) -> None:
    """Raise `ImageUnacceptable` for a file that must not come into the cache; what is in it is not read again."""
    check_whole(what, check(what, said, path).format, path)


def check(what: str, said: str | None, path: str) -> Base:
    """The file, which is said to be of this format. `what` is its name in errors.

    Raises `ImageUnacceptable` for what `ImageCache.base` refuses.
    """
    header = read_header(path)
    form = said or ("qcow2" if header else None)
    if form not in ("qcow2", "raw"):
        has = f"format {form}" if form else "no format, and it is not qcow2"
        raise ImageUnacceptable(f"{what} has {has}; say format: raw if it is, or convert it to qcow2")
    if (form == "qcow2") is not (header is not None):
        raise ImageUnacceptable(f"{what} is said to be {form}, and its first bytes say otherwise")
    if header is not None and (header.has_backing_file or header.has_data_file):
        has = "a backing file" if header.has_backing_file else "an external data file"
        raise ImageUnacceptable(f"{what} has {has}: it could be any file of the host")
    if header is not None and (header.encrypted or header.corrupt):
        why = "encrypted: its guest would need the key" if header.encrypted else "marked as corrupt by QEMU"
        raise ImageUnacceptable(f"{what} is {why}")
    try:
        info = qemu_img.info(path, form)
    except DiskError as error:
        raise ImageUnacceptable(f"{what} cannot be read: {error}") from error
    if "backing-filename" in info or "data-file" in info.get("format-specific", {}).get("data", {}):
        raise ImageUnacceptable(f"{what} names another file: it could be any file of the host")
    size = int(info["virtual-size"])
    if size == 0:
        raise ImageUnacceptable(f"{what} is empty: it has 0 bytes")
    return Base(path, form, size)


@contextmanager
def _opened(image: Image, path: str) -> Iterator[int]:
    try:
        # A named pipe would be waited for.
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise ImageUnacceptable(f"image {image.name}: {path} cannot be read: {error.strerror}") from error
    try:
        yield file
    finally:
        os.close(file)


def _source(now: os.stat_result, sha256: str) -> _Source:
    return _Source(now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, sha256)


def _known(note: str, now: os.stat_result) -> str | None:
    """The digest of a file that was copied before and is as it was then."""
    with suppress(FileNotFoundError, msgspec.DecodeError):
        found = msgspec.json.decode(Path(note).read_bytes(), type=_Source)
        if found == _source(now, found.sha256):
            return found.sha256
    return None
