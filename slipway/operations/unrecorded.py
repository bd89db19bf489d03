"""Nothing is built where machines are that the record has lost: their names and addresses would be given out again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from slipway.drivers.registry import Drivers
from slipway.errors import HostElsewhere, WorldUnrecorded
from slipway.flows.tasks.base import Tools
from slipway.model.request import Host
from slipway.operations.audit import Finding, unrecorded
from slipway.states import hosts, instances
from slipway.texts import some

_MOST_NAMED = 5


def check_world(wanted: Sequence[Host], tools: Tools) -> None:
    """Look at the hosts on record and at those that are `wanted` there, once each.

    Raises `WorldUnrecorded` for what is ours and not on record: an older copy of the database was put back, or it was
    lost.
    """
    with tools.store.read() as tx:
        known = {usage.host.name: usage.host for usage in hosts.usages(tx)}
        empty = not instances.any_ever(tx)
    here = [
        host for host in {**{host.name: host for host in wanted}, **known}.values() if _is_here(host, tools.drivers)
    ]
    found = unrecorded(tools, here)
    if not found:
        return
    listed = some([*map(_said, found)], _MOST_NAMED, between="; ")
    why = "the record has no instance yet, but machines of an earlier one are there" if empty else "machines are there"
    raise WorldUnrecorded(
        f"{why} that are ours and not on record: {listed}. Nothing is built beside them, for their names and "
        f"addresses would be given out again: put the record back that has them (slipway restore FILE), or remove "
        f"them: slipway audit lists all of it, docs/backup.md says how"
    )


def left_in(state: Path) -> tuple[str, ...]:
    """Which directories of machines' files there are in a state directory that are not empty."""
    places = {"world": "*/*/[!.]*", "disks": "*/[!.]*", "instances": "*/[!.]*"}
    return tuple(name for name, files in places.items() if any((state / name).glob(files)))


def _is_here(host: Host, drivers: Drivers) -> bool:
    try:
        drivers.check_here(host)
    except HostElsewhere:
        return False
    return True


def _said(finding: Finding) -> str:
    whose = "" if finding.name == finding.instance_id else f" of {finding.instance_id}"
    return f"{finding.kind} {finding.name}{whose} on {finding.host}"
