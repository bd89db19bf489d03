"""What to type next: the one place that decides it, from the state in which an instance or a thing is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from slipway.cli.options import Options
from slipway.cli.say import say, shown
from slipway.states.machines import TABLE, Move, State, is_known

if TYPE_CHECKING:
    from slipway.model.record import Instance
    from slipway.operations.audit import Finding
    from slipway.operations.batch import Ended
    from slipway.operations.mends import Mend

Advice: TypeAlias = tuple[tuple[str, ...], str]
"""The words of a command after `slipway`, and what it does; no words where none helps, and what does."""

_WANTED = {
    "power_off": Move.STOP,
    "power_on": Move.START,
    "reboot": Move.REBOOT,
    "pause": Move.PAUSE,
    "unpause": Move.UNPAUSE,
}
"""What was to be done, by the step in which it failed."""


def write_advice(options: Options, advice: Sequence[Advice]) -> None:
    """Write the commands, each once, on the same state and database as this one."""
    from slipway.cli.output import coloured, write

    if advice:
        write("", "Next:")
    for words, purpose in dict.fromkeys(advice):
        say(f"  {shown(options.command(*words)) if words else 'by hand'}")
        write(coloured(f"      {purpose}", "undone"))


def project_of(instance: Instance) -> tuple[str, ...]:
    """The option by which a name is this instance's, whatever other projects have."""
    return ("--project", instance.project)


def _name(instance: Instance) -> str:
    """Its name, or its id where the name cannot be typed."""
    return instance.name if shown(instance.name) == instance.name else instance.id


# --- after a command ----------------------------------------------------------------------------------------------


def after(ended: Sequence[Ended], *, again: Sequence[str], replace: Sequence[str]) -> Iterator[Advice]:
    """What to type after a command ended so.

    `again`: the command that goes on with what is unfinished; `replace`: the one that builds anew what failed.
    """
    from slipway.operations.batch import Status

    unfinished = [one for one in ended if one.status in (Status.INTERRUPTED, Status.BUSY) and _can_go_on(one)]
    if unfinished:
        yield tuple(again), "go on where this stopped"
    if any(one.instance for one in unfinished) and again[0] != "resume":
        yield ("resume",), "only finish what was begun"
    failed = [one for one in ended if one.status is Status.FAILED]
    yield from _power_once_more([one.instance for one in failed if one.instance], again)
    given_up = [one.instance for one in failed if one.instance and one.instance.vm_state == "ERROR"]
    if not given_up:
        return
    stuck = any(one.stuck for one in failed)
    purpose = "try again to undo what is stuck, once its cause is mended" if stuck else "delete what failed"
    yield from _in_projects("delete", given_up, purpose)
    if replace:
        yield tuple(replace), "delete what failed and build it anew"
    yield ("show", _name(given_up[0]), *project_of(given_up[0])), "see all that is on record about it"


def _can_go_on(one: Ended) -> bool:
    return one.instance is None or is_known(State(one.instance.vm_state, one.instance.task_state))


def _power_once_more(failed: Sequence[Instance], again: Sequence[str]) -> Iterator[Advice]:
    """A stop, start and so on that failed, as far as the state in which it left the instance allows it."""
    force = ("--force",) if "--force" in again else ()
    groups: dict[Move, list[Instance]] = {}
    for instance in failed:
        wanted = _WANTED.get(instance.fault.step if instance.fault else "")
        state = State(instance.vm_state, instance.task_state)
        # What a reboot has only stopped is to be started.
        for move in (wanted, Move.START) if wanted is not None else ():
            if move is not None and TABLE.may(move, state):
                groups.setdefault(move, []).append(instance)
                break
    for move, instances in groups.items():
        words = (move.value, *(() if move is Move.START else force))
        yield from _in_projects(words, instances, "try again, once the cause is mended")


def _in_projects(words: str | tuple[str, ...], instances: Sequence[Instance], purpose: str) -> Iterator[Advice]:
    """A command for several instances, one for each project."""
    names: dict[tuple[str, ...], list[str]] = {}
    for instance in instances:
        names.setdefault(project_of(instance), []).append(_name(instance))
    first = (words,) if isinstance(words, str) else words
    for project, those in names.items():
        yield (*first, *those, *project), purpose


# --- after an audit -----------------------------------------------------------------------------------------------


def after_audit(findings: Sequence[Finding], instances: Mapping[str, Instance]) -> Iterator[Advice]:
    """What mends what was found, where a command does; `instances` by their ids."""
    from slipway.operations.mends import mends

    of_instances: dict[str, list[Advice]] = {}
    # A port that an instance misses is found as nobody's as well.
    missed = {finding.name for finding in findings if finding.instance_id in instances}
    for mend in mends(findings, instances, {}):
        if (instance := instances.get(mend.finding.instance_id or "")) is not None:
            of_instances.setdefault(instance.id, []).extend(_of_instance(mend, instance))
        elif mend.finding.name not in missed:
            yield _of_nobody(mend) if mend.possible else ((), f"{mend.finding.name}: {mend.action}")
    for advice in of_instances.values():
        typed = sorted((one for one in advice if one[0]), key=lambda one: _URGENT.index(one[0][0]))[:1]
        yield from typed
        # Nothing else is of use where only a new one will do.
        if not typed or typed[0][0][0] != "delete":
            yield from (one for one in advice if not one[0])


_URGENT = ("delete", "resume", "port", "stop", "repair", "snapshot")


def _of_instance(mend: Mend, instance: Instance) -> Iterator[Advice]:
    finding, name = mend.finding, (_name(instance), *project_of(instance))
    if finding.difference == "unfinished" and mend.possible:
        yield ("resume",), "finish what was begun"
    elif mend.possible:
        yield ("repair", *name, "--yes"), mend.action
    elif finding.kind == "snapshot" and finding.difference == "missing":
        yield ("snapshot", "delete", name[0], finding.name.partition("/")[2], *name[1:]), "take it off the record"
    elif finding.role == "given":
        yield ("port", "update", finding.name, "--device-id", instance.id), "give it back, or delete the instance"
    elif mend.stops:
        yield ("stop", *name), mend.action
    elif _is_by_hand(mend, instance):
        yield (), f"{instance.name}: {mend.action}"
    else:
        yield ("delete", *name), mend.action


def _is_by_hand(mend: Mend, instance: Instance) -> bool:
    """Whether no command does what is said; a delete was tried of what is in ERROR."""
    finding = mend.finding
    return (
        finding.difference in ("different", "unfinished")
        or finding.kind in ("boot-file", "domain")
        or instance.vm_state == "ERROR"
    )


def _of_nobody(mend: Mend) -> Advice:
    where = ("--host", mend.finding.host) if mend.finding.host else ()
    return ("repair", *where, "--yes"), mend.action
