"""Whether two volumes that users brought along are one."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress

from slipway.errors import VolumeInUse


def check_free(path: str, taken: Iterable[tuple[str, str]]) -> None:
    """Raises `VolumeInUse` where the file is one of those that are taken, each with the instance that has it.

    Real paths; hard links are seen as well.
    """
    for other, instance_id in taken:
        if _same(path, other):
            raise VolumeInUse(
                f"volume {path} is in use by instance {instance_id}; detach it there first (`slipway detach-disk`)"
            )


def _same(path: str, other: str) -> bool:
    if path == other:
        return True
    with suppress(FileNotFoundError, NotADirectoryError):
        return os.path.samefile(path, other)
    return False
