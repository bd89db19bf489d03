"""What an instance that was built can be made; each verb is a run of a workflow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from slipway.checks import check
from slipway.flows.tasks.base import Tools
from slipway.model.limits import Size
from slipway.model.record import Event, Instance
from slipway.model.request import Flavor, Image, InjectedFile, NetworkRequest, Readiness, Volume
from slipway.model.selection import Selection
from slipway.operations.changes.disks import attach_disk, detach_disk, grow_disk
from slipway.operations.changes.moves import lost_race, move, new_host
from slipway.operations.changes.nics import attach_interface, detach_interface
from slipway.operations.changes.rebuild import check_host, image_of, rebuild
from slipway.operations.changes.size import flavor_of, of_sizes, resize
from slipway.operations.changes.snapshots import Snapshots
from slipway.operations.changes.words import rename, set_words
from slipway.operations.lifecycle import Builder
from slipway.operations.several import read
from slipway.states.machines import State

Listener = Callable[[Event], None]


class InstanceChanges:
    """Makes instances that were built other ones, in place; each change is a run.

    Each verb takes the instance's name or id and gives it as it is then: where the change failed, as it was before,
    with the fault. All raise `InstanceNotFound`, `UnexpectedState` where the instance is in no state for it,
    `InstanceBusy`, `HostElsewhere`, and `NotFinished` where it was to stop: `resume` brings it to rest.
    """

    def __init__(self, builder: Builder, tools: Tools) -> None:
        self._builder = builder
        self._tools = tools
        self.snapshots = Snapshots(builder, tools)

    def attach_interface(
        self,
        name: str,
        nic: NetworkRequest,
        *,
        project: str | None = None,
        on_event: Listener = lambda _event: None,
    ) -> Instance:
        """Give it one more NIC, behind those that it has; a guest that runs sees it at once."""
        return self._builder.change(name, project, partial(attach_interface, nic=nic), on_event)

    def detach_interface(
        self, name: str, nic: str, *, project: str | None = None, on_event: Listener = lambda _event: None
    ) -> Instance:
        """Take away the NIC with this MAC, address, or port (name or id), once a guest that runs has let go of it.

        A port that was brought along stays. Raises `InterfaceNotFound`.
        """
        return self._builder.change(name, project, partial(detach_interface, nic=nic), on_event)

    def attach_disk(
        self,
        name: str,
        disk: int | Volume,
        *,
        project: str | None = None,
        on_event: Listener = lambda _event: None,
    ) -> Instance:
        """Give it one more disk, of this size in bytes or a volume; a guest that runs sees it at once.

        Raises `InvalidRequest`, as for the 26th, and before anything is done `VolumeInUse` and `ImageUnacceptable`.
        """
        check(disk, Size | Volume, "disk")
        if isinstance(disk, Volume):
            self._builder.ask_host(name, project, lambda drivers: drivers.disk.check_volume(disk))
        return self._builder.change(name, project, partial(attach_disk, disk=disk), on_event)

    def detach_disk(
        self, name: str, disk: str, *, project: str | None = None, on_event: Listener = lambda _event: None
    ) -> Instance:
        """Take away the disk with this device (`vdb`), slot or volume's path, once a guest that runs has let go of it.

        A volume is given back as it is, any other disk is deleted. Raises `DiskNotFound`, also for root disk and seed.
        """
        return self._builder.change(name, project, partial(detach_disk, disk=disk), on_event)

    def grow_disk(
        self, name: str, disk: str, size: int, *, project: str | None = None, on_event: Listener = lambda _event: None
    ) -> Instance:
        """Have the disk with this device (`vdb`) or slot be so many bytes large; a guest that runs sees it at once.

        The root disk grows by `resize`. So large already: nothing happens. Raises `DiskNotFound`, and `InvalidRequest`
        for a smaller size, for a disk never shrinks, and for a volume.
        """
        check(size, Size, "size")
        return self._builder.change(name, project, partial(grow_disk, disk=disk, size_=size), on_event)

    def rename(
        self, name: str, new: str, *, project: str | None = None, on_event: Listener = lambda _event: None
    ) -> Instance:
        """Have it be called otherwise: on record, in its ports' DNS names and in its domain's title.

        The domain's own name stays, and the guest's host name is the guest's affair. Called so already: nothing
        happens. Raises `InstanceExists` where another one of its project is called so, and `InvalidRequest`.
        """
        self._builder.check_free(name, project, new)
        return self._builder.change(name, project, partial(rename, new=new), on_event)

    def set(
        self,
        name: str,
        *,
        metadata: Mapping[str, str | None] | None = None,
        security_groups: Sequence[str] | None = None,
        wait_for: Sequence[Readiness] | None = None,
        autostart: bool | None = None,
        project: str | None = None,
        on_event: Listener = lambda _event: None,
    ) -> Instance:
        """Have other things on record of it: what is None stays, and a key of `metadata` that is None goes.

        `security_groups` are all that its ports have then, but for ports that were brought along; hosts follow at once.
        So already: nothing happens. Raises `InvalidRequest`.
        """
        said = partial(
            set_words,
            metadata=metadata or {},
            security_groups=security_groups,
            wait_for=wait_for,
            autostart=autostart,
        )
        return self._builder.change(name, project, said, on_event)

    def move(
        self,
        name: str,
        *,
        to: str | None = None,
        live: bool = False,
        timeout: float | None = None,
        project: str | None = None,
        on_event: Listener = lambda _event: None,
    ) -> Instance:
        """Have it on another host, `to` or the one that the scheduler chooses; a guest that runs is shut down first.

        With `live` it goes on running: what is in its memory and on its disks goes along meanwhile, for `timeout`
        seconds at most (None: half an hour). Its ports with their addresses, its disks and its volumes go along. Before
        anything is done it raises `MoveRefused`, `NoValidHost` with the reasons, `HostNotFound`.
        """
        for _ in range(self._tools.settings.max_attempts):
            target = new_host(self._tools, name, project, to, live=live)
            made = partial(move, to=target, live=live, patience=timeout)
            moved = self._builder.change(name, project, made, on_event)
            if to is not None or not lost_race(moved):
                break
        return moved

    def evacuate(
        self,
        name: str,
        *,
        to: str | None = None,
        project: str | None = None,
        on_event: Listener = lambda _event: None,
    ) -> Instance:
        """Build it again on another host, for its own is dead: its ports and volumes go along, its disks are new.

        Nothing is asked of the old host: what is there stays stuck until a repair finds the host again. Raises as
        `move`, and `MoveRefused` where its guest certainly runs there, or where it had user data.
        """
        target = new_host(self._tools, name, project, to, lost=True)
        return self._builder.change(name, project, partial(move, to=target, lost=True), on_event)

    def resize(
        self,
        name: str,
        *,
        flavor: Flavor | str | None = None,
        vcpus: int | None = None,
        memory: int | None = None,
        disk: int | None = None,
        stops: bool = False,
        project: str | None = None,
        on_event: Listener = lambda _event: None,
    ) -> Instance:
        """Give it the sizes of a flavor (by its name: one that instances on record have), or those said, in bytes.

        What more it needs is claimed of its host and of the project's quota first. A disk grows while its guest runs.
        Other vCPUs or memory stop a guest that runs, if `stops` agrees to that (else `StopNeeded`), and where it does
        not start with them it is started as it was. Raises `FlavorNotFound`, and `InvalidRequest`, as for a smaller
        disk.
        """
        if isinstance(flavor, str):
            flavor = self.flavor(flavor)
        made = of_sizes(vcpus, memory, disk) if flavor is None else partial(_given, flavor)
        return self._builder.change(name, project, partial(resize, flavor=made, stops=stops), on_event)

    def rebuild(
        self,
        name: str,
        *,
        image: Image | str | None = None,
        user_data: str | None = None,
        files: Sequence[InjectedFile] | None = None,
        stops: bool = False,
        project: str | None = None,
        on_event: Listener = lambda _event: None,
    ) -> Instance:
        """Make its root disk anew, from another image (one by its name: see `image`) or the one that it has.

        All else stays: id, host, ports, addresses, other disks. Its seed is made anew as well, with those `user_data`
        and `files` that are said; where they are not, and it had some, it keeps the seed. A guest that runs is stopped
        for it, if `stops` agrees to that (else `StopNeeded`), and started; where it does not come up, or shows no sign
        of `wait_for`, it has its old root disk again. Before anything is done it raises `InvalidRequest`,
        `ImageNotFound`, `ImageNotActive`, `ImageUnacceptable`, `FlavorDiskTooSmall`, `FlavorMemoryTooSmall`.
        """
        wanted = self.image(image) if isinstance(image, str) else image
        made = partial(rebuild, image=wanted, user_data=user_data, files=files, stops=stops)
        found, standing = self._builder.look(name, project)
        if State(found.vm_state, found.task_state).at_rest:
            of = made(found, standing)
            self._builder.ask_host(found.id, None, partial(check_host, of))
        return self._builder.change(found.id, None, made, on_event)

    def flavor(self, name: str) -> Flavor:
        """The flavor of that name which instances on record have: all are read. Raises `FlavorNotFound`."""
        return flavor_of(name, read(self._tools.store, Selection()))

    def image(self, name: str) -> Image:
        """The image of that name which instances on record have: all are read. Raises `ImageNotFound`."""
        return image_of(name, read(self._tools.store, Selection()))

    def clone(
        self, name: str, new: str, *, project: str | None = None, on_event: Listener = lambda _event: None
    ) -> Instance:
        """Build another instance of the same request, called `new`, on the same host, whose disks are copies: it has
        addresses, MACs and ports of its own. Gives the new one, ERROR with its fault where that failed; the other one
        stays what it is, and stands still while its disks are copied.

        Raises `InstanceExists`, and `SnapshotRefused` for want of room and for what cannot be copied, before anything
        is done.
        """
        return self.snapshots.clone(name, new, project=project, on_event=on_event)


def _given(flavor: Flavor, _have: Flavor) -> Flavor:
    return flavor
