"""What is told while instances are built and deleted: plain lines, or a JSON object an event."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterator
from datetime import datetime

from slipway.cli.options import Options
from slipway.cli.output import print_json
from slipway.cli.say import say, shown
from slipway.cli.telling import Progress, beginning, end_text, event_json, happened, warning
from slipway.model.record import Event


def progress_for(options: Options, names: Collection[str]) -> Progress:
    """How the user is told: drawn on a terminal, in plain lines elsewhere and beside logs, or as JSON objects.

    `names`: of the instances that are expected to be worked on.
    """
    if options.told is not None:
        return Telling(options.told)
    if options.json:
        return JsonProgress()
    if options.verbose or not sys.stdout.isatty() or os.environ.get("TERM", "dumb") in ("dumb", "unknown"):
        return PlainProgress(names)
    from slipway.cli.live import LiveProgress

    return LiveProgress(names)


class Telling(Progress):
    """Tells somebody else, each event."""

    def __init__(self, told: Callable[[Event], None]) -> None:
        """`told`: who is told."""
        super().__init__()
        self._told = told

    def tell(self, event: Event) -> None:
        """Tell of it."""
        self._told(event)


class JsonProgress(Progress):
    """One JSON object a line on standard output."""

    def tell(self, event: Event) -> None:
        """Write the event."""
        print_json(event_json(event))


class PlainProgress(Progress):
    """A line for each event that is worth reading: begun, a new phase, a failure, another host, the end."""

    def __init__(self, names: Collection[str] = ()) -> None:
        """`names`: of the instances that are expected, for the width of the first column."""
        super().__init__()
        self._width = max(map(len, names), default=0)
        self._began: dict[str, datetime] = {}
        self._phases: dict[str, str | None] = {}

    def tell(self, event: Event) -> None:
        """Write what is new of the instance; what is no instance's goes where warnings go."""
        if (told := warning(event)) is not None:
            say(f"slipway: {shown(told)}", err=True)
            return
        for text in self._news(event):
            say(f"{shown(event.name):<{self._width}}  {shown(text)}")

    def _news(self, event: Event) -> Iterator[str]:
        # A run of a file may change an instance several times.
        again = event.type.startswith("instance.") and event.type.endswith(".start")
        first = again or event.name not in self._began
        began = self._began.setdefault(event.name, event.at)
        ended = end_text(event, (event.at - began).total_seconds())
        if ended is not None:
            del self._began[event.name]
            yield ended
            return
        if first:
            yield beginning(event)
        elif told := happened(event):
            yield told
        elif event.task_state not in (self._phases[event.name], None):
            yield f"{event.task_state}" + (f" on {event.host}" if event.task_state == "CLAIMING" else "")
        self._phases[event.name] = event.task_state
