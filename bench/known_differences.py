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
    if ours.get("message", "").startswith("fixed_ips: unrecognized"):
        return "what an address is to be called"
    if '"mac_address": 7' in text and ours.get("error") == "HTTPBadRequest":
        return "MACs that are numbers"
    if (theirs.get("error"), ours.get("error")) == ("PolicyNotAuthorized", "NetworkNotFound"):
        return "a network that may not be seen"
    if '"::ffff:' in json.dumps(theirs) and "::ffff:" in text:
        return "the spelling of IPv4-mapped addresses"
    if '/32"' in json.dumps(ours) and _differ(theirs, ours) == {"gateway_ip"}:
        return "the gateway of a /32"
    if ours.get("message", "").startswith("fixed_ips: None is not a list") and theirs.get("status") == 400:
        return "fixed_ips that are null"
    if theirs.get("error") == "NeutronDbObjectDuplicateEntry" or "named twice" in ours.get("message", ""):
        return "the same twice in one request"
    if ours.get("error") == "ExternalNetworkInUse" and theirs["ok"]:
        return "an external network with unused floating IPs made internal"
    if ours.get("error") == "DeviceIDNotOwnedByTenant" and theirs["ok"]:
        return "ports of routers by hand"
    if theirs.get("error") == "RouterNotFound" and ops[-1]["op"] == "update_port":
        return "addresses of ports of routers that are not there"
    if ops[-1]["op"] == "bulk_create_port":
        if theirs.get("error") == "IpAddressAlreadyAllocated" and ours["ok"]:
            return "an address drawn that the same request names"
        if not theirs["ok"] and not ours["ok"]:
            return "the first error of a bulk request"
    if ops[-1]["op"] == "update_port" and _differ(theirs, ours) == {"fixed_ips"} and _names_a_subnet(ops[-1]):
        return "which address of a subnet stays"
    if theirs.get("error") == "IpAddressGenerationFailureNoMatchingSubnet" and _binds_only(ops[-1]):
        return "a binding after a change of service types"
    if ops[-1]["op"].startswith("list_") and theirs["ok"] and "longer than" in ours.get("message", ""):
        return "filters that nothing can match"
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


def _names_a_subnet(op: Op) -> bool:
    """Whether the request leaves open which of the port's addresses of a subnet it means."""
    return any("subnet_id" in entry and "ip_address" not in entry for entry in op["body"].get("fixed_ips") or ())


def _binds_only(op: Op) -> bool:
    """Whether the request gives a port that is there a host, and asks for no address."""
    return op["op"] == "update_port" and "binding:host_id" in op["body"] and "fixed_ips" not in op["body"]
