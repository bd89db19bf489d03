"""How pieces are shown on a terminal: by rich, in colours, and as wide as it is."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from slipway.cli.columns import GAP, fitted
from slipway.cli.pieces import Coloured, Labelled, Piece, Table, coloured

_UNBOUNDED = 100_000
"""The width of what is no terminal: a line is never cut or folded there, so that it can be searched."""


def console() -> Console:
    """Standard output as rich writes to it: colours only on a terminal, and never where NO_COLOR is set."""
    room = None if sys.stdout.isatty() else _UNBOUNDED
    return Console(width=room, markup=False, highlight=False, emoji=False)


def show(pieces: Iterable[Piece]) -> None:
    """Write them to standard output; without the blanks at the ends of lines where rich takes it for no terminal."""
    out = console()
    rendered = [_rendered(piece, out.width) for piece in pieces]
    if out.is_terminal:
        out.print(*rendered, sep="\n")
        return
    with out.capture() as captured:
        out.print(*rendered, sep="\n")
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def _rendered(piece: Piece, room: int) -> RenderableType:
    match piece:
        case Coloured():
            return Text(piece.text, style=piece.style)
        case Table():
            return _table(piece, room)
        case Labelled():
            return _labelled(piece)


def _table(table: Table, room: int) -> RenderableType:
    widths = dict(zip(table.names, table.widths(), strict=True))
    cut, left_out = fitted(widths, room, folded=table.folded)
    made = RichTable(box=None, pad_edge=False, header_style="bold", padding=(0, GAP, 0, 0), show_header=not table.least)
    kept = [number for number, name in enumerate(table.names) if name not in left_out]
    for number in kept:
        name = table.names[number]
        made.add_column(
            name,
            justify="right" if number in table.right else "left",
            no_wrap=name not in table.folded,
            max_width=cut.get(name),
            min_width=None if name in table.folded or name in cut else widths[name],
        )
    for row in table.rows:
        made.add_row(*(Text(row[number].text, style=row[number].style) for number in kept))
    if not left_out or not table.whole:
        return made
    note = coloured(f"(no room for {', '.join(left_out)}: a wider terminal or --output json shows all)", "undone")
    return Group(made, Text(note.text, style=note.style))


def _labelled(piece: Labelled) -> RenderableType:
    grid = RichTable.grid(padding=(0, GAP, 0, 0))
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column(overflow="fold")
    for label, text in piece.rows:
        grid.add_row(label, Text(text))
    return Padding(grid, (0, 0, 0, GAP), expand=False)
