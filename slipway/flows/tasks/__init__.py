"""The steps of a build, one task each."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any

from slipway.flows.tasks.allocate import AllocateNetwork
from slipway.flows.tasks.base import Task
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
    """The tasks of other packages, which the entry point `slipway.tasks` names."""
    return tuple(entry.load() for entry in entry_points(group="slipway.tasks"))


CATALOG: Mapping[str, Task] = MappingProxyType({task.name: task() for task in (*_installed(), *_ALL)})
"""Every task by the name that a workflow uses; none of a name of ours is another's."""

BY_KIND: Mapping[str, Task] = MappingProxyType({task.kind: task for task in CATALOG.values()})
"""Every task by the kind of its effect, for those who undo what the ledger has."""


def arguments_of(effect: Effect) -> Any:
    """What is on record of the arguments of an effect of any task; see `Task.arguments_of`."""
    return BY_KIND[effect.kind].arguments_of(effect)
