"""What is said of runs while they go on: a line for each step that ends, on a terminal the one that is done as well."""

from __future__ import annotations

import shutil
import sys
import time
from datetime import datetime
from types import TracebackType

from slipway.cli.options import Options
from slipway.cli.output import print_json, seconds_text
from slipway.cli.runtext import SHORT
from slipway.cli.say import say, shown
from slipway.cli.telling import Progress, event_json
from slipway.model.record import Event
from slipway.states.run_machine import RunState

_CLEAR = "\r\x1b[K"


class RunProgress(Progress):
    """A line for each step that ends, or a JSON object an event.

    `whole`: the run that was last told of and is no part of another one, empty before the first.
    """

    def __init__(self, *, json: bool) -> None:
        """`json`: for programs."""
        super().__init__()
        self.whole = ""
        self._json = json
        self._at_rest = True
        self._introduced: set[str] = set()
        self._began: dict[tuple[str, str], datetime] = {}

    def tell(self, event: Event) -> None:
        """Say what is worth reading."""
        if self._at_rest and event.run_id:
            self.whole, self._at_rest = event.run_id, False
        if self._json:
            print_json(event_json(event))
        elif (text := self._text(event)) is not None:
            say(shown(text))
        rests = event.type == "run.end" or event.vm_state == RunState.PAUSED
        if event.run_id == self.whole and rests:
            self._at_rest = True

    def _text(self, event: Event) -> str | None:
        step = self._named(event)
        match event.type:
            case "run.state" if event.vm_state == RunState.PAUSED:
                return f"{step}paused: {event.message}"
            case "run.start" | "run.state" if event.run_id not in self._introduced:
                self._introduced.add(event.run_id)
                ending = " goes on" if event.type == "run.state" and event.run_id == self.whole else ""
                return f"{self._indent(event)}run {event.run_id[:SHORT]} of {event.name}{ending}"
            case "step.start":
                self._began.setdefault((event.run_id, event.step), event.at)
            case "step.end":
                began = self._began.pop((event.run_id, event.step), event.at)
                return f"{step}: {event.message} ({seconds_text((event.at - began).total_seconds())})"
            case "step.say":
                return f"{step}: {event.message}"
            case "step.error":
                self._began.pop((event.run_id, event.step), None)
                return f"{step} failed: {event.message}"
            case "step.undo":
                return f"{step} {event.message or 'undone'}"
        return None

    def _indent(self, event: Event) -> str:
        return "" if event.run_id == self.whole else "    "

    def _named(self, event: Event) -> str:
        """A step with the item of its `for_each`; of a part as deep as what is said of the part."""
        return f"{self._indent(event)}  {event.step}" + (f"[{event.slot}]" if event.slot > 0 else "")


class LiveRunProgress(RunProgress):
    """On a terminal: below what ended stands what is done now, drawn by the main thread."""

    def __init__(self) -> None:
        super().__init__(json=False)
        self._since: dict[tuple[str, str], float] = {}
        self._drawn = ""

    def tell(self, event: Event) -> None:
        """Say it in place of what was drawn."""
        self._draw("")
        super().tell(event)
        for key in self._began.keys() - self._since.keys():
            self._since[key] = time.monotonic()
        for key in self._since.keys() - self._began.keys():
            del self._since[key]
        if self._at_rest:
            self._began.clear()
            self._since.clear()

    def tick(self) -> None:
        """Draw it anew; where the reader is slow, the next tick does."""
        with self._lock:
            steps = list(dict.fromkeys(step for _, step in self._since))
            if self._gone or not steps:
                return
            seconds = time.monotonic() - min(self._since.values())
            text = f"  {', '.join(steps)} ... {seconds:.0f} s"
            self._draw(shown(text)[: shutil.get_terminal_size().columns - 1])

    def announce(self, text: str) -> None:
        """The same beside it."""
        with self._lock:
            self._draw("")
        super().announce(text)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Leave only the lines of what ended."""
        with self._lock:
            self._draw("")
            self._since.clear()

    def _draw(self, text: str) -> None:
        if text == self._drawn:
            return
        sys.stdout.write(f"{_CLEAR}{text}")
        sys.stdout.flush()
        self._drawn = text


def progress_of_runs(options: Options) -> RunProgress:
    """As the options say, and what standard output is."""
    if options.json or not sys.stdout.isatty():
        return RunProgress(json=options.json)
    return LiveRunProgress()
