"""Another root disk, made of an image: what an instance is to become, checked against what it has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from slipway import errors
from slipway.drivers.disk.base import keeps_snapshots
from slipway.drivers.registry import HostDrivers
from slipway.flows.scheduler import check_request
from slipway.flows.tasks.change_size import root_disk
from slipway.flows.tasks.disks import CreateSeed
from slipway.model.change import Change
from slipway.model.machine import DiskSnapshot
from slipway.model.record import Effect, Instance
from slipway.model.request import Image, InjectedFile, InstanceRequest
from slipway.operations.changes.disks import aside_keys, free_slot
from slipway.operations.changes.words import checked
from slipway.states.effects import done
from slipway.states.machines import VmState
from slipway.states.secrets import lacks_secrets


def rebuild(
    instance: Instance,
    effects: Sequence[Effect],
    image: Image | None,
    *,
    user_data: str | None = None,
    files: Sequence[InjectedFile] | None = None,
    stops: bool = False,
) -> Change:
    """With its root disk made anew from the image, None: from the one that it has; user data and files as they are
    said, None: as they are.

    Raises `InvalidRequest`, `ImageNotActive`, `FlavorDiskTooSmall` and `FlavorMemoryTooSmall` for an image that it
    cannot have, `UnexpectedState` where it is PAUSED, and `StopNeeded` where its guest would be stopped and that is not
    agreed to.
    """
    request = _asked(instance, image, user_data, files)
    if instance.vm_state == VmState.PAUSED:
        raise errors.UnexpectedState(f"instance {instance.name} is PAUSED, where no rebuild is possible: unpause it")
    what = f"from image {request.image.name}"
    if instance.vm_state == VmState.ACTIVE and not stops:
        raise errors.StopNeeded(
            f"instance {instance.name} runs, and its guest has to stop to be rebuilt {what}: --yes agrees to that"
        )
    root = root_disk(effects)
    roots = () if root is None else (DiskSnapshot(instance.id, root.slot, ""),)
    # What is not on record any more cannot be on a new seed: then the guest keeps the one that it has.
    reseeds = not lacks_secrets(request)
    seeds = [effect.key for effect in done(effects, CreateSeed.kind)]
    return Change(
        "rebuild",
        what,
        request,
        retired=(*aside_keys(instance, len(roots)), *(seeds if reseeds else ())),
        slots={CreateSeed.kind: (free_slot(effects),)},
        snapshots=roots,
        reseeds=reseeds,
    )


def _asked(
    instance: Instance, image: Image | None, user_data: str | None, files: Sequence[InjectedFile] | None
) -> InstanceRequest:
    request = instance.request if image is None else replace(instance.request, image=image)
    if files is not None:
        request = replace(request, files=tuple(files))
    if user_data is not None:
        request = replace(request, user_data=user_data, user_data_sha256=None)
    if (user_data is None) != (files is None) and lacks_secrets(request):
        missing = "files" if files is None else "user data"
        raise errors.InvalidRequest(
            (f"it was built with {missing} as well, which are not on record any more: say them once more",),
            f"instance {instance.name}",
        )
    checked(request, instance)
    check_request(request)
    return request


def check_host(change: Change, drivers: HostDrivers) -> None:
    """Raise `SnapshotRefused` where the host could not bring the old root disk back, and what its driver does for an
    image that it cannot use."""
    if not change.snapshots:
        return
    if not keeps_snapshots(drivers.disk):
        raise errors.SnapshotRefused("the driver of its host's disks keeps none beside another: build it anew instead")
    drivers.disk.check_image(change.request.image, change.request.flavor.disk)


def image_of(name: str, instances: Iterable[Instance]) -> Image:
    """The image of that name which instances have. Raises `ImageNotFound` where none has it, or several differ."""
    found = {instance.request.image for instance in instances if instance.request.image.name == name}
    if len(found) == 1:
        return found.pop()
    if found:
        said = "; ".join(sorted(str(one.path or one.kernel) for one in found))
        raise errors.ImageNotFound(f"instances have several images called {name} ({said}): name its file instead")
    raise errors.ImageNotFound(
        f"no instance on record has an image {name}: name its file instead, such as ./{name}.qcow2"
    )
