"""The guest's names for its disks."""

from __future__ import annotations

from slipway.model import DiskRole


def device_name(role: DiskRole, slot: int) -> str:
    """`vda` for slot 0, `vdb` for slot 1, ... `vdaa` for slot 26; the seed, a CD-ROM, is `sda`, `sdb`, ... likewise.

    From the slot alone, so that a disk keeps its name whatever the others do.
    """
    letters, rest = "", slot
    while rest >= 0:
        rest, letter = divmod(rest, 26)
        letters, rest = chr(ord("a") + letter) + letters, rest - 1
    return ("sd" if role is DiskRole.SEED else "vd") + letters
