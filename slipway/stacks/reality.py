"""Where what is real is not as the record of a stack's instances says, found as `audit` finds it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from slipway.flows.tasks.base import Tools
from slipway.model.record import Instance

if TYPE_CHECKING:
    from slipway.operations.audit import Finding

NETWORK_SERVICE = "network service"
"""What cannot be asked that is no host."""


class Reality(Struct, frozen=True):
    """What was found of each instance, by its id, and why hosts or the network service could not be asked.

    What was not asked is not known to be as it should be.
    """

    found: Mapping[str, tuple[Finding, ...]] = {}
    silent: Mapping[str, str] = {}


def look(instances: Collection[Instance], tools: Tools) -> Reality:
    """Ask the drivers about these instances, which are at rest. Asks nobody where there are none."""
    if not instances:
        return Reality()
    from slipway.operations.audit import Difference, audit

    ids, places = {one.id for one in instances}, {one.host for one in instances} | {None}
    found: dict[str, tuple[Finding, ...]] = {}
    silent: dict[str, str] = {}
    for finding in audit(tools, of=ids):
        if finding.difference is Difference.UNREACHABLE and finding.host in places:
            silent.setdefault(finding.host or NETWORK_SERVICE, finding.detail)
        elif finding.instance_id is not None and finding.instance_id in ids:
            found[finding.instance_id] = (*found.get(finding.instance_id, ()), finding)
    return Reality(found, silent)
