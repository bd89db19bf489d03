"""The live display on a terminal: a line for each instance that is worked on, below those that ended."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from slipway.cli.output import seconds_text
from slipway.cli.say import shown
from slipway.cli.telling import Progress, end_text, happened, warning
from slipway.cli.terminal import console
from slipway.model.record import Event

_LONGEST_NAME = 20
_WIDEST_PHASE = len("BLOCK_DEVICE_MAPPING")
_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


@dataclass(slots=True)
class _Row:
    """An instance that is worked on."""

    phase: str = ""
    step: str = ""
    host: str = ""
    began: float = field(default_factory=time.monotonic)


class LiveProgress(Progress):
    """Draws from the main thread, at each tick: events only change what will be drawn."""

    def __init__(self, names: Collection[str]) -> None:
        """`names`: of the instances that are expected."""
        super().__init__()
        self._console = console()
        self._names = set(names)
        self._width = min(max(map(len, names), default=0), _LONGEST_NAME)
        self._rows: dict[str, _Row] = {}
        self._lines: list[Text] = []
        self._ended: set[str] = set()
        self._unicode = (self._console.encoding or "").startswith("utf")
        self._live = self._new_live()

    def _new_live(self) -> Live:
        return Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Leave only the lines of what ended."""
        self.tick()
        with self._lock:
            self._rows.clear()
            self._names.clear()
        self._live.stop()

    def announce(self, text: str) -> None:
        """Say it above what is being drawn."""
        self._live.stop()
        super().announce(text)
        self._live = self._new_live()
        self._live.start()
        self.tick()

    def tick(self) -> None:
        """Write the lines of what ended since the last tick, and draw the others anew."""
        with self._lock:
            lines, self._lines = self._lines, []
        # In one write: what is printed first draws the old rows below it once more.
        with self._console:
            if lines:
                self._console.print(*lines, sep="\n", no_wrap=True, overflow="ellipsis")
            self._live.update(self._draw(), refresh=True)

    def tell(self, event: Event) -> None:
        """Change the instance's row, or put it among what ended."""
        if (told := warning(event)) is not None:
            self._line(event, told, "!")
            return
        row = self._rows.setdefault(event.name, _Row())
        ended = end_text(event, time.monotonic() - row.began)
        if ended is not None:
            del self._rows[event.name]
            self._ended.add(event.name)
            self._line(event, ended, "✗" if event.type.endswith(".error") else "✓")
            return
        self._ended.discard(event.name)
        row.phase = event.task_state or row.phase
        row.host = event.host or row.host
        if event.step:
            row.step = f"undo {event.step}" if event.type == "step.undo" else event.step
        if told := happened(event):
            self._line(event, told, "!")

    def _line(self, event: Event, text: str, mark: str) -> None:
        colour = {"✓": "green", "✗": "red", "!": "yellow"}[mark]
        sign = mark if self._unicode else {"✓": "+", "✗": "x"}.get(mark, mark)
        line = Text(f"{sign} ", style=colour)
        line.append(f"{shown(event.name):<{self._width}}  ", style="bold")
        line.append(shown(text), style="")
        self._lines.append(line)

    # --- drawing --------------------------------------------------------------------------------------------------

    def _draw(self) -> RenderableType:
        with self._lock:
            rows = list(self._rows.items())
            waiting = len(self._names - self._rows.keys() - self._ended)
            ended = len(self._ended)
        room = max(self._console.height - 3, 1)
        now = time.monotonic()
        lines: list[RenderableType] = [self._row(name, row, now) for name, row in rows[:room]]
        counts = ((len(rows) - room, "more under way"), (waiting, "waiting"), (ended, "done"))
        text = ", ".join(f"{number} {what}" for number, what in counts if number > 0)
        if text and (len(self._names) > 1 or not rows):
            lines.append(Text(f"  {text}", style="dim"))
        return Group(*lines)

    def _row(self, name: str, row: _Row, now: float) -> Text:
        frame = _FRAMES[int(now * 10) % len(_FRAMES)] if self._unicode else "-\\|/"[int(now * 10) % 4]
        line = Text(no_wrap=True, overflow="ellipsis")
        line.append(f"{frame} ", style="cyan")
        line.append(f"{_cut(shown(name), self._width):<{self._width}}  ", style="bold")
        line.append(f"{row.phase:<{_WIDEST_PHASE}}  ", style="red" if row.phase == "REVERTING" else "yellow")
        line.append(f"{seconds_text(now - row.began):>7}  ")
        line.append(f"{shown(row.step):<16}  ")
        line.append(shown(row.host), style="dim")
        line.truncate(self._console.width - 1, overflow="ellipsis")
        return line


def _cut(name: str, width: int) -> str:
    return name if len(name) <= width else f"{name[: width - 1]}…"
