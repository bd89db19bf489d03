"""Nothing is built where machines are that the record has lost: their names and addresses would be given out again."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from slipway.drivers.registry import Drivers
from slipway.errors import HostElsewhere, RecordDamaged, WorldUnrecorded
from slipway.flows.tasks.base import Tools
from slipway.model.record import Effect
from slipway.model.request import Host
from slipway.operations.things import Thing, ask_all, expected_thing
from slipway.states import effects, hosts, instances
from slipway.texts import some

_MACHINES = ("domain", "definition", "disk", "seed")
_LOOK = 10.0
"""Seconds that a host may take to be looked at before each run."""
_MOST_NAMED = 5


def unrecorded(tools: Tools, known: Sequence[Host]) -> tuple[Thing, ...]:
    """The machines, and their files, that are on these hosts, bear our tag and are not on record; by host and name.

    A part of what `audit` finds, at a small part of its cost. Who cannot be asked, or not in 10 s, is passed over.
    """
    if not (held := _held(tools, known)):
        return ()
    with tools.store.read() as tx:
        standing = effects.standing(tx, kinds=_MACHINES)
    found = held - {_thing(effect) for effect in standing}
    if found:
        # Somebody may have taken it away since, or have just begun with it: only what is still so then is lost.
        from slipway.operations.audit import never_on_record

        found = {*never_on_record(tools, partial(_held, tools, known), _MACHINES)}
    return tuple(sorted(found, key=lambda one: (one.host or "", one.kind, one.name)))


def _held(tools: Tools, known: Sequence[Host]) -> set[Thing]:
    held, _ = ask_all((), known, tools.drivers, seconds=min(_LOOK, tools.settings.step_timeout), only=_MACHINES)
    return {*held}


def _thing(effect: Effect) -> Thing | None:
    try:
        return expected_thing(effect)
    except RecordDamaged:
        return None


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


def _said(thing: Thing) -> str:
    whose = "" if thing.name == thing.instance_id else f" of {thing.instance_id}"
    return f"{thing.kind} {thing.name}{whose} on {thing.host}"
