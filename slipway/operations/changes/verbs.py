"""What an instance that was built can be made; each verb is a run of a workflow."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from slipway.checks import check
from slipway.model.limits import Size
from slipway.model.record import Event, Instance
from slipway.model.request import NetworkRequest, Volume
from slipway.operations.changes.disks import attach_disk, detach_disk
from slipway.operations.changes.nics import attach_interface, detach_interface
from slipway.operations.lifecycle import Builder

Listener = Callable[[Event], None]


class InstanceChanges:
    """Makes instances that were built other ones, in place; each change is a run.

    Each verb takes the instance's name or id and gives it as it is then: where the change failed, as it was before,
    with the fault. All raise `InstanceNotFound`, `UnexpectedState` where the instance is in no state for it,
    `InstanceBusy`, `HostElsewhere`, and `NotFinished` where it was to stop: `resume` brings it to rest.
    """

    def __init__(self, builder: Builder) -> None:
        self._builder = builder

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
