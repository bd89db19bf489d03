"""Every task by name: ours, and those of other packages. Not imported by `base`, which those packages import."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

from slipway.drivers.names import points
from slipway.errors import InvalidRequest, UnknownTask
from slipway.flows.definition import TaskSignature
from slipway.flows.tasks.allocate import AllocateNetwork
from slipway.flows.tasks.base import Task
from slipway.flows.tasks.change_snapshots import OF_SNAPSHOTS
from slipway.flows.tasks.changes import OF_CHANGES
from slipway.flows.tasks.checks import faults_of
from slipway.flows.tasks.claim import ClaimHost
from slipway.flows.tasks.clones import MapCopies, ReleaseSource, SnapshotSource
from slipway.flows.tasks.command import Command
from slipway.flows.tasks.decorator import task_of
from slipway.flows.tasks.disks import CreateDisk, CreateSeed, MapDisks, MapSeed
from slipway.flows.tasks.domain import BuildXml, Spawn, Wait
from slipway.flows.tasks.finish import Finish
from slipway.flows.tasks.flowcontrol import Assert, Log, Pause, Set, Sleep
from slipway.flows.tasks.http import Http
from slipway.flows.tasks.instances import BuildInstance, DeleteInstance, FindInstance, StartInstance, StopInstance
from slipway.flows.tasks.modules import things_of
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
    SnapshotSource,
    MapCopies,
    CreateDisk,
    ReleaseSource,
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
    FindInstance,
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


_tasks: dict[str, Task] = {}
_signatures: dict[str, TaskSignature] = {}
_kinds: dict[str, Task] = {}

CATALOG: Mapping[str, Task] = MappingProxyType(_tasks)
"""Every task by the name that a workflow uses; none of a name of ours is another's."""

SIGNATURES: Mapping[str, TaskSignature] = MappingProxyType(_signatures)
"""What each takes that a workflow may name, those that are refused with the reason."""

CHANGES: Mapping[str, Task] = {task.name: task() for task in (*OF_CHANGES, *OF_SNAPSHOTS)}
"""The tasks that only Slipway's own changes of instances use, by name."""

BY_KIND: Mapping[str, Task] = MappingProxyType(_kinds)
"""Every task by the kind of its effect, for those who undo what the ledger has."""


def load_tasks(spec: str) -> tuple[Task, ...]:
    """Have the tasks of a module in the catalog of this process: "MODULE", "FILE.py", or one of either, "MODULE:NAME".

    A module is looked for in the working directory as well. What is in the catalog already stays as it is.
    Raises `InvalidRequest` with all that is wrong with any of them; then none is in the catalog.
    """
    where = spec.partition(":")[0]
    candidates = [_judged(f"{where}:{getattr(one, '__name__', one)}", partial(_same, one)) for one in things_of(spec)]
    if not candidates:
        raise InvalidRequest((f"there is no task in {spec}: put @task before a function, or write a subclass of Task",))
    new = [one for one in candidates if one.task is None or type(one.task) is not type(_tasks.get(one.task.name))]
    if refused := tuple(filter(None, (one.refusal for one in _without_clashes(new)))):
        raise InvalidRequest(refused)
    _admit(new)
    return tuple(_tasks[one.task.name] for one in candidates if one.task is not None)


def _same(thing: Any) -> Any:
    return thing


class _Candidate(NamedTuple):
    """Something that is to be a task; `task` is None where that cannot be, and `wrong` says why."""

    entry: str
    value: str
    task: Task | None
    wrong: tuple[str, ...] = ()

    @property
    def refusal(self) -> str:
        """Why it has no use, as whoever uses it is told; empty where it has one."""
        return f"task {self.entry} ({self.value}) cannot be used: {'; '.join(self.wrong)}" if self.wrong else ""


def _judged(value: str, load: Callable[[], Any], entry: str = "") -> _Candidate:
    """Whether what is loaded can be a task. Whatever a package does meanwhile, it is in the way of nothing else."""
    try:
        thing = load()
        wrong = tuple(faults_of(thing))
        task = None if wrong else task_of(thing)()
        if task is not None:
            task.signature  # noqa: B018 - read here, where whatever is wrong with it is caught
    except (Exception, SystemExit) as error:  # noqa: BLE001 - see above
        return _Candidate(entry or value, value, None, (f"it cannot be loaded: {named(error)}",))
    return _Candidate(entry or (task.name if task else value), value, task, wrong)


def _without_clashes(candidates: Sequence[_Candidate]) -> list[_Candidate]:
    """Those of a name or kind that is another's are refused: an effect is undone by the task of its kind.

    What is in the catalog stays. Of two others both are refused, since nobody can say which was meant.
    """
    return [one._replace(wrong=(*one.wrong, *_taken(one, candidates))) for one in candidates]


def _taken(one: _Candidate, candidates: Sequence[_Candidate]) -> Iterator[str]:
    if one.task is None:
        return
    others = [two for other in candidates if (two := other.task) is not None and type(two) is not type(one.task)]
    for what in ("name", "kind"):
        for other in (*_tasks.values(), *others):
            if getattr(one.task, what) == getattr(other, what):
                whose = f"{type(other).__module__}:{type(other).__qualname__}"
                yield f"its {what} is that of {whose}: give it another"


def _admit(candidates: Iterable[_Candidate]) -> None:
    for one in candidates:
        if one.task is None or one.wrong:
            for name in (one.entry, one.task.name if one.task else one.entry):
                _signatures.setdefault(name, TaskSignature(frozenset(), refused=one.refusal))
        else:
            _tasks[one.task.name] = _kinds[one.task.kind] = one.task
            _signatures[one.task.name] = one.task.signature


def _begin() -> None:
    """Our tasks, and those of other packages which the entry point `slipway.tasks` names.

    One that cannot be used is refused where a workflow uses it.
    """
    _admit(_Candidate(kind.name, "slipway", kind()) for kind in _ALL)
    _kinds.update({task.kind: task for task in CHANGES.values() if task.kind not in _kinds})
    _admit(_without_clashes([_judged(point.value, point.load, point.name) for point in points("slipway.tasks")]))


_begin()


def arguments_of(effect: Effect) -> Any:
    """What is on record of the arguments of an effect of any task; see `Task.arguments_of`."""
    return BY_KIND[effect.kind].arguments_of(effect)


def no_task(effect: Effect, _tx: Any) -> None:
    """In place of the undo of an effect whose kind no task has. Raises `UnknownTask`."""
    raise UnknownTask(f"no task undoes '{effect.kind}': is the package that brought it still installed?")
