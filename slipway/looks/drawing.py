"""What a picture shows, whatever it is drawn with: boxes in groups, and arrows between them."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from slipway.texts import masked, one_line

_LONGEST = 64


class Status(StrEnum):
    """What became of a step."""

    DONE = "done"
    UNDONE = "undone"
    STUCK = "stuck"
    FAILED = "failed"
    SKIPPED = "skipped"
    GOING_ON = "going on"


class Node(Struct, frozen=True):
    """A box: its title, what stands below that, and what became of what it stands for, if that is known."""

    id: str
    title: str
    lines: tuple[str, ...] = ()
    status: Status | None = None
    group: str = ""

    @property
    def text(self) -> tuple[str, ...]:
        """All that stands in the box, each line fit to be shown."""
        status = (self.status.value,) if self.status else ()
        return tuple(fit(line) for line in (self.title, *self.lines, *status))


class Edge(Struct, frozen=True):
    """An arrow. One that is `faint` says when something is done, and not what it needs."""

    source: str
    target: str
    label: str = ""
    faint: bool = False


class Drawing(Struct, frozen=True):
    """A picture; the boxes are in the order in which they are read, `group` of a box is a frame around it."""

    title: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


def fit(text: str, longest: int = _LONGEST) -> str:
    """A text from elsewhere as one short line: without secrets, and without what is no letter."""
    line = one_line(masked(text)).strip()
    return line if len(line) <= longest else f"{line[: longest - 1]}\u2026"


COLOURS: dict[Status, tuple[str, str]] = {
    Status.DONE: ("#d3f2dc", "#1a7f37"),
    Status.UNDONE: ("#e7e3f4", "#6e5aa8"),
    Status.STUCK: ("#ffd8d3", "#b42318"),
    Status.FAILED: ("#ffe3c7", "#b54708"),
    Status.SKIPPED: ("#eeeeee", "#777777"),
    Status.GOING_ON: ("#fff3c4", "#9a6700"),
}
"""Of each status the colours of a box and of its frame; the text in it is dark. It says the status in words as well."""
