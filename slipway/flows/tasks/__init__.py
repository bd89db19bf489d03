"""The steps of a build, one task each."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any

from slipway.errors import InvalidTask
from slipway.flows.tasks.allocate import AllocateNetwork
from slipway.flows.tasks.base import Task, mistakes_in
from slipway.flows.tasks.claim import ClaimHost
from slipway.flows.tasks.disks import CreateDisk, CreateSeed, MapDisks, MapSeed
from slipway.flows.tasks.domain import BuildXml, Spawn, Wait
from slipway.flows.tasks.finish import Finish
from slipway.flows.tasks.ports import BindPort, CreatePort
from slipway.flows.tasks.ready import WaitReady
from slipway.flows.tasks.requirements import RequireVifs
from slipway.flows.tasks.schedule import Schedule
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
)


def _installed() -> tuple[type[Task], ...]:
    """The tasks of other packages, which the entry point `slipway.tasks` names. Raises `InvalidTask`."""
    return tuple(_checked(entry) for entry in entry_points(group="slipway.tasks"))


def _checked(entry: EntryPoint) -> type[Task]:
    """A package's task, if it is one: else a build would find that out at the record, when it is half done."""
    said = f"entry point slipway.tasks {entry.name} = {entry.value}"
    try:
        task = entry.load()
    except Exception as error:
        raise InvalidTask(f"{said}: it cannot be loaded: {named(error)}") from error
    if not (isinstance(task, type) and issubclass(task, Task)):
        raise InvalidTask(f"{said}: it is no subclass of Task")
    if mistakes := "; ".join(mistakes_in(task)):
        raise InvalidTask(f"{said}: {mistakes}")
    return task


CATALOG: Mapping[str, Task] = MappingProxyType({task.name: task() for task in (*_installed(), *_ALL)})
"""Every task by the name that a workflow uses; none of a name of ours is another's."""

BY_KIND: Mapping[str, Task] = MappingProxyType({task.kind: task for task in CATALOG.values()})
"""Every task by the kind of its effect, for those who undo what the ledger has."""


def arguments_of(effect: Effect) -> Any:
    """What is on record of the arguments of an effect of any task; see `Task.arguments_of`."""
    return BY_KIND[effect.kind].arguments_of(effect)
