"""What goes to standard output: tables for people, JSON for programs."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from slipway.cli.pieces import Cell as Cell
from slipway.cli.pieces import Piece, line
from slipway.cli.pieces import coloured as coloured
from slipway.cli.pieces import labelled as labelled
from slipway.cli.pieces import table as table
from slipway.cli.plain import plain
from slipway.cli.say import fit
from slipway.texts import harmless_json
from slipway.texts import seconds_text as seconds_text

if TYPE_CHECKING:
    from slipway.model.record import Effect, Instance

_TERMINAL = ("FORCE_COLOR", "TTY_COMPATIBLE")
"""Where one of these is set rich says whether standard output is to be taken for a terminal."""


def write(*pieces: str | Piece) -> None:
    """Write to standard output; a text that comes as a `str` is made harmless."""
    given = [line(piece) if isinstance(piece, str) else piece for piece in pieces]
    if not sys.stdout.isatty() and not any(name in os.environ for name in _TERMINAL):
        sys.stdout.write(plain(given))
        return
    from slipway.cli.terminal import show

    show(given)


class LongTable:
    """A table that is written a page at a time; the columns of a later page are at least as wide as those before."""

    def __init__(self, columns: Sequence[str], *, folded: Sequence[str] = ()) -> None:
        """As those of `table`."""
        self._columns = columns
        self._folded = folded
        self._widths: Sequence[int] = ()

    def write(self, rows: Iterable[Sequence[Cell]]) -> None:
        """Write a page."""
        page = replace(table(self._columns, rows, folded=self._folded), whole=False, least=self._widths)
        self._widths = page.widths()
        write(page)


def state_text(instance: Instance, silent: Collection[str] = ()) -> str:
    """`ACTIVE`, or what is being done as well: `BUILDING (SPAWNING)`; of one on a host that is silent how it was."""
    state = instance.vm_state + (f" ({instance.task_state})" if instance.task_state else "")
    return f"unknown, was {state}" if instance.host in silent else state


def fault_text(instance: Instance) -> str:
    """`NoValidHost in schedule`, without a step where it was in none, or `-`."""
    fault = instance.fault
    return "-" if fault is None else f"{fault.type} in {fault.step}" if fault.step else fault.type


def several(texts: Sequence[str]) -> Cell:
    """Addresses and the like: a line each on a terminal, in one line elsewhere."""
    return texts if texts and sys.stdout.isatty() else ", ".join(texts) or "-"


def size_text(size: int) -> str:
    """A size in the largest unit that keeps it exact to a tenth: `512 MiB`, `1.5 GiB`."""
    for power, unit in ((5, "PiB"), (4, "TiB"), (3, "GiB"), (2, "MiB"), (1, "KiB")):
        value = size / 1024**power
        if value >= 1:
            return f"{value:.1f}".removesuffix(".0") + f" {unit}"
    return f"{size} B"


def time_text(at: datetime) -> str:
    """A moment in the user's time zone."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S %z")


def effect_text(effect: Effect) -> str:
    """`disk 0 on node-1 (attempt 2)`."""
    where = f" on {effect.host}" if effect.host else ""
    return f"{effect.kind} {effect.slot}{where}" + (f" (attempt {effect.attempt})" if effect.attempt > 1 else "")


def without_owner(text: str | None, instance_id: str | None) -> str:
    """A text in which effects are named by their keys, without the instance's id where that is known anyway."""
    return (text or "").replace(f"{instance_id}/", "")


def counted(number: int, noun: str) -> str:
    """`1 host`, `3 hosts`."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


# --- JSON ---------------------------------------------------------------------------------------------------------


def print_json(value: object) -> None:
    """Write a value in one line, without secrets. Times become ISO 8601, dataclasses objects."""
    sys.stdout.write(_json(value) + "\n")
    sys.stdout.flush()


def print_array(values: Iterable[object]) -> None:
    """Write an array, each value when it comes: however many there are, one is in memory."""
    # An error before the first value is told instead of an array.
    first = True
    for value in values:
        sys.stdout.write(("[" if first else ",") + _json(value))
        first = False
    sys.stdout.write("[]\n" if first else "]\n")
    sys.stdout.flush()


def _json(value: object) -> str:
    try:
        encoded = msgspec.json.encode(value)
    except UnicodeEncodeError:
        # A file's name that is no UTF-8.
        encoded = b"="
    if b"=" in encoded or b"://" in encoded:
        encoded = msgspec.json.encode(fit(msgspec.to_builtins(value)))
    return harmless_json(encoded.decode())


def instance_json(instance: Instance) -> dict[str, Any]:
    """An instance for programs."""
    request = instance.request
    return {
        "id": instance.id,
        "name": instance.name,
        "project": instance.project,
        "stack": instance.stack,
        "vm_state": instance.vm_state,
        "task_state": instance.task_state,
        "host": instance.host,
        "addresses": instance.addresses,
        "access_ipv4": instance.access_ipv4,
        "access_ipv6": instance.access_ipv6,
        "fault": instance.fault,
        "flavor": request.flavor,
        "image": request.image.name,
        "group": request.group.name if request.group else None,
        "zone": request.zone,
        "metadata": dict(request.metadata),
        "attempt": instance.attempt,
        "created_at": instance.created_at,
        "launched_at": instance.launched_at,
        "deleted_at": instance.deleted_at,
    }


_EFFECT_FIELDS = (
    "key",
    "step",
    "slot",
    "kind",
    "scope",
    "host",
    "attempt",
    "state",
    "error",
    "held_by",
    "started_at",
    "finished_at",
    "undone_at",
)


def effect_json(effect: Effect) -> dict[str, Any]:
    """An effect for programs, without what only its undo needs."""
    return {name: getattr(effect, name) for name in _EFFECT_FIELDS}
