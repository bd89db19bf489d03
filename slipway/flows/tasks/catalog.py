"""Every task by name: ours, and those of other packages. Not imported by `base`, which those packages import."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any

from slipway.flows.definition import TaskSignature
from slipway.flows.tasks.allocate import AllocateNetwork
from slipway.flows.tasks.base import Task
from slipway.flows.tasks.checks import faults_of
from slipway.flows.tasks.claim import ClaimHost
from slipway.flows.tasks.command import Command
from slipway.flows.tasks.disks import CreateDisk, CreateSeed, MapDisks, MapSeed
from slipway.flows.tasks.domain import BuildXml, Spawn, Wait
from slipway.flows.tasks.finish import Finish
from slipway.flows.tasks.flowcontrol import Assert, Log, Pause, Set, Sleep
from slipway.flows.tasks.http import Http
from slipway.flows.tasks.instances import BuildInstance, DeleteInstance, StartInstance, StopInstance
from slipway.flows.tasks.ports import BindPort, CreatePort
from slipway.flows.tasks.ready import WaitReady
from slipway.flows.tasks.requirements import RequireVifs
from slipway.flows.tasks.schedule import Schedule
from slipway.flows.tasks.waiting import WaitFor
from slipway.flows.tasks.wiring import CreateDhcpPort, FilterPort, Plug, ServeDhcp
from slipway.model.record import Effect
from slipway.texts import named

_ALL: tuple[type[Task], ...] = (
    Schedule,
    ClaimHost,
    RequireVifs,
    AllocateNetwork,
    CreatePort,
    BindPort,
    MapDisks,
    CreateDisk,
    MapSeed,
    CreateSeed,
    BuildXml,
    Plug,
    FilterPort,
    CreateDhcpPort,
    ServeDhcp,
    Spawn,
    Wait,
    WaitReady,
    Finish,
    BuildInstance,
    DeleteInstance,
    StopInstance,
    StartInstance,
    Http,
    Command,
    WaitFor,
    Pause,
    Sleep,
    Assert,
    Log,
    Set,
)


def _load() -> tuple[dict[str, Task], dict[str, TaskSignature]]:
    """Our tasks and those of other packages, which the entry point `slipway.tasks` names; and what each takes.

    One that cannot be used is refused where a workflow uses it; it is in the way of nothing else.
    """
    good: dict[str, Task] = {task.name: task() for task in _ALL}
    refused: dict[str, TaskSignature] = {}
    for entry in entry_points(group="slipway.tasks"):
        try:
            kind = entry.load()
            wrong = [*faults_of(kind), *_taken(kind, good)]
        except Exception as error:  # noqa: BLE001 - whatever another package does when it is imported
            wrong = [f"it cannot be loaded: {named(error)}"]
        if wrong:
            why = f"task {entry.name} ({entry.value}) cannot be used: {'; '.join(wrong)}"
            refused[entry.name] = TaskSignature(frozenset(), refused=why)
        else:
            good[kind.name] = kind()
    return good, refused | {name: task.signature for name, task in good.items()}


def _taken(kind: Any, good: Mapping[str, Task]) -> Iterator[str]:
    """An effect is undone by the task of its kind: two of one kind would undo each other's."""
    for other in good.values():
        for what in ("name", "kind"):
            if getattr(kind, what, None) == getattr(other, what):
                yield f"its {what} is that of {type(other).__module__}:{type(other).__qualname__}: give it another"


_good, _signatures = _load()
CATALOG: Mapping[str, Task] = MappingProxyType(_good)
"""Every task by the name that a workflow uses; none of a name of ours is another's."""

SIGNATURES: Mapping[str, TaskSignature] = MappingProxyType(_signatures)
"""What each takes that a workflow may name, those that are refused with the reason."""

BY_KIND: Mapping[str, Task] = MappingProxyType({task.kind: task for task in CATALOG.values()})
"""Every task by the kind of its effect, for those who undo what the ledger has."""


def arguments_of(effect: Effect) -> Any:
    """What is on record of the arguments of an effect of any task; see `Task.arguments_of`."""
    return BY_KIND[effect.kind].arguments_of(effect)
