"""`slipway snapshot`: the disks of an instance as they are, kept and had again."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from slipway.cli import power
from slipway.cli.completing import Names
from slipway.cli.options import Options, common_options, example, orchestrator
from slipway.cli.resources import group

if TYPE_CHECKING:
    from slipway.model.record import Instance
    from slipway.operations.changes.snapshots import Snapshot, Snapshots
    from slipway.orchestrator import Orchestrator

command = group(
    "snapshot",
    "Snapshots of an instance's disks: create, list, show, restore, delete.",
    "slipway snapshot create web-1 before-upgrade",
    "slipway snapshot list web-1",
    "slipway snapshot restore web-1 before-upgrade",
    "slipway snapshot delete web-1 before-upgrade",
)
_name = click.argument("name", metavar="NAME", shell_complete=Names("instance"))
_snapshot = click.argument("snapshot", metavar="SNAPSHOT")


def _verb(name: str, *examples: str) -> Callable[[Callable[..., int | None]], click.Command]:
    """A command of the group that may end with an exit code of its own."""

    def make(function: Callable[..., int | None]) -> click.Command:
        return command.command(name, epilog=example(*examples))(
            _name(power.project(common_options()(click.pass_obj(function))))
        )

    return make


@_verb("create", "slipway snapshot create web-1", "slipway snapshot create web-1 before-upgrade")
@click.argument("snapshot", metavar="[SNAPSHOT]", required=False)
def create(options: Options, name: str, project: str | None, snapshot: str | None) -> int:
    """Copy the disks of the instance called NAME (or with this id) as they are. SNAPSHOT is by default the time.

    A guest that runs stands still meanwhile. Its file systems are whole in the copy where an agent in it freezes them
    (qemu-guest-agent), else the copy is as after a power cut; `snapshot list` says which.
    """
    said = () if snapshot is None else (snapshot,)
    return _change("create", options, name, project, lambda of: partial(of.create, snapshot=snapshot), said)


@_verb("list", "slipway snapshot list web-1")
def list_(options: Options, name: str, project: str | None) -> None:
    """List the snapshots of the instance called NAME (or with this id), the oldest first."""
    from slipway.cli.output import print_json
    from slipway.cli.say import say

    with orchestrator(options) as slipway:
        found = slipway.changes.snapshots.list(name, project=project)
    if options.json:
        print_json(found)
    elif not found:
        say(f"{name} has no snapshots")
    else:
        _write(found)


@_verb("show", "slipway snapshot show web-1 before-upgrade")
@_snapshot
def show(options: Options, name: str, project: str | None, snapshot: str) -> None:
    """Show one snapshot of the instance called NAME (or with this id)."""
    from slipway.cli.output import print_json

    with orchestrator(options) as slipway:
        found = slipway.changes.snapshots.show(name, snapshot, project=project)
    if options.json:
        print_json(found)
    else:
        _write((found,))


@_verb(
    "restore", "slipway snapshot restore web-1 before-upgrade", "slipway snapshot restore web-1 before-upgrade --yes"
)
@_snapshot
@click.option("--force", is_flag=True, help="End the guest at once, as if its power was cut.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask: what is on the disks now goes.")
def restore(options: Options, name: str, project: str | None, snapshot: str, force: bool, yes: bool) -> int:
    """Have the disks of the instance called NAME (or with this id) be what they were in SNAPSHOT.

    A guest that runs is shut down for it, and started again. What is on the disks now goes once it runs; where anything
    fails before that it comes back. The snapshot stays.
    """
    if not yes:
        _agree(options, name, project, snapshot)
    said = (snapshot, *(("--force",) if force else ()), "--yes")
    by = lambda of: partial(of.restore, snapshot=snapshot, force=force)  # noqa: E731
    return _change("restore", options, name, project, by, said)


@_verb("delete", "slipway snapshot delete web-1 before-upgrade")
@_snapshot
def delete(options: Options, name: str, project: str | None, snapshot: str) -> int:
    """Delete a snapshot of the instance called NAME (or with this id). Its disks stay as they are."""
    return _change("delete", options, name, project, lambda of: partial(of.delete, snapshot=snapshot), (snapshot,))


def _change(
    verb: str,
    options: Options,
    name: str,
    project: str | None,
    by: Callable[[Snapshots], Callable[..., Instance]],
    said: tuple[str, ...],
) -> int:
    from slipway.cli.selecting import Chosen

    chosen = Chosen((name,), project)
    of: Callable[[Orchestrator], Any] = lambda slipway: by(slipway.changes.snapshots)  # noqa: E731
    return power.change_all(f"snapshot {verb}", options, chosen, by=of, said=said)


def _agree(options: Options, name: str, project: str | None, snapshot: str) -> None:
    """Have somebody say that what is on the disks may go. Raises `NotConfirmed`."""
    from slipway.errors import NotConfirmed

    with orchestrator(options) as slipway:
        found = slipway.changes.snapshots.show(name, snapshot, project=project)
        stops = slipway.show(name, project=project).instance.vm_state == "ACTIVE"
    guest = "its guest is stopped, and " if stops else ""
    what = f"{guest}what {name} has written on its disks since {found.at:%Y-%m-%d %H:%M:%S} UTC is lost"
    if options.json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise NotConfirmed(f"nothing was done: {what}; --yes agrees to this")
    if not click.confirm(f"{what[0].upper()}{what[1:]}. Do this?", default=False, err=True):
        raise NotConfirmed("nothing was done: you have not agreed to it")


def _write(found: tuple[Snapshot, ...]) -> None:
    from slipway.cli.output import table, write
    from slipway.flows.scheduler import size

    rows = [
        (
            one.name,
            f"{one.at:%Y-%m-%d %H:%M:%S}",
            ",".join(map(str, one.disks)),
            size(one.size),
            one.state,
            "yes" if one.consistent else "no (as after a power cut)",
        )
        for one in found
    ]
    write(table(("NAME", "MADE AT", "SLOTS", "SIZE>", "GUEST", "CONSISTENT"), rows))
