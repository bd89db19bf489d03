"""The states of an instance and the one table of how they change. `advance` asks it; diagrams are drawn from it."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from slipway.errors import UnknownState
from slipway.states.table import Table, Transition


class VmState(StrEnum):
    """What an instance is, for its user."""

    BUILDING = "BUILDING"
    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"
    STOPPED = "STOPPED"
    ERROR = "ERROR"
    DELETED = "DELETED"


class TaskState(StrEnum):
    """What is being done to an instance; none when it is at rest."""

    SCHEDULING = "SCHEDULING"
    CLAIMING = "CLAIMING"
    NETWORKING = "NETWORKING"
    BLOCK_DEVICE_MAPPING = "BLOCK_DEVICE_MAPPING"
    SPAWNING = "SPAWNING"
    REVERTING = "REVERTING"
    POWERING_OFF = "POWERING_OFF"
    POWERING_ON = "POWERING_ON"
    REBOOTING = "REBOOTING"
    PAUSING = "PAUSING"
    UNPAUSING = "UNPAUSING"
    REPAIRING = "REPAIRING"
    CHANGING = "CHANGING"
    DELETING = "DELETING"


class State(NamedTuple):
    """A state as Nova has it: the instance's and the task's."""

    vm_state: str
    task_state: str | None

    def __str__(self) -> str:
        """`BUILDING/CLAIMING`, or `ACTIVE/-` at rest."""
        return f"{self.vm_state}/{self.task_state or '-'}"

    @property
    def at_rest(self) -> bool:
        """Whether nothing is going on."""
        return self.task_state is None

    @property
    def building(self) -> bool:
        """Whether the instance never ran and is not given up."""
        return self.vm_state == VmState.BUILDING

    @property
    def stopped(self) -> bool:
        """Whether its domain is there and does not run."""
        return self.vm_state == VmState.STOPPED

    @property
    def powering(self) -> bool:
        """Whether the domain of an instance that was built is stopped, started, both, paused, let go on, or mended."""
        return self in POWERING

    @property
    def changing(self) -> bool:
        """Whether an instance that was built is being made another one, or that is being taken back."""
        return self in _CHANGING

    @property
    def unwinding(self) -> bool:
        """Whether what is left of an instance that failed is being taken back once more."""
        return self == UNWINDING

    @property
    def deleting(self) -> bool:
        """Whether a delete was asked for and has not ended."""
        return self.task_state == TaskState.DELETING


class Move(StrEnum):
    """What moves an instance from state to state."""

    CLAIM = "claim"
    NETWORK = "network"
    MAP_DISKS = "map_disks"
    SPAWN = "spawn"
    FINISH = "finish"
    FAIL = "fail"
    RESCHEDULE = "reschedule"
    REVERTED = "reverted"
    STOP = "stop"
    START = "start"
    REBOOT = "reboot"
    PAUSE = "pause"
    UNPAUSE = "unpause"
    REPAIR = "repair"
    CHANGE = "change"
    CHANGED = "changed"
    RETRY = "retry"
    RUNS = "runs"
    HALTED = "halted"
    SUSPENDED = "suspended"
    STARTED = "started"
    DELETE = "delete"
    DELETED = "deleted"
    DELETE_FAILED = "delete_failed"


def _building(task_state: TaskState) -> State:
    return State(VmState.BUILDING, task_state)


INITIAL = _building(TaskState.SCHEDULING)
ACTIVE = State(VmState.ACTIVE, None)
PAUSED = State(VmState.PAUSED, None)
STOPPED = State(VmState.STOPPED, None)
ERROR = State(VmState.ERROR, None)
DELETED = State(VmState.DELETED, None)
PHASES = tuple(
    _building(task)
    for task in (
        TaskState.SCHEDULING,
        TaskState.CLAIMING,
        TaskState.NETWORKING,
        TaskState.BLOCK_DEVICE_MAPPING,
        TaskState.SPAWNING,
    )
)
REVERTING = _building(TaskState.REVERTING)
POWERING_OFF = State(VmState.ACTIVE, TaskState.POWERING_OFF)
POWERING_ON = State(VmState.STOPPED, TaskState.POWERING_ON)
REBOOTING = State(VmState.ACTIVE, TaskState.REBOOTING)
PAUSING = State(VmState.ACTIVE, TaskState.PAUSING)
UNPAUSING = State(VmState.PAUSED, TaskState.UNPAUSING)
FROM_PAUSED = tuple(
    State(VmState.PAUSED, task) for task in (TaskState.POWERING_OFF, TaskState.POWERING_ON, TaskState.REBOOTING)
)
REPAIRING = {at: State(at.vm_state, TaskState.REPAIRING) for at in (ACTIVE, PAUSED, STOPPED)}
UNWINDING = State(VmState.ERROR, TaskState.REPAIRING)
CHANGING = {at: State(at.vm_state, TaskState.CHANGING) for at in (ACTIVE, PAUSED, STOPPED)}
UNCHANGING = {at: State(at.vm_state, TaskState.REVERTING) for at in (ACTIVE, PAUSED, STOPPED)}
_AT = {at: (at, REPAIRING[at], CHANGING[at], UNCHANGING[at]) for at in CHANGING}
"""What an instance that was built may be in while it is, to its user, all the same."""
_CHANGING = frozenset((*CHANGING.values(), *UNCHANGING.values()))
POWERING = (POWERING_OFF, POWERING_ON, REBOOTING, PAUSING, UNPAUSING, *FROM_PAUSED, *REPAIRING.values())


def _deleting(vm_state: VmState) -> State:
    return State(vm_state, TaskState.DELETING)


DELETING = tuple(_deleting(vm) for vm in VmState if vm is not VmState.DELETED)

TRANSITIONS: tuple[Transition[State, Move], ...] = (
    Transition(Move.CLAIM, (PHASES[0],), PHASES[1], "a host was chosen: take what the flavor needs from it"),
    Transition(Move.NETWORK, (PHASES[1],), PHASES[2], "the claim holds: ports may be made"),
    Transition(Move.MAP_DISKS, (PHASES[2],), PHASES[3], "disks begin, whether or not the ports are all made"),
    Transition(Move.SPAWN, (PHASES[3],), PHASES[4], "ports and disks are there: the domain can be made"),
    Transition(Move.FINISH, (PHASES[4],), ACTIVE, "the domain runs"),
    Transition(Move.FAIL, PHASES, REVERTING, "a step failed: what it and the steps before it did is undone"),
    Transition(Move.RESCHEDULE, (REVERTING,), PHASES[1], "the host's part is undone: the next alternate is tried"),
    Transition(Move.REVERTED, (REVERTING,), ERROR, "the last undo ended, and no other host is to be tried"),
    Transition(Move.RETRY, (ERROR,), PHASES[0], "what never ran, and left nothing standing, is built once more"),
    Transition(Move.STOP, (ACTIVE,), POWERING_OFF, "the guest is asked to shut down, and ended when it does not"),
    Transition(Move.START, (STOPPED,), POWERING_ON, "the domain that is defined is started"),
    Transition(Move.REBOOT, (ACTIVE,), REBOOTING, "the domain is stopped and started; one that ended is started"),
    Transition(Move.PAUSE, (ACTIVE,), PAUSING, "the guest is frozen, with all that it has in memory"),
    Transition(Move.UNPAUSE, (PAUSED,), UNPAUSING, "the guest goes on where it was frozen"),
    Transition(Move.STOP, (PAUSED,), FROM_PAUSED[0], "the guest goes on, so that it can be asked to shut down"),
    Transition(Move.START, (PAUSED,), FROM_PAUSED[1], "the domain goes on"),
    Transition(Move.REBOOT, (PAUSED,), FROM_PAUSED[2], "the domain goes on, is stopped and started"),
    *(
        Transition(Move.REPAIR, (at,), to, "what its host or the network service has lost of it is made again")
        for at, to in REPAIRING.items()
    ),
    *(
        Transition(Move.CHANGE, (at,), to, "it is made what was asked for: the new is made before the old goes")
        for at, to in CHANGING.items()
    ),
    *(
        Transition(Move.FAIL, (CHANGING[at],), to, "a step of a change failed: what it and those before it did goes")
        for at, to in UNCHANGING.items()
    ),
    *(
        Transition(Move.CHANGED, (CHANGING[at], UNCHANGING[at]), at, "it is what was asked for, or what it was before")
        for at in CHANGING
    ),
    Transition(Move.REPAIR, (ERROR,), UNWINDING, "what could not be undone is tried once more"),
    Transition(Move.REVERTED, (UNWINDING,), ERROR, "it was tried once more"),
    Transition(Move.RUNS, POWERING, ACTIVE, "the hypervisor was asked: the domain runs, whatever was wanted"),
    Transition(Move.HALTED, POWERING, STOPPED, "the hypervisor was asked: the domain does not run"),
    Transition(Move.SUSPENDED, POWERING, PAUSED, "the hypervisor was asked: the domain is paused"),
    Transition(Move.HALTED, (ACTIVE, PAUSED), STOPPED, "the domain ended by itself, and nobody was at the instance"),
    Transition(Move.SUSPENDED, (ACTIVE,), PAUSED, "the domain was paused past us: by hand, or by an error of a disk"),
    Transition(Move.RUNS, (PAUSED,), ACTIVE, "the domain goes on, past us"),
    Transition(Move.STARTED, (STOPPED,), ACTIVE, "the domain was started past us, and is asked to do something now"),
    *(
        Transition(
            Move.DELETE,
            (*sources, _deleting(vm)),
            _deleting(vm),
            "delete wins over whatever is going on, and can be repeated",
        )
        for vm, sources in (
            (VmState.BUILDING, (*PHASES, REVERTING)),
            (VmState.ACTIVE, (*_AT[ACTIVE], POWERING_OFF, REBOOTING, PAUSING)),
            (VmState.PAUSED, (*_AT[PAUSED], *FROM_PAUSED, UNPAUSING)),
            (VmState.STOPPED, (*_AT[STOPPED], POWERING_ON)),
            (VmState.ERROR, (ERROR, UNWINDING)),
        )
    ),
    Transition(Move.DELETED, DELETING, DELETED, "everything was undone: the name and the addresses are free"),
    Transition(
        Move.DELETE_FAILED, DELETING, ERROR, "something is stuck: it stays on record and delete can be repeated"
    ),
)

GOALS = {Move.STOP: STOPPED, Move.START: ACTIVE, Move.PAUSE: PAUSED, Move.UNPAUSE: ACTIVE}
"""In which state there is nothing to do for a request. A reboot always does something."""


TABLE = Table(TRANSITIONS, INITIAL)

_KNOWN = frozenset(state for t in TRANSITIONS for state in (*t.sources, t.target))


def is_known(state: State) -> bool:
    """Whether the table has it."""
    return state in _KNOWN


def check_known(state: State, whose: str) -> None:
    """Raise `UnknownState` for one of which nobody knows what may come next."""
    if not is_known(state):
        raise UnknownState(
            f"instance {whose} is {state}, which is no state that this Slipway knows: upgrade it if a newer one wrote "
            "that, or put right vm_state and task_state of its row"
        )


def possible(state: State) -> Sequence[str]:
    """What a user may ask for in this state: the names of the commands."""
    return [move.value for move in (Move.STOP, Move.START, Move.REBOOT, Move.DELETE) if TABLE.may(move, state)]
