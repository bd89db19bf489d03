"""The images that disks start from: copied to `images/<sha256>` once, checked, and never changed from then on."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec

from slipway.drivers.files import TEMPORARY, locked, make_directories, replace
from slipway.drivers.images.copying import copy, opened
from slipway.drivers.images.integrity import Base, check, check_all
from slipway.drivers.images.room import check_room
from slipway.drivers.images.shelf import Shelf
from slipway.errors import DiskError, ImageUnacceptable, StepTimeout
from slipway.model.request import NAMED_IMAGE, Image

_SHA256 = re.compile("[0-9a-f]{64}")


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
        self._state, self._shelf = state, Shelf(state)

    @contextmanager
    def held(self, image: Image) -> Iterator[Base]:
        """The image in the cache, put there if need be; nobody deletes it meanwhile.

        Refused are: a file that is not there or not what `sha256` says, a format other than qcow2 and raw, images that
        name other files (a backing file, an external data file), for they could be any file of the host, and images
        that no guest could use: empty, encrypted, cut off or damaged.
        """
        while True:
            with self._translated(image):
                digest = self._fetched(image)
            with self._shelf.in_hand(digest) as there:
                if there:
                    with self._translated(image):
                        base = check(f"image {image.name}", image.format, self._shelf.path(digest))
                    yield base
                    return

    def _fetched(self, image: Image) -> str:
        """The digest of the image, which is in the cache then."""
        if (image.path or "").startswith(NAMED_IMAGE):
            return self._named(image)
        declared = image.sha256.lower() if image.sha256 else None
        if declared is not None and not _SHA256.fullmatch(declared):
            raise ImageUnacceptable(f"image {image.name}: {image.sha256!r} is not a sha256")
        if declared is not None and os.path.exists(self._shelf.path(declared)):
            return declared
        make_directories(self._directory)
        return self._brought(image, declared)

    def _named(self, image: Image) -> str:
        """The digest of the image of that name on this machine; pulled by the catalogue where it is not here yet."""
        assert image.path is not None
        # Most images are files: the catalogue is read where one is meant by its name.
        from slipway.drivers.images.library import ImageLibrary

        sha256 = ImageLibrary(self._state).ensure(image.path.removeprefix(NAMED_IMAGE))
        if image.sha256 is not None and image.sha256.lower() != sha256:
            raise ImageUnacceptable(f"image {image.name}: the sha256 of {image.path} is {sha256}, not {image.sha256}")
        return sha256

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
        from slipway.drivers.images.checksums import Digest
        from slipway.drivers.images.download import LARGEST, download

        with locked(self._directory, declared):
            if not os.path.exists(f"{self._directory}/{declared}"):
                part = f"{self._directory}/{declared}{TEMPORARY}"
                download(f"image {image.name}", image.path, part, Digest("sha256", declared), image.size or LARGEST)
                try:
                    check_all(f"image {image.name}", image.format, part)
                except ImageUnacceptable:
                    os.unlink(part)
                    raise
                os.rename(part, f"{self._directory}/{declared}")
        return declared

    def _copied(self, image: Image, source: str, declared: str | None) -> str:
        """The digest of the image's file, which is in the cache then."""
        place = hashlib.sha256(source.encode()).hexdigest()
        with locked(self._directory, place), opened(image.name, source) as file:
            now = os.fstat(file)
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
            copy(file, temporary, digest)
            after = os.fstat(file)
            if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
                raise DiskError(f"{self._host}: the file of image {image.name} changed while it was copied; try again")
            check_all(f"image {image.name}", image.format, temporary)
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


def _source(now: os.stat_result, sha256: str) -> _Source:
    return _Source(now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, sha256)


def _known(note: str, now: os.stat_result) -> str | None:
    """The digest of a file that was copied before and is as it was then."""
    with suppress(FileNotFoundError, msgspec.DecodeError):
        found = msgspec.json.decode(Path(note).read_bytes(), type=_Source)
        if found == _source(now, found.sha256):
            return found.sha256
    return None
