"""What a task of a build is: what it does, how it is undone, and what it may use for either."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from functools import cached_property
from inspect import Parameter, signature
from typing import Any, ClassVar, Protocol, get_type_hints

import msgspec
from msgspec import Struct

from slipway.drivers.registry import Drivers, HostDrivers
from slipway.flows.definition import TaskSignature
from slipway.flows.tasks.arguments import accept
from slipway.model.change import Change
from slipway.model.machine import DiskSnapshot
from slipway.model.network import Context
from slipway.model.record import Effect, Instance, Scope
from slipway.model.request import Host
from slipway.settings import Settings
from slipway.states import codec
from slipway.states.intent import Around, Durability
from slipway.states.machines import Move
from slipway.states.store import Store, Transaction


class InstanceVerbs(Protocol):
    """What can be done to instances, as whoever types a command does it. Each call ends what it begins.

    All raise what the Python API's verb does. `going_on` raises where the caller is not to wait any longer.
    """

    def fenced(self, fence: Callable[[Transaction], None]) -> InstanceVerbs:
        """The same for a worker that may be replaced: see `Work.fence`."""

    def build(
        self, name: str, entry: Mapping[str, Any], *, project: str, key: str, going_on: Callable[[], None]
    ) -> Instance:
        """Build the instance that an entry says, as of a run file's `instances` but with the flavor and image in it.

        The same `key` gives the same instance, until that is taken back; one that ended in ERROR is replaced.
        """

    def take_back(self, *, project: str, key: str, timeout: float) -> None:
        """Delete the instance that was built with the key; nothing where there is none. Raises `UndoFailed`."""

    def find(self, name: str, *, project: str, then: Effect | None) -> Instance:
        """The instance of that name (or id) that was the last to be made when the effect was begun, None: by now.

        It may have been deleted since.
        """

    def delete(self, instance_id: str, *, timeout: float) -> Instance:
        """Delete it."""

    def stop(self, instance_id: str, *, force: bool, timeout: float | None) -> Instance:
        """Stop it."""

    def start(self, instance_id: str) -> Instance:
        """Start it."""

    def snapshot(self, instance_id: str, snapshot: str) -> tuple[DiskSnapshot, ...]:
        """Make a snapshot of its disks, or give the one of that name; by their slots. Raises `InstanceFailed`."""

    def drop_snapshot(self, instance_id: str, snapshot: str) -> None:
        """Delete that; nothing happens where it, or the instance, is not there. Raises `UndoFailed`."""

    def power_changed(self, instance_id: str, since: Effect) -> bool:
        """Whether a stop, start or reboot was begun since the effect was."""

    def leases(self, instance_id: str) -> tuple[str, ...]:
        """The addresses that its guest has got by DHCP."""


class Tools(Struct, frozen=True):
    """What the steps of all builds and runs share, passed in so that nothing is global.

    What `clock` says is written down and nothing more; deadlines and durations go by `monotonic`, in seconds.
    `allow_commands`: whether workflows may run commands on this machine. `make_instances`: for those tasks that are a
    verb themselves; None where nothing but builds is done. `traced` is around each build and run, with its name and
    what is known of it, and gives what is to be around its steps. `planned`: the host that a plan has for an instance,
    by its id.
    """

    store: Store
    drivers: Drivers
    settings: Settings
    clock: Callable[[], datetime]
    monotonic: Callable[[], float]
    sleep: Callable[[float], None]
    allow_commands: bool = False
    make_instances: Callable[[], InstanceVerbs] | None = None
    traced: Callable[[str, Mapping[str, str]], AbstractContextManager[Around | None]] = lambda *_: nullcontext()
    planned: dict[str, str] = {}

    @property
    def instances(self) -> InstanceVerbs | None:
        """The verbs, loaded when they are first asked for."""
        return self.make_instances() if self.make_instances else None


class RunInfo(Struct, frozen=True):
    """The run that a step belongs to. `name` is its workflow's."""

    id: str
    name: str
    project: str


