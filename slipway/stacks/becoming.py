"""Carries out what a plan has for an instance that is built: one run after the other, each undone where it fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from msgspec import Struct

from slipway import errors
from slipway.drivers.registry import HostDrivers
from slipway.flows.tasks.base import Tools
from slipway.model.change import Change
from slipway.model.record import Effect, Event, Instance
from slipway.model.request import InstanceRequest, Volume
from slipway.operations.batch import Ended, Status
from slipway.operations.changes.disks import attach_disk, detach_disk, grow_disk
from slipway.operations.changes.moves import move, new_host
from slipway.operations.changes.nics import attach_interface, detach_interface
from slipway.operations.changes.rebuild import check_host, rebuild
from slipway.operations.changes.size import resize
from slipway.operations.changes.words import as_asked, with_attributes
from slipway.operations.ended import ended
from slipway.operations.lifecycle import Builder
from slipway.stacks.guests import size_wanted
from slipway.stacks.parts import compare_disks, compare_nics
from slipway.stacks.plan import PlannedRun
from slipway.states import instances
from slipway.states.secrets import to_keep

Make = Callable[[Instance, Sequence[Effect]], Change | None]


class Changer(Struct, frozen=True):
    """What is needed to make instances what a file says."""

    builder: Builder
    tools: Tools
    notify: Callable[[Event], None]
    stopping: Callable[[], bool]

    def change(self, name: str, instance_id: str, runs: Sequence[PlannedRun], request: InstanceRequest) -> Ended:
        """Do what was planned. Where a run fails the instance is as before it, and those after it are not begun."""
        began = self.tools.monotonic()
        try:
            for run in runs:
                if self.stopping():
                    return Ended(name, Status.INTERRUPTED, self._now(instance_id), "not all of it was begun")
                make = _make(run, request)
                self._ask_host(instance_id, run, request, make)
                changed = self.builder.change(instance_id, None, make, self.notify, self.stopping)
                if changed.fault is not None:
                    return ended(self.tools, changed, Status.FAILED, began)
        except errors.InstanceBusy as busy:
            return Ended(name, Status.BUSY, self._now(instance_id), str(busy))
        except errors.NotFinished as stopped:
            return Ended(name, Status.INTERRUPTED, self._now(instance_id), str(stopped))
        except errors.StoreError:
            raise
        except errors.SlipwayError as refused:
            return Ended(name, Status.REFUSED, self._now(instance_id), str(refused), error=type(refused).__name__)
        return ended(self.tools, self._now(instance_id), Status.CHANGED, began)

    def _ask_host(self, instance_id: str, run: PlannedRun, request: InstanceRequest, make: Make) -> None:
        """See whether its host can do that, before anything is done."""
        if isinstance(run.disk, Volume):
            self.builder.ask_host(instance_id, None, partial(_check_volume, run.disk))
        elif run.verb == "move":
            new_host(self.tools, instance_id, None, run.of, asked=_placed(run, request))
        elif run.verb == "rebuild" and (change := make(*self.builder.look(instance_id, None))):
            self.builder.ask_host(instance_id, None, partial(check_host, change))

    def _now(self, instance_id: str) -> Instance:
        with self.tools.store.read() as tx:
            return instances.get(tx, instance_id)


def _check_volume(volume: Volume, drivers: HostDrivers) -> None:
    drivers.disk.check_volume(volume)


def _make(run: PlannedRun, request: InstanceRequest) -> Make:
    """What is to be made of the instance. What somebody else has done meanwhile is not done once more."""
    match run.verb:
        case "resize":
            return lambda instance, effects: resize(
                instance, effects, lambda have: size_wanted(have, request.flavor), stops=True
            )
        case "set":
            return partial(as_asked, wanted=request, attributes=run.attributes)
        case "move":
            place = partial(move, to=run.of, asked=_placed(run, request))
            return lambda instance, effects: place(instance, effects) if instance.host != run.of else None
        case "rebuild":
            return partial(_rebuilt, request)
        case "attach-interface" if run.nic is not None:
            make: Make = partial(attach_interface, nic=run.nic)
        case "detach-interface":
            make = partial(detach_interface, nic=run.of)
        case "attach-disk" if run.disk is not None:
            make = partial(attach_disk, disk=run.disk)
        case "detach-disk":
            make = partial(detach_disk, disk=run.of)
        case "grow-disk" if isinstance(run.disk, int):
            make = partial(grow_disk, disk=run.of, size_=run.disk)
        case _:
            raise errors.PlanUnusable(f"nobody knows how to {run.verb}")
    return lambda instance, effects: make(instance, effects) if _still(run, instance, effects, request) else None


def _placed(run: PlannedRun, request: InstanceRequest) -> Callable[[InstanceRequest], InstanceRequest]:
    return lambda have: with_attributes(have, request, run.attributes)


def _rebuilt(request: InstanceRequest, instance: Instance, effects: Sequence[Effect]) -> Change | None:
    wanted, have = to_keep(request), instance.request
    said = ("image", "user_data_sha256", "files")
    if all(getattr(wanted, name) == getattr(have, name) for name in said):
        return None
    files, data = request.files, request.user_data
    return rebuild(instance, effects, request.image, user_data=data, files=files, stops=True)


def _still(run: PlannedRun, instance: Instance, effects: Sequence[Effect], request: InstanceRequest) -> bool:
    if not run.verb.endswith("-interface"):
        return run in compare_disks(instance, effects, request.disks).runs
    return request.networks is None or run in compare_nics(instance, effects, request.networks).runs
