"""What happened to an instance, in the order of time: changes of its state, and its steps, done and undone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import asdict

from slipway.cli.output import coloured, seconds_text, without_owner
from slipway.model.record import Effect
from slipway.states.details import Details

if TYPE_CHECKING:
    from slipway.cli.output import Cell


class Entry(Struct, frozen=True):
    """A new state, or a step. `seconds`: how long it lasted, None where it has not ended or is not known."""

    at: datetime
    type: str
    name: str
    seconds: float | None
    detail: str


def timeline(details: Details) -> Sequence[Entry]:
    """All entries, oldest first; a state stands before the steps that began at the same moment."""
    return sorted([*_states(details), *_steps(details.effects)], key=lambda entry: (entry.at, entry.type != "state"))


def _states(details: Details) -> Iterator[Entry]:
    ends = [later.at for _, later in pairwise(details.history)]
    for number, entry in enumerate(details.history):
        state = f"{entry.vm_state}" + (f" ({entry.task_state})" if entry.task_state else "")
        seconds = (ends[number] - entry.at).total_seconds() if number < len(ends) else None
        yield Entry(entry.at, "state", state, seconds, entry.detail)


def _steps(effects: Sequence[Effect]) -> Iterator[Entry]:
    slots = {effect.step for effect in effects if effect.slot}
    for effect in effects:
        name = f"{effect.step} {effect.slot}" if effect.step in slots else effect.step
        if effect.started_at:
            end = effect.finished_at or effect.undone_at
            done = effect.finished_at is not None
            seconds = (end - effect.started_at).total_seconds() if end and done else None
            yield Entry(effect.started_at, "step", name, seconds, "" if done else "did not end")
        if effect.undone_at:
            yield Entry(effect.undone_at, "undo", name, None, without_owner(effect.error, effect.instance_id))


def entry_json(entry: Entry) -> dict[str, Any]:
    """An entry for programs."""
    return asdict(entry)


def timeline_rows(entries: Sequence[Entry]) -> Iterator[tuple[Cell, ...]]:
    """Rows of a table: seconds since the first entry, what, how long, and the detail."""
    for entry in entries:
        since = f"{(entry.at - entries[0].at).total_seconds():.3f}"
        took = "" if entry.seconds is None else seconds_text(entry.seconds)
        if entry.type == "state":
            what: Cell = coloured(entry.name)
        else:
            what = f"  {'undo ' if entry.type == 'undo' else ''}{entry.name}"
        yield since, what, took, entry.detail
