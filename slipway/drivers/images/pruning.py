"""The cache kept small: images on which no disk stands go, by age and by size."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from slipway.drivers.files import TEMPORARY
from slipway.drivers.images.library import ImageLibrary
from slipway.drivers.images.shelf import Shelf, StoredImage
from slipway.drivers.images.users import users
from slipway.errors import DiskError

_LEFT_OVER = timedelta(days=1)
"""After so long nobody goes on with a download, or is at a conversion."""


def prune(
    state: Path,
    *,
    now: datetime,
    unused_for: timedelta | None = None,
    most: int | None = None,
    added: bool = False,
    dry_run: bool = False,
) -> tuple[StoredImage, ...]:
    """Delete the images that nobody has used for so long, and then the longest unused ones until all take `most` bytes
    at most; those that go, or would.

    An image on which a disk stands stays, whatever is said. So does one that was added by hand, without `added`: it can
    be fetched from nowhere. Raises `DiskError` where a file cannot be looked at: nobody takes that for unused.
    """
    shelf = Shelf(state)
    try:
        chosen = list(_chosen(ImageLibrary(state).list(unnamed=True), now, unused_for, most, added=added))
        if dry_run:
            return tuple(image for images in chosen for image in images)
        gone = [image for images in chosen if _removed(state, shelf, images) for image in images]
        _sweep(shelf.directory, now)
    except OSError as error:
        raise DiskError(f"the images cannot be looked through: {error}") from error
    return tuple(gone)


def _chosen(
    images: tuple[StoredImage, ...], now: datetime, unused_for: timedelta | None, most: int | None, *, added: bool
) -> Iterator[list[StoredImage]]:
    """Each image that is to go, by all its names, the longest unused first."""
    files: dict[str, list[StoredImage]] = {}
    for image in images:
        files.setdefault(image.sha256, []).append(image)
    taken = sum(same[0].taken for same in files.values())
    for same in sorted(files.values(), key=lambda same: same[0].used_at):
        by_hand = any(image.name is not None and not image.published for image in same)
        if same[0].disks or (by_hand and not added):
            continue
        old = unused_for is not None and now - same[0].used_at >= unused_for
        if old or (most is not None and taken > most):
            taken -= same[0].taken
            yield same


def _removed(state: Path, shelf: Shelf, images: list[StoredImage]) -> bool:
    """Delete it, unless it has been used, or named, since it was looked at."""
    digest = images[0].sha256
    with shelf.alone_with(digest):
        if users(state).get(digest) or shelf.stored(digest, None, ()) is None:
            return False
        named = {one.name for one in shelf.all_named() if one.sha256 == digest}
        if named != {image.name for image in images if image.name}:
            return False
        for name in named:
            shelf.forget(name)
        shelf.remove(digest)
    return True


def _sweep(directory: Path, now: datetime) -> None:
    """What was left behind of downloads and conversions."""
    with suppress(FileNotFoundError):
        for entry in list(os.scandir(directory)):
            left = entry.name.endswith((TEMPORARY, f"{TEMPORARY}.etag.json"))
            with suppress(FileNotFoundError):
                if left and now.timestamp() - entry.stat().st_mtime > _LEFT_OVER.total_seconds():
                    os.unlink(entry.path)
