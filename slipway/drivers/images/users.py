"""Which images of the cache disks stand on: those of running and stopped guests, of every stack, and snapshots."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from slipway.drivers.files import TEMPORARY, text_of
from slipway.drivers.images.header import backing_file


class DiskOn(Struct, frozen=True):
    """A disk, or its snapshot, that an image is below."""

    host: str
    instance_id: str
    slot: int
    snapshot: str = ""


def users(state: Path) -> Mapping[str, tuple[DiskOn, ...]]:
    """The disks by the SHA-256 of the image that is below them.

    All files are looked at, those that are being made as well. Raises `OSError` where one cannot be: nobody is to take
    that for unused.
    """
    images = os.path.realpath(state / "images")
    found: defaultdict[str, list[DiskOn]] = defaultdict(list)
    for host, name, path in _files(state / "disks"):
        # What is gone by now stands on nothing.
        with suppress(FileNotFoundError):
            below = backing_file(path)
            if below is not None and os.path.realpath(os.path.dirname(below)) == images:
                found[os.path.basename(below)].append(_disk(host, name))
    return {digest: tuple(disks) for digest, disks in found.items()}


def _files(directory: Path) -> Iterator[tuple[str, str, str]]:
    with suppress(FileNotFoundError):
        for host in sorted(entry.name for entry in os.scandir(directory) if entry.is_dir(follow_symlinks=False)):
            for entry in sorted(os.scandir(directory / host), key=lambda one: one.name):
                if entry.is_file(follow_symlinks=False):
                    yield host, entry.name, entry.path


def _disk(host: str, name: str) -> DiskOn:
    stem = name.removesuffix(TEMPORARY).rpartition(".")[0] or name
    disk, _, snapshot = stem.partition("@")
    instance, _, slot = disk.rpartition("-")
    return DiskOn(text_of(host), text_of(instance), int(slot) if slot.isdecimal() else 0, text_of(snapshot))
