"""Another size: what an instance is to become, checked against what it has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from msgspec.structs import replace

from slipway import errors
from slipway.flows.scheduler import size
from slipway.flows.tasks.change_size import root_disk
from slipway.model.change import Change
from slipway.model.record import Effect, Instance
from slipway.model.request import Flavor
from slipway.operations.changes.words import checked
from slipway.states.machines import VmState

CUSTOM = "custom"
"""What a flavor is called whose sizes were said one by one."""


def resize(
    instance: Instance, effects: Sequence[Effect], flavor: Callable[[Flavor], Flavor], *, stops: bool
) -> Change | None:
    """With the flavor that is made of the one it has; None where it has that.

    Raises `InvalidRequest`: for a smaller disk, one that it has not, and pinned CPUs; `UnexpectedState` where it is
    PAUSED, and `StopNeeded` where its guest would be stopped and that is not agreed to.
    """
    have, wanted = instance.request.flavor, flavor(instance.request.flavor)
    if wanted == have:
        return None
    request = checked(replace(instance.request, flavor=wanted), instance)
    if problems := tuple(_problems(instance, effects, have, wanted)):
        raise errors.InvalidRequest(problems, f"instance {instance.name}")
    if instance.vm_state == VmState.PAUSED:
        raise errors.UnexpectedState(f"instance {instance.name} is PAUSED, where no resize is possible: unpause it")
    what = f"from {_words(have)} to {_words(wanted)}"
    if replace(wanted, name=have.name, disk=have.disk) == have or instance.vm_state != VmState.ACTIVE:
        return Change("resize", what, request)
    if not stops:
        raise errors.StopNeeded(
            f"instance {instance.name} runs, and its guest has to stop to be resized {what}: --yes agrees to that"
        )
    return Change("resize-stopping", what, request)


def _problems(instance: Instance, effects: Sequence[Effect], have: Flavor, wanted: Flavor) -> Iterable[str]:
    disk = root_disk(effects)
    if disk is None and wanted.disk != have.disk:
        yield "disk: it has no root disk, and gets none by a resize"
    elif disk is not None and wanted.disk < disk.size:
        yield f"disk: {size(wanted.disk)} is less than the {size(disk.size)} that it has: a disk never shrinks"
    if have.pin_cpus or wanted.pin_cpus:
        yield "flavor: an instance with pinned CPUs is not resized: build it anew"
    elif replace(wanted, name=have.name, vcpus=have.vcpus, memory=have.memory, disk=have.disk) != have:
        yield f"flavor: {wanted.name} is otherwise than {have.name} in more than its sizes: build it anew"


def _words(flavor: Flavor) -> str:
    return f"{flavor.vcpus} vCPUs, {size(flavor.memory)}, {size(flavor.disk)}"


def of_sizes(vcpus: int | None, memory: int | None, disk: int | None) -> Callable[[Flavor], Flavor]:
    """The flavor that an instance has, with those sizes that are said."""

    def made(have: Flavor) -> Flavor:
        said = {"vcpus": vcpus, "memory": memory, "disk": disk}
        wanted = replace(have, **{name: value for name, value in said.items() if value is not None})
        return wanted if wanted == have else replace(wanted, name=CUSTOM)

    return made


def flavor_of(name: str, instances: Iterable[Instance]) -> Flavor:
    """The flavor of that name which instances have. Raises `FlavorNotFound` where none has it, or several differ."""
    found = {instance.request.flavor for instance in instances if instance.request.flavor.name == name}
    if len(found) == 1:
        return found.pop()
    if found:
        said = "; ".join(sorted(_words(one) for one in found))
        raise errors.FlavorNotFound(f"instances have several flavors called {name} ({said}): say the sizes instead")
    raise errors.FlavorNotFound(f"no instance on record has a flavor {name}: say the sizes instead")