class Work(Struct, frozen=True):
    """One effect to be done or undone, with all that a task may use for it, in whatever kind of run.

    `tx` is open where the effect is in our own database, and None elsewhere.
    `deadline` is by the tools' monotonic clock. A task that waits calls `check` now and then, which raises where it is
    not to go on: the instance is being deleted, say. That ends the wait, and is not the task's to handle.
    `tell` has whoever listens to the run hear something. `approved`: somebody has said that the run may go on from the
    pause which the task asked for. `fence` raises `StaleWorker`, in the transaction that begins what has a ledger of
    its own, where this worker was replaced: nobody would know of what it begins then.
    """

    effect: Effect
    run: RunInfo
    tools: Tools
    deadline: float
    tx: Transaction | None = None
    check: Callable[[], None] = lambda: None
    tell: Callable[[str], None] = lambda _message: None
    approved: bool = False
    fence: Callable[[Transaction], None] = lambda _tx: None

    def until(self, met: Callable[[], bool], seconds: float) -> bool:
        """Whether it is so within so many seconds, which are to end before the deadline."""
        give_up = self.tools.monotonic() + seconds
        while not met():
            if self.tools.monotonic() >= give_up:
                return False
            self.check()
            self.tools.sleep(self.tools.settings.poll_interval)
        return True


class BuildWork(Work, frozen=True, kw_only=True):
    """What a task is given in the build of an instance; `host` is None before one was chosen."""

    instance: Instance
    host: Host | None
    change: Change | None = None
    """What the instance is being made, where it was built already: `instance` is as it will be."""
    again: bool = False
    """Whether somebody has begun it before this worker had the instance: it may have come about, or be under way."""
    hosts_read: dict[str, Host] = {}
    """Those that this worker has read already: a task that reads one may add it."""

    @property
    def on_host(self) -> HostDrivers:
        """The drivers of the host that the effect belongs to."""
        if self.host is None:
            raise LookupError(f"{self.effect.key}: no host was chosen before this step")
        return self.tools.drivers.on(self.host)

    @property
    def context(self) -> Context:
        """The user on whose behalf networks are used (Nova: ordinary calls go as the user)."""
        return Context(self.instance.project)

    @property
    def admin(self) -> Context:
        """The administrator, who alone may bind ports (Neutron: the binding extension)."""
        return Context(self.instance.project, is_admin=True)


