"""What instances are like: what stands of them on record and in the world, but for ids, drawn addresses and times."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import fromstring

import msgspec

from slipway.drill.things import Row, Things

_DRAWN = re.compile(r"[0-9a-f][0-9a-f:-]{10,}")
"""An id, or what follows from one: a tap, a MAC, an address that follows from a MAC, a digest."""
_PASSING = frozenset(
    {"generation", "slot", "address", "revision_number", "created_at", "updated_at", "claimed_at", "at"}
)
"""What counts, times, a drawn address, and the slot, which nothing gets that comes after what had it."""
_NOTHING = ("ERROR", "DELETED")
"""The states in which nothing of an instance is there; of a clone that has failed is no more on record."""
_STANDING = ("name", "vm_state", "task_state", "host", "request")
"""The columns of an instance that say what it is."""

_POWER = re.compile(r"vm_state=\w+|state=\w+|status=\w+")
"""What tells whether a guest runs: of an instance, its domain and its ports."""
_SLOT = re.compile(r"^device \w+")
"""The name of a disk in its guest, which is that of its slot."""
_SIZE = re.compile(r"size=\w+")

Shape = Counter[str]


def shape(now: Things, before: Things) -> Shape:
    """All that is there besides what was before, each thing as a text."""
    return Counter(_DRAWN.sub("#", text) for text in _texts(now, before))


def powerless(found: Shape) -> Shape:
    """The same but for whether guests run."""
    return Counter(_POWER.sub("", text) for text in found.elements())


def sizeless(found: Shape) -> Shape:
    """The same but for how large the disks are: one that was grown stays so, whatever fails then."""
    return Counter(_SIZE.sub("", text) if "/disks/" in text else text for text in found.elements())


def told(found: Shape, wanted: Shape) -> str:
    """What is more and what is less than was wanted."""
    signed = (("+", found - wanted), ("-", wanted - found))
    return "; ".join(f"{sign} {text}" for sign, texts in signed for text in sorted(texts.elements()))


def _texts(now: Things, before: Things) -> Iterator[str]:
    there = {row["id"] for row in before.rows["instances"]}
    for row in now.rows["instances"]:
        if row["id"] not in there and row["vm_state"] not in _NOTHING:
            addresses = len(msgspec.json.decode(row["addresses"] or "[]"))
            yield from (f"instance {row['name']} has {column}={row[column]}" for column in _STANDING)
            yield f"instance {row['name']} has {addresses} addresses"
    for name, content in now.by_name.items():
        if before.by_name.get(name) == content:
            continue
        name = "allocation" if name.startswith("allocations ") else name
        yield f"{name} {_devices(content) if name.endswith('.xml') else _said(msgspec.json.decode(content))}"


def _devices(definition: str) -> list[tuple[str, int]]:
    """How many of each kind; which addresses and files they have is said of the domain."""
    return sorted(Counter(element.tag for element in fromstring(definition).iter()).items())


def _said(row: Row) -> list[Any]:
    return [f"{column}={_sorted(value)}" for column, value in row.items() if column not in _PASSING]


def _sorted(value: Any) -> Any:
    """Of files the names alone: each process of a drill has a directory of its own."""
    if isinstance(value, dict):
        value = [f"{_name(name)}: {_SLOT.sub('', _name(said))}" for name, said in value.items()]
        return sorted(_DRAWN.sub("#", text) for text in value)
    return sorted(_DRAWN.sub("#", _name(one)) for one in value) if isinstance(value, list) else value


def _name(said: object) -> str:
    return str(said).rpartition("/")[2]
