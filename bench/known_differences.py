"""The differences to Neutron that are meant, each with a name; docs/neutron-differences.md has the reasons."""

from __future__ import annotations

import json
from typing import Any

from bench.sequences import Op


def why(ops: list[Op], theirs: dict[str, Any], ours: dict[str, Any]) -> str | None:
    """The name of the difference in what came of this operation; None when it is not one that is meant."""
    text, before = json.dumps(ops[-1]), json.dumps(ops[:-1])
    if theirs.get("status") == 500:
        return "internal server errors"
    if '"01:00:5e' in text and ours.get("error") == "HTTPBadRequest":
        return "multicast MACs"
    if any(f'"{mac}"' in text for mac in ("FA:16:3E:11:22:33", "fa-16-3e-11-22-33", "fa:16:3e")):
        return "the spelling of MACs"
    if '/32"' in text and _differ(theirs, ours) == {"gateway_ip"}:
        return "the gateway of a /32"
    if theirs.get("error") == "NeutronDbObjectDuplicateEntry":
        return "the same twice in one request"
    if ops[-1]["op"] == "bulk_create_port":
        if theirs.get("error") == "IpAddressAlreadyAllocated" and ours["ok"]:
            return "an address drawn that the same request names"
        if not theirs["ok"] and not ours["ok"]:
            return "the first error of a bulk request"
    refused = theirs.get("error") in ("InvalidIpForNetwork", "InvalidIpForSubnet")
    if refused and ours["ok"] and ('/31"' in before or '/32"' in before):
        return "the ends of a /31 or /32"
    if ours.get("error") == "AllocationOnAutoAddressSubnet" and theirs.get("error") == "IpAddressAlreadyAllocated":
        return "the port's own EUI-64 address"
    return None


def _differ(theirs: dict[str, Any], ours: dict[str, Any]) -> set[str]:
    """The attributes in which two things differ; none where one of the two is an error."""
    mine, other = theirs.get("result"), ours.get("result")
    if not isinstance(mine, dict) or not isinstance(other, dict):
        return set()
    return {key for key, value in mine.items() if other.get(key) != value}
