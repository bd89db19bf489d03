"""How pieces are written to a file or pipe: no line is cut or folded, so that it can be searched; no colours, and no
blanks at the ends of lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from slipway.cli.columns import GAP
from slipway.cli.pieces import Coloured, Labelled, Piece, Table, width


def plain(pieces: Iterable[Piece]) -> str:
    """All of them, each from the beginning of a line on."""
    return "".join(f"{line.rstrip()}\n" for piece in pieces for line in _lines(piece))


def _lines(piece: Piece) -> Iterable[str]:
    match piece:
        case Coloured():
            return piece.text.expandtabs().split("\n")
        case Table():
            rows = [[cell.text for cell in row] for row in piece.rows]
            return _columns(rows if piece.least else [piece.names, *rows], piece.widths(), piece.right)
        case Labelled():
            labels = max((width(label) for label, _text in piece.rows), default=0)
            return (f"{'':{GAP}}{line}" for line in _columns(piece.rows, [labels, 0]))


def _columns(
    rows: Iterable[Sequence[str]], widths: Sequence[int], right: frozenset[int] = frozenset()
) -> Iterator[str]:
    """Cells side by side, each of one line or more."""
    for row in rows:
        lines = [cell.expandtabs().split("\n") for cell in row]
        for number in range(max(map(len, lines))):
            parts = (cell[number] if number < len(cell) else "" for cell in lines)
            yield (" " * GAP).join(
                _padded(part, widths[column], to_the_right=column in right) for column, part in enumerate(parts)
            )


def _padded(text: str, room: int, *, to_the_right: bool) -> str:
    text = text.rstrip()
    blanks = " " * (room - width(text))
    return blanks + text if to_the_right else text + blanks
