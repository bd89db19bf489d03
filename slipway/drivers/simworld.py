"""The world of the simulator: what its hypervisors and disks would be, as plain JSON files below `STATE/world/`.

    world/version.json                                     {"version": 1}
    world/<host>/domains/<instance id>.json                a domain, see `slipway.drivers.compute.sim.SimDomain`
    world/<host>/disks/<instance id>-<slot>.json           a disk, see `slipway.drivers.disk.sim.SimDiskFile`
    world/<host>/snapshots/<instance id>-<slot>@<name>.json  a snapshot, see `slipway.drivers.disk.sim.SimSnapshot`

The world is no part of the record, so that the record can be audited against it: a file that is there is a thing that
exists, and nothing else says so. Tests read, change and delete these files as they like. `owner` is "slipway" in what
we made; the drivers leave alone what bears another. Names ending in `.tmp` are left of a killed writer, names starting
with a dot are locks. A host's name is percent-encoded where a file's name would not take it.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct

from slipway.drivers.files import TEMPORARY, clear, file_name, locked, make_directories, remove, replace
from slipway.errors import SlipwayError, WorldTooNew

WORLD_VERSION = 1
"""Raised by one with each change of the files' layout."""

OWNER = "slipway"
"""The tag of what we made."""

_SUFFIX = ".json"

Record = TypeVar("Record")


class _World(Struct, frozen=True):
    """The content of `version.json`."""

    version: int


class Shelf(Generic[Record]):
    """All things of one kind on one host, a file each; safe beside other threads and processes.

    `record` is the type of the files' content, `error` the class of what is raised when a file cannot be used.
    Raises `WorldTooNew` where a newer Slipway wrote the world.
    """

    def __init__(self, state: Path, host: str, kind: str, record: type[Record], error: type[SlipwayError]) -> None:
        self._host = host
        self._world = state.absolute() / "world"
        self._directory = self._world / file_name(host) / kind
        self._prefix = f"{self._directory}/"
        self._decoder = msgspec.json.Decoder(record)
        self._error = error
        self._seen: dict[tuple[str, int], Record] = {}
        self._ready = False

    def path(self, key: str) -> str:
        """The file of the thing with this key."""
        return f"{self._prefix}{file_name(key)}{_SUFFIX}"

    def get(self, key: str) -> Record | None:
        """The thing as it is now, None where it is not there."""
        with self._translated():
            self._check_version()
            return self._read(self.path(key))

    def all(self) -> list[Record]:
        """All things as they are now, ordered by key. One that is deleted meanwhile may be in it or not."""
        with self._translated():
            self._check_version()
            try:
                names = sorted(name for name in os.listdir(self._directory) if name.endswith(_SUFFIX))
            except FileNotFoundError:
                return []
            return [record for name in names if (record := self._read(self._prefix + name)) is not None]

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else writes on this shelf meanwhile."""
        with self._translated():
            self._prepare()
            with locked(self._directory):
                yield

    @contextmanager
    def everywhere(self) -> Iterator[list[Record]]:
        """All things of this kind on all hosts; nobody else is in here meanwhile. Needs `locked`."""
        with locked(self._world):
            paths = sorted(self._world.glob(f"*/{self._directory.name}/*{_SUFFIX}"))
            yield [record for path in paths if (record := self._read(str(path))) is not None]

    def seen(self) -> Collection[Record]:
        """All things, each as it was when its file was first seen: for what never changes in one. Needs `locked`.

        Costs a listing of the directory, 0.4 us a thing; only new files are read.
        """
        with os.scandir(self._directory) as entries:
            present = {(entry.name, entry.inode()) for entry in entries}
        for name, inode in present - self._seen.keys():
            if name.endswith(TEMPORARY):
                os.unlink(self._prefix + name)
            elif name.endswith(_SUFFIX) and (record := self._read(self._prefix + name)) is not None:
                self._seen[name, inode] = record
        for gone in self._seen.keys() - present:
            del self._seen[gone]
        return self._seen.values()

    def put(self, key: str, record: Record) -> None:
        """Make the thing, or replace it. Needs `locked`."""
        path = self.path(key)
        replace(path, _json(record))
        self._seen[path.removeprefix(self._prefix), os.stat(path).st_ino] = record

    def remove(self, key: str) -> None:
        """Take the thing away. Absent: nothing happens. Needs `locked`."""
        remove(self.path(key))

    def clear(self, key: str) -> None:
        """Rename whatever is in the thing's place. Needs `locked`."""
        clear(self.path(key), whole=True)

    def _read(self, path: str) -> Record | None:
        try:
            with open(path, "rb", buffering=0) as file:
                content = file.read()
        except (FileNotFoundError, IsADirectoryError):
            return None
        try:
            return self._decoder.decode(content)
        except msgspec.MsgspecError as error:
            raise self._error(f"{self._host}: {path} is damaged: {error}; mend the file or delete it") from error

    def _prepare(self) -> None:
        self._check_version()
        make_directories(self._directory)
        if not self._ready:
            with locked(self._world):
                if not self._check_version():
                    replace(f"{self._world}/version.json", _json(_World(WORLD_VERSION)))
            self._ready = True

    def _check_version(self) -> bool:
        """Whether the world has a version that we know; False while there is no world."""
        if self._ready:
            return True
        path = self._world / "version.json"
        try:
            found = msgspec.json.decode(path.read_bytes(), type=_World).version
        except FileNotFoundError:
            return False
        except msgspec.MsgspecError as error:
            raise self._error(f"{path} is damaged: {error}") from error
        if found > WORLD_VERSION:
            raise WorldTooNew(
                f"{self._world}: written by a newer Slipway (world {found}, this one knows {WORLD_VERSION}); "
                "upgrade Slipway"
            )
        self._ready = True
        return True

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._error(f"{self._host}: the simulator's world cannot be used: {error}") from error


def _json(content: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n"
