"""What is in the cache, and by which names: `images/<sha256>` is an image, `images/names/<name>.json` says whose.

The record knows nothing of it: a cache is a machine's, and a record may be several machines'.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from slipway.drivers.files import TEMPORARY, file_name, locked, make_directories, replace, text_of
from slipway.drivers.images.header import read_header
from slipway.drivers.images.users import DiskOn
from slipway.errors import DiskError

_SHA256 = re.compile("[0-9a-f]{64}")


class Named(Struct, frozen=True):
    """What is on file of a name. `digest`: of what was fetched, before it was unpacked or converted; `size`: what a
    guest sees, in bytes; `published`: it is in the catalogue, and can be fetched once more; `signed`: a signature
    of its publisher was looked at."""

    name: str
    sha256: str
    size: int
    source: str
    digest: str
    added_at: datetime
    published: bool = False
    signed: bool = False


class StoredImage(Struct, frozen=True):
    """An image of the cache; `name` is None for one that only a path or a URL stands for.

    `size`: what a guest sees, `taken`: what its file takes, in bytes. `disks`: those that stand on it. The rest is as
    it is with `Named`, and of none without a name.
    """

    name: str | None
    sha256: str
    format: str
    size: int
    taken: int
    used_at: datetime
    disks: tuple[DiskOn, ...]
    source: str | None = None
    digest: str | None = None
    added_at: datetime | None = None
    published: bool = False
    signed: bool = False


class Shelf:
    """The files of a cache. Raises `OSError`, and `DiskError` for a damaged one."""

    def __init__(self, state: Path) -> None:
        self.directory = state.absolute() / "images"
        self._names = self.directory / "names"

    def path(self, sha256: str) -> str:
        """Where an image is, or would be."""
        return f"{self.directory}/{sha256}"

    def work(self, name: str, *of: str) -> str:
        """Where an image that is to have that name is fetched and converted; what begins `of` something else has no
        part of it."""
        mark = hashlib.sha256("\0".join(of).encode()).hexdigest()[:16]
        return f"{self.directory}/name-{file_name(name)}-{mark}{TEMPORARY}"

    def named(self, name: str) -> Named | None:
        """What is on file of the name, where its image is there."""
        try:
            found = msgspec.json.decode(self._file(name).read_bytes(), type=Named)
        except FileNotFoundError:
            return None
        except msgspec.MsgspecError as error:
            raise DiskError(f"{self._file(name)} is damaged: {error}; delete it and add the image again") from error
        return found if os.path.exists(self.path(found.sha256)) else None

    def all_named(self) -> Iterator[Named]:
        """All names whose images are there, in their order."""
        with suppress(FileNotFoundError):
            for file in sorted(os.listdir(self._names)):
                if file.endswith(".json") and (found := self.named(text_of(file.removesuffix(".json")))):
                    yield found

    def digests(self) -> Iterator[str]:
        """All images."""
        with suppress(FileNotFoundError):
            yield from sorted(name for name in os.listdir(self.directory) if _SHA256.fullmatch(name))

    def keep(self, path: str, named: Named) -> None:
        """Have the file in the cache, unless it is there already, and the name lead to it."""
        make_directories(self._names)
        with self.alone_with(named.sha256):
            kept = self.path(named.sha256)
            if os.path.exists(kept):
                os.unlink(path)
            else:
                os.rename(path, kept)
            self.touch(named.sha256)
            with locked(self._names):
                replace(str(self._file(named.name)), msgspec.json.encode(named))

    def forget(self, name: str) -> None:
        """Take the name away; the image stays."""
        with suppress(FileNotFoundError):
            os.unlink(self._file(name))

    def remove(self, sha256: str) -> None:
        """Delete the image. Needs `alone_with`."""
        with suppress(FileNotFoundError):
            os.unlink(self.path(sha256))

    def touch(self, sha256: str) -> None:
        """Have it be used now."""
        os.utime(self.path(sha256))

    @contextmanager
    def alone_with(self, sha256: str) -> Iterator[None]:
        """Nobody else has the image in hand."""
        with locked(self.directory, f"use {sha256}"):
            yield

    @contextmanager
    def in_hand(self, sha256: str) -> Iterator[bool]:
        """Nobody deletes the image meanwhile. Whether it is there."""
        with locked(self.directory, f"use {sha256}", shared=True):
            there = os.path.exists(self.path(sha256))
            if there:
                self.touch(sha256)
            yield there

    def stored(self, sha256: str, named: Named | None, disks: tuple[DiskOn, ...]) -> StoredImage | None:
        """The image as it is shown; None where it is gone."""
        path = self.path(sha256)
        with suppress(FileNotFoundError):
            found, header = os.stat(path), read_header(path)
            shown = StoredImage(
                name=None,
                sha256=sha256,
                format="qcow2" if header else "raw",
                size=header.size if header else found.st_size,
                taken=found.st_blocks * 512,
                used_at=datetime.fromtimestamp(found.st_mtime, UTC),
                disks=disks,
            )
            if named is None:
                return shown
            more = {key: getattr(named, key) for key in ("name", "source", "digest", "added_at", "published", "signed")}
            return msgspec.structs.replace(shown, **more)
        return None

    def _file(self, name: str) -> Path:
        return self._names / f"{file_name(name)}.json"
