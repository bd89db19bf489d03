"""The steps by which an instance gets disks that are copies of another one's."""

from __future__ import annotations

from msgspec.structs import replace

from slipway.errors import AbortBuild
from slipway.flows.tasks.base import BuildWork, InstanceVerbs, Task, Tools
from slipway.flows.tasks.disks import MapDisks
from slipway.model.machine import DiskRequest, DiskSnapshot
from slipway.model.request import Host
from slipway.states.intent import Durability


class SnapshotSource(Task):
    """Have a snapshot made of the instance that is cloned, as `slipway snapshot create` makes it."""

    name = "snapshot-source"
    kind = "source-snapshot"
    in_build_only = True

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """The verb has a ledger of its own: that of the other instance."""
        return Durability.FOREIGN

    def do(self, work: BuildWork) -> tuple[DiskSnapshot, ...]:
        """Its disks' copies, by their slots. Raises what the verb does, and `AbortBuild` where that failed."""
        source = work.instance.request.source
        if source is None:
            raise AbortBuild("workflow clone-instance builds clones alone: see slipway clone")
        return _verbs(work).snapshot(source, _name(work))

    def undo(self, work: BuildWork, result: tuple[DiskSnapshot, ...] | None) -> None:
        """Delete the snapshot."""
        source = work.instance.request.source
        if source is not None:
            _verbs(work).drop_snapshot(source, _name(work))


class MapCopies(MapDisks):
    """List the disks, each with what it is a copy of.

    Needs no undo and no record: the same request with the same snapshot gives the same list.
    """

    name = "map-copies"
    kind = "copy-mapping"

    def do(self, work: BuildWork, sources: tuple[DiskSnapshot, ...]) -> tuple[DiskRequest, ...]:  # type: ignore[override]
        """The disks in the order of their slots. Raises `AbortBuild` where the other one has not as many."""
        disks = super().do(work)
        if len(disks) != len(sources):
            raise AbortBuild(f"the instance to be cloned has {len(sources)} disks by now, and not {len(disks)}")
        return tuple(replace(disk, source=source) for disk, source in zip(disks, sources, strict=True))


class ReleaseSource(Task):
    """Let the snapshot go, once there are copies of it.

    Needs no undo: what it takes back was there for these copies alone.
    """

    name = "release-source"
    kind = "source-release"
    in_build_only = True

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """As that of the snapshot."""
        return Durability.FOREIGN

    def do(self, work: BuildWork, sources: tuple[DiskSnapshot, ...]) -> None:
        """Raises what the verb does."""
        if work.instance.request.source is not None:
            _verbs(work).drop_snapshot(work.instance.request.source, _name(work))


def _name(work: BuildWork) -> str:
    return f"clone-{work.instance.id}"


def _verbs(work: BuildWork) -> InstanceVerbs:
    if work.tools.instances is None:
        raise AbortBuild("nothing here can change another instance")
    return work.tools.instances.fenced(work.fence)