class Task(ABC):
    """One kind of step. A subclass says in `do` what it does and in `undo` how that is taken back.

    The arguments of `do` after `work` are what a workflow passes in `with`; those with a default may be left out, and
    an underscore at the end of a name is not a part of it (`for_` is `for`). `undo` names those of them that it needs,
    and just they are recorded, by their annotations; it gets the result as well, or None where none was recorded. It
    must do nothing when there is nothing to undo, since the effect may never have happened.
    """

    name: ClassVar[str]
    kind: ClassVar[str]
    scope: ClassVar[Scope] = Scope.INSTANCE
    uses: ClassVar[frozenset[str]] = frozenset()
    """The kinds of effects that stay held while one of this kind is stuck."""
    per_slot: ClassVar[bool] = False
    """Whether it uses only what has its own slot: NIC 1's tap uses NIC 1's port."""
    enters: ClassVar[Move | None] = None
    """The phase that begins with this step's first commit."""
    leads_to: ClassVar[Move | None] = None
    """The phase that begins when this step is done, in the same commit."""

    passing: ClassVar[bool] = False
    """Whether its effect is one of a change alone: undone where the change fails, and nothing once that has ended."""
    switches: ClassVar[bool] = False
    """Whether nothing brings back what it has replaced: once it is done its change goes forward, whatever fails."""
    holds_up: ClassVar[bool] = False
    """Whether it keeps a guest from running until a later step of the same change lets it run on."""
    in_build_only: ClassVar[bool] = False
    """Whether it takes a `BuildWork`: it can be a step of an instance's build and of no other run."""
    vital: ClassVar[bool] = False
    """Whether there is no instance without it, so that a build never goes on where it failed."""
    irreversible: ClassVar[bool] = False
    """Whether it has an effect that it cannot take back itself: a workflow says by `revert` what does."""

    patience: ClassVar[float | None] = None
    """Seconds that one effect of it may take in a run where the workflow says nothing; None: the settings' own."""
    waits: ClassVar[bool] = False
    """Whether it may have its run paused (`RunWaits`), which the build of an instance cannot be."""
    runs_commands: ClassVar[bool] = False
    """Whether it does nothing but where the tools `allow_commands`."""
    harmless: ClassVar[Mapping[str, frozenset[object]]] = {}
    """Arguments with values by which it has no effect after all; None: the argument is left out."""

    do: Callable[..., Any]
    undo: Callable[..., None] | None = None
    """Takes the effect back; absent is not an error. None where there is nothing to take back."""
    end: Callable[..., bool] | None = None
    """Brings an effect that may be half done to its end before a workflow's `revert` makes good for it; false where it
    was never begun: then there is nothing to make good for. None where that makes no difference."""

    def columns(self, tools: Tools, arguments: Mapping[str, Any], result: Any) -> dict[str, Any]:
        """What is written in the instance's row by the way when the phase begins that this step `leads_to`."""
        return {}

    @abstractmethod
    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """How the step gets on record; it depends on the driver where there is one."""

    @property
    def tells_of_host(self) -> bool:
        """Whether its failure speaks against the host: not where it does nothing there, or only looks at the guest."""
        return self.scope is Scope.HOST

    def scope_of(self, arguments: Mapping[str, Any]) -> Scope:
        """What the effect of these arguments belongs to."""
        return self.scope

    def retries(self, settings: Settings) -> int:
        """How often a transient error is tried again where the workflow does not say."""
        return 0

    def timeout(self, instance: Instance, given: float) -> float:
        """Seconds that one effect of it may take; `given` is what the workflow says."""
        return given

    @cached_property
    def arguments_type(self) -> type[msgspec.Struct]:
        """The record of what `undo` takes besides `work` and the result, made from its annotations. What was not given
        is not recorded, and is the default of `do`."""
        undo = type(self).undo
        names = list(signature(undo).parameters)[3:] if undo is not None else []
        hints = get_type_hints(undo) if undo is not None else {}
        taken = signature(type(self).do).parameters
        own = f"{type(self).__name__}Arguments"
        return msgspec.defstruct(own, [_field(name, hints[name], taken[name].default) for name in names], kw_only=True)

    def recorded(self, given: Mapping[str, Any]) -> bytes:
        """What is put on record of the arguments of `do`: those that `undo` takes."""
        return codec.encode({name: given[name] for name in self.arguments_type.__struct_fields__ if name in given})

    def arguments_of(self, effect: Effect) -> Any:
        """What is on record of an effect's arguments: those that `undo` takes, by name."""
        return codec.decode(effect.args, self.arguments_type)

    @cached_property
    def result_type(self) -> Any:
        """What `do` gives."""
        return self.signature.result

    @cached_property
    def signature(self) -> TaskSignature:
        """What a workflow passes to the task, and gets from it."""
        hints = get_type_hints(type(self).do, include_extras=True)
        taken = list(signature(type(self).do).parameters.values())[2:]
        return TaskSignature(
            frozenset(_said(one.name) for one in taken if one.default is Parameter.empty),
            frozenset(_said(one.name) for one in taken if one.default is not Parameter.empty),
            types={_said(one.name): hints.get(one.name, Any) for one in taken},
            result=hints.get("return", Any),
            in_build_only=self.in_build_only,
            vital=self.vital,
            irreversible=self.irreversible,
            waits=self.waits,
            harmless=self.harmless,
        )

    def accept(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """What a workflow passes, as `do` takes it: by its parameters, each of its type.

        Raises `InvalidArguments` for what does not fit.
        """
        takes = self.signature
        return {self._parameters[name]: value for name, value in accept(self.name, given, takes).items()}

    @cached_property
    def _parameters(self) -> Mapping[str, str]:
        """The parameter of `do` that each argument of a workflow is."""
        return {_said(name): name for name in list(signature(type(self).do).parameters)[2:]}


def _field(name: str, hint: Any, default: Any) -> tuple[str, Any] | tuple[str, Any, Any]:
    if default is Parameter.empty:
        return name, hint
    return name, hint, msgspec.field(default_factory=lambda: default)


def _said(parameter: str) -> str:
    """The name that a workflow has for it, which may be a keyword of Python's."""
    return parameter.removesuffix("_")
