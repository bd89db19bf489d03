"""What is written for people, before it is known how: lines, tables, labels with texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from msgspec import Struct

from slipway.cli.say import shown
from slipway.texts import harmless, masked

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


def width(text: str) -> int:
    """How many columns of a terminal a line takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


class Coloured(Struct, frozen=True):
    """A text that is harmless, of a line or more; `style` is a colour of rich's, or empty."""

    text: str
    style: str = ""


class Table(Struct, frozen=True):
    """A table without lines. Those of its columns that are `right` are aligned there; only those `folded` wrap."""

    names: Sequence[str]
    rows: Sequence[Sequence[Coloured]]
    right: frozenset[int] = frozenset()
    folded: Sequence[str] = ()
    whole: bool = True
    """False: a page of a longer one, which nothing is said of."""
    least: Sequence[int] = ()
    """How wide each column was in the pages before; empty in the first one, which has the names."""

    def widths(self) -> list[int]:
        """How wide each column is to be, so that all in it has room."""
        columns = zip(self.names, *([cell.text for cell in row] for row in self.rows), strict=True)
        found = (max(width(line) for cell in column for line in cell.split("\n")) for column in columns)
        return list(map(max, found, self.least)) if self.least else list(found)


class Labelled(Struct, frozen=True):
    """Labels and texts, indented; a long text goes on below its own beginning."""

    rows: Sequence[tuple[str, str]]


Piece: TypeAlias = Coloured | Table | Labelled
Cell: TypeAlias = str | Coloured | Sequence[str]
"""What stands in a table: a text in one line, one with a colour, or several lines."""


def table(columns: Sequence[str], rows: Iterable[Sequence[Cell]], *, folded: Sequence[str] = ()) -> Table:
    """A table; a column whose name ends in `>` is aligned to the right.

    On a terminal that is too narrow columns are cut or left out in the order of `slipway.cli.columns`.
    """
    names = [column.rstrip(">") for column in columns]
    right = frozenset(number for number, column in enumerate(columns) if column != names[number])
    return Table(names, [[_cell(cell) for cell in row] for row in rows], right, folded)


def _cell(cell: Cell) -> Coloured:
    if isinstance(cell, Coloured):
        return cell
    return Coloured(shown(cell) if isinstance(cell, str) else "\n".join(map(shown, cell)))


def labelled(rows: Iterable[tuple[str, str]]) -> Labelled:
    """Labels and texts, indented."""
    return Labelled([(shown(label), harmless(masked(text))) for label, text in rows])


def coloured(text: str, word: str | None = None) -> Coloured:
    """The text in the colour of its first word, or of another one."""
    return Coloured(shown(text), COLOURS.get(word or text.partition(" ")[0], ""))


def line(text: str) -> Coloured:
    """Lines of text, as they come from anywhere."""
    return Coloured(harmless(masked(text)))
