"""What a drill finds of routers: on hosts that carry them, and in the record."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from slipway.drill.things import ROUTING, Things

_ROUTER = re.compile(r"file world/(?P<host>[^/]+)/routers/(?P<id>[^/]+)\.json")


def is_a_router(now: Things, name: str, content: str) -> bool:
    """Whether a host carries it for a NIC that is plugged there, or whose plug is listed as stuck."""
    found = _ROUTER.fullmatch(name)
    if found is None or all(row["id"] != found["id"] for row in now.rows.get("routers", ())):
        return False
    inside = msgspec.json.decode(msgspec.json.decode(content)["says"])["inside"]
    behind = [leg["network_id"].encode() for leg in inside]
    plugs = [row for row in now.rows["effects"] if row["kind"] == "vif" and row["host"] == found["host"]]
    standing = [row["args"] or b"" for row in plugs if row["state"] in ("done", "stuck")]
    return any(network in args for args in standing for network in behind)


def is_a_routers_port(now: Things, port: Mapping[str, Any]) -> bool:
    """Whether the port is of a router or a floating IP that is on record."""
    return any(row["id"] == port["device_id"] for kind in ROUTING for row in now.rows.get(kind, ()))
