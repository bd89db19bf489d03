"""Values of attributes in words for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from slipway.flows.scheduler import size
from slipway.model.network import AllocationPool, HostRoute
from slipway.model.routing import Route
from slipway.stacks.plan import Change, How

SIZES = frozenset({"memory", "disk", "min_disk", "min_memory", "size"})
"""The attributes that are bytes."""


def shown(value: Any, attribute: str = "") -> str:
    """A value in one line; of an `attribute` that is a number of bytes with its unit."""
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case int() if attribute in SIZES:
            return size(value)
        case AllocationPool(start=start, end=end):
            return f"{start}-{end}"
        case HostRoute(destination=destination, nexthop=nexthop) | Route(destination=destination, nexthop=nexthop):
            return f"{destination} via {nexthop}"
        case tuple() | list():
            return ", ".join(map(shown, value)) or "none"
        case Struct():
            fields = value.__struct_fields__
            return ", ".join(f"{name} {shown(getattr(value, name), name)}" for name in fields)
    return str(value)


def kept_lines(change: Change) -> Iterator[str]:
    """What stays although the file says otherwise, a line each for a person."""
    if change.how is How.KEEP and not change.differences:
        yield f"{change.label}: {change.why}"
    for one in change.differences:
        if one.how is How.KEEP:
            why = f": {one.why}" if one.why else ""
            yield f"{change.label}: {one.attribute} stays {one.have} (the file says {one.want}){why}"
    if change.how is How.LEFT:
        yield f"{change.label}: it has left the file and stays; --prune takes it away"
