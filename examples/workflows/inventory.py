"""A task of one's own: an entry in an inventory, which here is a file of JSON."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from slipway.flows.tasks.base import Work
from slipway.flows.tasks.decorator import task


class Entry(Struct, frozen=True):
    """What the inventory has of an instance. `number`: the inventory's own."""

    number: int
    name: str


def strike_out(work: Work, inventory: str) -> None:
    """Take the entry out again. It bears the effect's key, so it is found whether its number is on record or not."""
    with opened(Path(inventory)) as entries:
        entries[:] = [one for one in entries if one["key"] != work.effect.key]


@task(revert=strike_out)
def enter_in_inventory(
    work: Work, inventory: str, name: str, addresses: tuple[str, ...] = (), owner: str = "nobody"
) -> Entry:
    """Enter something in the inventory."""
    with opened(Path(inventory)) as entries:
        # After a crash nobody knows whether it was entered: it is done again, with the same key.
        for one in entries:
            if one["key"] == work.effect.key:
                return Entry(one["number"], one["name"])
        number = max((one["number"] for one in entries), default=0) + 1
        new = {"number": number, "name": name, "addresses": list(addresses), "owner": owner, "key": work.effect.key}
        entries.append(new)
    return Entry(number, name)


@contextmanager
def opened(path: Path) -> Iterator[list[dict[str, Any]]]:
    """The entries, for oneself alone, and written back as a whole or not at all."""
    with Path(f"{path}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        entries: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []
        yield entries
        new = Path(f"{path}.new")
        new.write_text(json.dumps(entries, indent=2))
        os.replace(new, path)
