"""An image of any format made a qcow2 image of its own, and checked before and after."""

from __future__ import annotations

import os
from contextlib import suppress

from slipway.drivers.files import TEMPORARY
from slipway.drivers.images import qemu_img
from slipway.drivers.images.formats import format_of
from slipway.drivers.images.integrity import Base, check, check_whole
from slipway.drivers.images.unpacking import packed_by, unpack
from slipway.errors import DiskError, ImageUnacceptable

_CHECKED = ("vmdk", "vhdx", "vdi")
"""Formats that `qemu-img check` looks through, besides qcow2."""


def accepted(what: str, path: str, said: str | None, most: int) -> Base:
    """The file, which is ours, as a qcow2 image in its place: unpacked, converted, and checked. `what` is its name.

    `said`: the format that it is said to have. It may unpack to `most` bytes, and a guest may see as many. Raises
    `ImageUnacceptable` for what cannot be used, `DiskError`, `StepTimeout` and `OSError`; then the file is there still,
    and nothing beside it.
    """
    aside = f"{path}.new{TEMPORARY}"
    try:
        if (packed := packed_by(path)) is not None:
            unpack(what, packed, path, aside, most)
            os.rename(aside, path)
        form = format_of(what, path, said)
        found = check(what, form, path) if form == "qcow2" else _converted(what, path, form, aside, most)
        if found.size > most:
            raise ImageUnacceptable(f"{what} is a disk of {found.size} bytes; --max-size allows more than {most}")
        check_whole(what, found.format, path)
        return found
    finally:
        with suppress(FileNotFoundError):
            os.unlink(aside)


def _converted(what: str, path: str, form: str, aside: str, most: int) -> Base:
    try:
        info = qemu_img.info(path, form)
        size = int(info["virtual-size"])
        if "backing-filename" in info or not _is_alone(path, info):
            raise ImageUnacceptable(f"{what} names another file: it could be any file of the host")
        if size > most:
            raise ImageUnacceptable(f"{what} is a disk of {size} bytes; --max-size allows more than {most}")
        if size == 0:
            raise ImageUnacceptable(f"{what} is empty: it has 0 bytes")
        if form in _CHECKED:
            check_whole(what, form, path)
        os.close(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600))
        qemu_img.convert(path, form, aside)
    except DiskError as error:
        raise ImageUnacceptable(f"{what} ({form}) cannot be read: {error}") from error
    made = check(what, "qcow2", aside)
    if made.size < size:
        raise ImageUnacceptable(f"{what} has {size} bytes, and {made.size} of them could be read")
    os.rename(aside, path)
    return Base(path, "qcow2", made.size)


def _is_alone(path: str, info: dict[str, object]) -> bool:
    """Whether a VMDK's parts are all in this file, as QEMU has opened it."""
    specific = info.get("format-specific")
    data = specific.get("data", {}) if isinstance(specific, dict) else {}
    extents = data.get("extents", ()) if isinstance(data, dict) else ()
    return all(extent.get("filename") == path for extent in extents)
