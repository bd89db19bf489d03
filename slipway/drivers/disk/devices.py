"""The guest's names for its disks."""

from __future__ import annotations


def device_name(slot: int) -> str:
    """`vda` for slot 0, `vdb` for slot 1, ... `vdaa` for slot 26: from the slot alone, whatever the others do."""
    letters, rest = "", slot
    while rest >= 0:
        rest, letter = divmod(rest, 26)
        letters, rest = chr(ord("a") + letter) + letters, rest - 1
    return f"vd{letters}"
