"""The effects that a build would have, in their order, as the ledger will have them, each with its inverse."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache

from msgspec import Struct

from slipway.flows.definition import Definition, StepDefinition
from slipway.flows.scheduler import disk_total, size
from slipway.flows.tasks.base import Tools
from slipway.flows.tasks.cards import undo_words
from slipway.flows.tasks.catalog import CATALOG
from slipway.flows.tasks.ports import BindPort, CreatePort
from slipway.flows.tasks.wiring import CreateDhcpPort, FilterPort, Plug, ServeDhcp
from slipway.model.request import Host, InstanceRequest, Volume
from slipway.stacks.nics import PlannedNic
from slipway.stacks.plan import PlannedEffect
from slipway.states.intent import Durability


class PlannedBuild(Struct, frozen=True):
    """An instance that would be built on a host, with the NICs that it would have."""

    request: InstanceRequest
    host: Host
    nics: tuple[PlannedNic, ...]


def effects_of(definition: Definition, build: PlannedBuild, tools: Tools) -> tuple[PlannedEffect, ...]:
    """All of them. Of a step whose items only the build knows there is one, without a slot."""
    return tuple(effect for step in definition.steps for effect in _of_step(step, build, tools))


def _of_step(step: StepDefinition, build: PlannedBuild, tools: Tools) -> Sequence[PlannedEffect]:
    task = CATALOG.get(step.uses)
    if task is None:
        text = "what this workflow does"
        return (PlannedEffect(step.id, "workflow", None, text, "each of its steps"),)
    irreversible = task.irreversible and step.revert is None
    if (task.undo is None and not irreversible and step.revert is None) or (
        task.durability(tools, build.host) is Durability.PURE
    ):
        return ()
    inverse = f"by {step.revert.uses}" if step.revert else "" if irreversible else _undo_of(step.uses)
    items = _ITEMS.get(step.uses)
    if items is None:
        what = CATALOG[step.uses].name if step.for_each is None else f"{step.uses}, for each item"
        slot = 0 if step.for_each is None else None
        return (PlannedEffect(step.id, task.kind, slot, what, inverse, irreversible),)
    return [
        PlannedEffect(step.id, task.kind, slot, what, inverse, irreversible)
        for slot, what in enumerate(items(build, tools))
    ]


@cache
def _undo_of(task: str) -> str:
    """What the task's own undo does: the beginning of what it says of itself."""
    text = (undo_words(CATALOG[task]) or "").partition(". ")[0].partition(";")[0].partition(",")[0].rstrip(".")
    return text[:1].lower() + text[1:]


# --- what each of ours is about -----------------------------------------------------------------------------------


def _claim(build: PlannedBuild, _tools: Tools) -> Sequence[str]:
    flavor = build.request.flavor
    vcpus = f"{flavor.vcpus} vCPU{'s' if flavor.vcpus != 1 else ''}"
    return (f"{vcpus}, {size(flavor.memory)} of memory, {size(disk_total(build.request))} of disk",)


def _ports(build: PlannedBuild, _tools: Tools) -> Sequence[str]:
    return [
        f"{nic.network} {', '.join(nic.addresses) or 'no address'}"
        + (f", port {nic.port} brought along" if nic.port else "")
        for nic in build.nics
    ]


def _bindings(build: PlannedBuild, _tools: Tools) -> Sequence[str]:
    return [f"of port {slot} to {build.host.name}" for slot, _ in enumerate(build.nics)]


def _of_nic(what: str) -> Callable[[PlannedBuild, Tools], Sequence[str]]:
    return lambda build, _tools: [f"{what} {nic.network}" for nic in build.nics]


def _disks(build: PlannedBuild, _tools: Tools) -> Sequence[str]:
    request = build.request
    root = [f"root, {size(request.flavor.disk)} from {request.image.name}"] if request.flavor.disk else []
    further = [
        f"{disk.path}, brought along" if isinstance(disk, Volume) else f"data, {size(disk)}" for disk in request.disks
    ]
    return root + further


def _seed(build: PlannedBuild, tools: Tools) -> Sequence[str]:
    told = _says_something(build.request) or any(nic.static for nic in build.nics)
    return ("what cloud-init is told",) if told or tools.drivers.on(build.host).disk.keeps_seeds else ()


def _says_something(request: InstanceRequest) -> bool:
    return request.user_data is not None or bool(request.ssh_keys or request.files or request.metadata)


def _definition(build: PlannedBuild, _tools: Tools) -> Sequence[str]:
    return (f"the XML of {build.request.name}",)


def _domain(build: PlannedBuild, _tools: Tools) -> Sequence[str]:
    return (f"{build.request.name} on {build.host.name}",)


_ITEMS: Mapping[str, Callable[[PlannedBuild, Tools], Sequence[str]]] = {
    "claim": _claim,
    CreatePort.name: _ports,
    BindPort.name: _bindings,
    "create-disk": _disks,
    "create-seed": _seed,
    "build-xml": _definition,
    Plug.name: _of_nic("tap on"),
    FilterPort.name: _of_nic("packet filter on"),
    CreateDhcpPort.name: _of_nic("port of the DHCP server of"),
    ServeDhcp.name: _of_nic("DHCP on"),
    "spawn": _domain,
}
