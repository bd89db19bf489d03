"""What is on record of instances and their effects, and what listeners are told."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from slipway.model.request import InstanceRequest


class Fault(Struct, frozen=True):
    """Why a build or a life-cycle step failed: the class and text of the first error, and the step where it was.

    `later` has what went wrong on the hosts that were tried after that, a line an attempt.
    """

    type: str
    message: str
    step: str
    at: datetime
    later: tuple[str, ...] = ()


class Stack(Struct, frozen=True):
    """All that one run file brought about, by the project that it is of and the file's `name`."""

    project: str
    name: str


class Instance(Struct, frozen=True):
    """An instance as it is on record; `worker` is the lease of the process that is at it, None at rest.

    `run_id` is the run that is under way, or was the last.
    `stack` is the name of its project's stack whose run made it, None: no run did.
    `damage` says what of its row cannot be read, "" for a sound one. A damaged one's `request` has its name and project
    only, with a flavor and image of no meaning; its `fault` is the damage. It can be deleted.
    `has_secrets`: user data or contents of files of what it is being made are on record just now.
    """

    id: str
    name: str
    project: str
    vm_state: str
    task_state: str | None
    generation: int
    request: InstanceRequest
    host: str | None
    fault: Fault | None
    attempt: int
    created_at: datetime
    workflow: str
    launched_at: datetime | None = None
    addresses: tuple[str, ...] = ()
    access_ipv4: str | None = None
    access_ipv6: str | None = None
    stack: str | None = None
    damage: str = ""
    worker: str | None = None
    deleted_at: datetime | None = None
    run_id: str | None = None
    has_secrets: bool = False


class EffectState(StrEnum):
    """Where an effect stands in the ledger."""

    INTENDED = "intended"
    DONE = "done"
    UNDONE = "undone"
    STUCK = "stuck"


class Scope(StrEnum):
    """What an effect belongs to: the instance (kept on a reschedule) or the host (undone before the next one)."""

    INSTANCE = "instance"
    HOST = "host"


class Effect(Struct, frozen=True):
    """A row of the ledger. `args` is all that an undo needs, `result` what the step gave, both encoded.

    It is of a run, and of that run's instance: `instance_id` is empty where the run has none.
    """

    key: str
    instance_id: str
    attempt: int
    step: str
    slot: int
    kind: str
    scope: Scope
    host: str | None
    state: EffectState
    args: bytes
    result: bytes | None = None
    error: str | None = None
    held_by: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    undone_at: datetime | None = None
    run_id: str | None = None

    @property
    def owner_id(self) -> str:
        """Of whose ledger it is a row."""
        return self.instance_id or self.run_id or ""


class HistoryEntry(Struct, frozen=True):
    """One thing that happened to an instance: a change of state or an attempt's end."""

    at: datetime
    event: str
    vm_state: str
    task_state: str | None
    detail: str = ""


class RecordedEvent(Struct, frozen=True):
    """Something that is on record because what it tells of is: both are one commit. `seq` grows from one to the next.

    `type` is `instance.MOVE` or `run.MOVE` (`state` is where it led, as `BUILDING/CLAIMING` or `ACTIVE/-`), or
    `step.intended`, `step.done`, `step.undone`, `step.stuck`, `step.retry` or `step.error` (`detail` says why).
    `began_at` is when the step was begun first, and so is `at` of `step.intended`. `name` and `project` are those that
    the instance or the run has by now.
    """

    seq: int
    at: datetime
    type: str
    began_at: datetime | None = None
    run_id: str | None = None
    instance_id: str | None = None
    step: str | None = None
    slot: int | None = None
    attempt: int | None = None
    host: str | None = None
    state: str | None = None
    detail: str = ""
    name: str | None = None
    project: str | None = None


class Event(Struct, frozen=True):
    """Something that `on_event` is told while it happens.

    `type` is `instance.create.start`, `instance.create.end`, `instance.create.error`, `instance.delete.start`,
    `instance.delete.end`, `instance.delete.error`, `state` (a new phase), `step.start`, `step.end`, `step.error`,
    `step.undo`, or `reschedule`. `power_off`, `power_on` and `reboot` have three each as `create` has, and so has each
    change by its name, as `instance.attach_disk.start`.

    `Orchestrator.watch` tells of domains `domain.started`, `domain.paused`, `domain.resumed`, `domain.shutdown`,
    `domain.destroyed` and `domain.crashed`, `state` where the record followed, and of hosts, without an instance,
    `host.heard` and `host.lost`. `host.behind`: a change of the networks is on record, and the host could not follow.

    A run of a workflow, whose `run_id` it bears and whose workflow is its `name`, tells `run.start`, `run.state`,
    `run.end`, the `step` ones, `step.skip` and `step.say`.
    """

    type: str
    at: datetime
    instance_id: str
    name: str
    image: str = ""
    step: str = ""
    slot: int = 0
    host: str | None = None
    vm_state: str = ""
    task_state: str | None = None
    attempt: int = 1
    message: str = ""
    addresses: tuple[str, ...] = ()
    run_id: str = ""
