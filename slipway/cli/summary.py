"""How it ended with several instances: a table, the failures with what became of them, and what to type next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from slipway.cli.advice import after, write_advice
from slipway.cli.failures import Code
from slipway.cli.options import Options
from slipway.cli.output import (
    coloured,
    counted,
    effect_json,
    effect_text,
    instance_json,
    labelled,
    print_json,
    seconds_text,
    several,
    state_text,
    table,
    without_owner,
    write,
)
from slipway.cli.say import say
from slipway.cli.telling import Progress
from slipway.operations.batch import Ended, Status
from slipway.stacks.changes import Changes

if TYPE_CHECKING:
    from slipway.cli.output import Cell

_MOST_LINES = 20
_WORST_FIRST = (Code.INTERRUPTED, Code.STUCK, Code.FAILED, Code.UNEXPECTED)


def conclude(
    ended: Sequence[Ended],
    options: Options,
    progress: Progress,
    *,
    again: Sequence[str],
    changes: Changes | None = None,
    replace: Sequence[str] = (),
    stopped: bool = False,
    nothing: str = "",
) -> Code:
    """Tell how it ended; gives the exit code, the worst of all instances'.

    `again`: the command that goes on with what is unfinished; `replace`: the one that builds anew what failed;
    `stopped`: the user wanted it so; `nothing`: what to say when nothing was done.
    """
    codes = {_code(one) for one in ended}
    code = next((worst for worst in _WORST_FIRST if worst in codes), Code.DONE)
    if options.json:
        about = {"changes": _changes_json(changes)} if changes else {}
        print_json({"event": "result", "exit_code": code, **about, "instances": [_ended_json(one) for one in ended]})
        return code
    if progress.seen:
        write("")
    if changes is not None:
        _write_changes(changes, options)
    _write_table(ended, stopped=stopped)
    for one in ended:
        if one.status is Status.FAILED:
            write("", coloured(f"{one.name} failed", "ERROR"), labelled(list(_failure(one, options, progress))))
    for line in (*(changes.kept if changes else ()), *(line for one in ended for line in one.kept)):
        write(coloured(f"! {line}", "intended"))
    done = changes is not None and bool(changes.created or changes.changed or changes.removed)
    agrees = not (changes and changes.kept) and not any(one.kept for one in ended)
    if nothing and not done and agrees and all(one.status is Status.UNCHANGED for one in ended):
        say(nothing)
    write_advice(options, list(after(ended, again=again, replace=replace)))
    return code


def _code(one: Ended) -> Code:
    if one.status is Status.FAILED:
        return Code.STUCK if one.stuck else Code.FAILED
    others = {Status.INTERRUPTED: Code.INTERRUPTED, Status.BUSY: Code.UNEXPECTED, Status.REFUSED: Code.UNEXPECTED}
    return others.get(one.status, Code.DONE)


def _ended_json(one: Ended) -> dict[str, Any]:
    """An instance for programs, with how it ended; what is not known of one that was not begun is null."""
    blank = dict.fromkeys(("id", "name", "project", "stack", "vm_state", "task_state", "host", "addresses", "fault"))
    about = instance_json(one.instance) if one.instance else {**blank, "name": one.name, "addresses": ()}
    return {
        **about,
        "status": one.status,
        "message": one.message,
        "seconds": round(one.seconds, 6),
        "kept": one.kept,
        "undone": [effect_json(effect) for effect in one.undone],
        "stuck": [effect_json(effect) for effect in one.stuck],
    }


def _changes_json(changes: Changes) -> dict[str, Sequence[str]]:
    return {name: getattr(changes, name) for name in ("created", "changed", "removed", "kept")}


# --- text ---------------------------------------------------------------------------------------------------------


def _write_changes(changes: Changes, options: Options) -> None:
    """What was changed on record besides the instances."""
    signed = (("+", changes.created, "done"), ("~", changes.changed, "intended"), ("-", changes.removed, "stuck"))
    lines = [coloured(f"{sign} {line}", colour) for sign, lines, colour in signed for line in lines]
    some = lines if options.verbose else lines[:_MOST_LINES]
    if some:
        more = [f"... and {len(lines) - len(some)} more (--verbose shows all)"] if len(some) < len(lines) else []
        write(*some, *more, "")


def _write_table(ended: Sequence[Ended], *, stopped: bool) -> None:
    rows = [_row(one, stopped=stopped) for one in ended]
    columns = ("NAME", "STATE", "HOST", "ADDRESSES", "TIME>", "NOTE")
    if any(row[-1] for row in rows):
        write(table(columns, rows, folded=("STATE", "NOTE")))
    elif rows:
        write(table(columns[:-1], [row[:-1] for row in rows], folded=("STATE",)))


def _row(one: Ended, *, stopped: bool) -> tuple[Cell, ...]:
    instance = one.instance
    known = one.status is Status.UNCHANGED or (stopped and one.status is Status.INTERRUPTED)
    note = "" if known else one.message
    if instance is None:
        states = {Status.UNCHANGED: "not there", Status.INTERRUPTED: "not begun", Status.SKIPPED: "skipped"}
        state = states.get(one.status, str(one.status))
        return one.name, coloured(state, "undone"), "-", "-", "-", note
    took = seconds_text(one.seconds) if one.seconds and one.status is not Status.UNCHANGED else "-"
    addresses = several(instance.addresses)
    return one.name, coloured(state_text(instance)), instance.host or "-", addresses, took, note


def _failure(one: Ended, options: Options, progress: Progress) -> Iterator[tuple[str, str]]:
    fault = one.instance.fault if one.instance else None
    if one.name not in progress.seen:
        yield "before", "it failed in an earlier run and is left alone"
    if fault:
        yield "cause", f"{fault.type}: {fault.message}"
        yield "step", fault.step
        for later in fault.later:
            yield "then", later
    if one.undone:
        kinds = Counter(effect.kind for effect in one.undone)
        yield "undone", ", ".join(counted(number, kind) for kind, number in kinds.items())
        for effect in one.undone if options.verbose else ():
            yield "", effect_text(effect)
    for effect in one.stuck:
        yield "stuck", f"{effect_text(effect)}: {without_owner(effect.error, effect.instance_id)}"
