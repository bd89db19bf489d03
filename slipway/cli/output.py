"""What goes to standard output: tables for people, JSON for programs."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec

from slipway.cli.columns import GAP, fitted
from slipway.cli.say import fit, shown
from slipway.texts import harmless, harmless_json, masked
from slipway.texts import seconds_text as seconds_text

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

    from slipway.model.record import Effect, Instance

_UNBOUNDED = 100_000
"""The width of what is no terminal: a line is never cut or folded there, so that it can be searched."""

COLOURS = {
    "ACTIVE": "green",
    "PAUSED": "magenta",
    "STOPPED": "blue",
    "ERROR": "red",
    "BUILDING": "yellow",
    "DELETED": "dim",
    "done": "green",
    "intended": "yellow",
    "undone": "dim",
    "stuck": "red",
    "failed": "red",
    "going on": "yellow",
    "skipped": "dim",
    "RUNNING": "yellow",
    "REVERTING": "yellow",
    "SUCCEEDED": "green",
    "FAILED": "red",
    "CANCELLED": "dim",
    "STUCK": "red",
}


def console() -> Console:
    """Standard output as rich writes to it: colours only on a terminal, and never where NO_COLOR is set."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else _UNBOUNDED
    return Console(width=width, markup=False, highlight=False, emoji=False)


def write(*lines: RenderableType) -> None:
    """Write to standard output; without the blanks at the ends of lines where it is no terminal.

    A text that comes as a `str` is made harmless; what is more than that is made by the functions below.
    """
    from rich.text import Text

    fit = [Text(harmless(masked(line))) if isinstance(line, str) else line for line in lines]
    out = console()
    if out.is_terminal:
        out.print(*fit, sep="\n")
        return
    with out.capture() as captured:
        out.print(*fit, sep="\n")
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


Cell: TypeAlias = "str | Text | Sequence[str]"
"""What stands in a table: a text in one line, one with a colour, or several lines."""


def table(columns: Sequence[str], rows: Iterable[Sequence[Cell]], *, folded: Sequence[str] = ()) -> RenderableType:
    """A table without lines. A column whose name ends in `>` is aligned to the right; only those `folded` wrap.

    On a terminal that is too narrow columns are cut or left out in the order of `slipway.cli.columns`.
    """
    from rich.console import Group

    made, left_out = _table(columns, [[_cell(cell) for cell in row] for row in rows], folded, {}, header=True)
    if not left_out:
        return made
    note = f"(no room for {', '.join(left_out)}: a wider terminal or --output json shows all)"
    return Group(made, coloured(note, "undone"))


class LongTable:
    """A table that is written a page at a time; the columns of a later page are at least as wide as those before."""

    def __init__(self, columns: Sequence[str], *, folded: Sequence[str] = ()) -> None:
        """As those of `table`."""
        self._columns = columns
        self._folded = folded
        self._widths: dict[str, int] = {}
        self._begun = False

    def write(self, rows: Iterable[Sequence[Cell]]) -> None:
        """Write a page."""
        cells = [[_cell(cell) for cell in row] for row in rows]
        if console().is_terminal:
            made, _ = _table(self._columns, cells, self._folded, self._widths, header=not self._begun)
            write(made)
        else:
            sys.stdout.writelines(f"{line}\n" for line in self._plain(cells))
        self._begun = True

    def _plain(self, cells: Sequence[Sequence[Text]]) -> Iterator[str]:
        """What `_table` would be, without colours and a hundred times as fast."""
        _widen(self._widths, self._columns, cells)
        widths = list(self._widths.values())
        for row in [*([] if self._begun else [[*map(_cell, self._columns)]]), *cells]:
            blanks = (" " * (width - cell.cell_len + GAP) for width, cell in zip(widths, row, strict=True))
            yield "".join(cell.plain + blank for cell, blank in zip(row, blanks, strict=True)).rstrip()


def _table(
    columns: Sequence[str],
    cells: Sequence[Sequence[Text]],
    folded: Sequence[str],
    widths: dict[str, int],
    *,
    header: bool,
) -> tuple[RenderableType, Sequence[str]]:
    """The table and which columns are left out; `widths` have the least ones and are widened."""
    from rich.table import Table

    names = [column.rstrip(">") for column in columns]
    _widen(widths, names, cells)
    cut, left_out = fitted(widths, console().width, folded=folded)
    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, GAP, 0, 0), show_header=header)
    kept = [number for number, name in enumerate(names) if name not in left_out]
    for number in kept:
        name = names[number]
        justify: Literal["left", "right"] = "right" if name != columns[number] else "left"
        least = None if name in folded or name in cut else widths[name]
        made.add_column(name, justify=justify, no_wrap=name not in folded, max_width=cut.get(name), min_width=least)
    for row in cells:
        made.add_row(*(row[number] for number in kept))
    return made, left_out


def _widen(widths: dict[str, int], names: Sequence[str], cells: Sequence[Sequence[Text]]) -> None:
    for number, name in enumerate(names):
        widths[name] = max([widths.get(name, 0), len(name), *(_width(row[number]) for row in cells)])


def _cell(cell: Cell) -> Text:
    from rich.text import Text

    if isinstance(cell, Text):
        return cell
    return Text(shown(cell) if isinstance(cell, str) else "\n".join(map(shown, cell)))


def _width(cell: Text) -> int:
    return max((line.cell_len for line in cell.split("\n", allow_blank=True)), default=0)


def labelled(rows: Sequence[tuple[str, str]]) -> RenderableType:
    """Labels and texts, indented; a long text goes on below its own beginning."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, GAP, 0, 0))
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column(overflow="fold")
    for label, text in rows:
        grid.add_row(shown(label), Text(harmless(masked(text))))
    return Padding(grid, (0, 0, 0, 2), expand=False)


def coloured(text: str, word: str | None = None) -> Text:
    """The text in the colour of its first word, or of another one."""
    from rich.text import Text

    return Text(shown(text), style=COLOURS.get(word or text.partition(" ")[0], ""))


def state_text(instance: Instance) -> str:
    """`ACTIVE`, or what is being done as well: `BUILDING (SPAWNING)`."""
    return instance.vm_state + (f" ({instance.task_state})" if instance.task_state else "")


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
