"""Whether a qcow2 image is whole: QEMU starts on one that is cut off or damaged, and its guest reads nonsense."""

from __future__ import annotations

from slipway.drivers.images import qemu_img
from slipway.errors import DiskError, ImageUnacceptable


def check_whole(what: str, form: str, path: str) -> None:
    """Raise `ImageUnacceptable` for a qcow2 image in which `qemu-img check` finds errors; leaked clusters are none.

    `what` is its name in errors. Only the image's tables are read, so a large one takes no longer than they do. A raw
    image has nothing by which to tell.
    """
    if form != "qcow2":
        return
    try:
        found = qemu_img.check(path)
    except DiskError as error:
        raise ImageUnacceptable(f"{what} cannot be checked: {error}") from error
    if found:
        raise ImageUnacceptable(f"{what} is damaged or cut off: qemu-img check finds {found} errors; get it once more")
