"""Whether an image may be used: its format, that it names no other file, and that it is whole.

QEMU starts on one that is cut off or damaged, and its guest reads nonsense.
"""

from __future__ import annotations

from msgspec import Struct

from slipway.drivers.images import qemu_img
from slipway.drivers.images.header import read_header
from slipway.errors import DiskError, ImageUnacceptable


class Base(Struct, frozen=True):
    """A checked image in the cache; `size` is what a guest sees, in bytes."""

    path: str
    format: str
    size: int


def check_all(what: str, said: str | None, path: str) -> None:
    """Raise `ImageUnacceptable` for a file that must not come into the cache; what is in it is not read again."""
    check_whole(what, check(what, said, path).format, path)


def check(what: str, said: str | None, path: str) -> Base:
    """The file, which is said to be of this format. `what` is its name in errors.

    Raises `ImageUnacceptable` for what nobody could use, and for images that name other files.
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


def check_whole(what: str, form: str, path: str) -> None:
    """Raise `ImageUnacceptable` for an image in which `qemu-img check` finds errors; leaked clusters are none.

    `what` is its name in errors. Only the image's tables are read, so a large one takes no longer than they do. A raw
    image has nothing by which to tell.
    """
    if form == "raw":
        return
    try:
        found = qemu_img.check(path, form)
    except DiskError as error:
        raise ImageUnacceptable(f"{what} is damaged or cut off, or cannot be checked: {error}") from error
    if found:
        raise ImageUnacceptable(f"{what} is damaged or cut off: qemu-img check finds {found} errors; get it once more")
