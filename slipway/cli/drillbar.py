"""The live display of a drill."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from slipway.cli.say import shown
from slipway.drill.runner import Outcome, Result

if TYPE_CHECKING:
    from slipway.drill import campaign


@contextmanager
def bar() -> Iterator[campaign.Progress]:
    """A bar with the number of runs and leaks and the time left, drawn by no thread: processes are forked beside it."""
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    leaks = 0
    with Progress(*columns, console=Console(stderr=True), auto_refresh=False, transient=True) as drawn:
        task = drawn.add_task("looking for fault points", total=None)
        drawn.refresh()

        def tell(done: int, planned: int, result: Result) -> None:
            nonlocal leaks
            leaks += result.outcome is Outcome.LEAK
            text = escape(shown(f"{leaks} leaked, {result.case.name}"))
            drawn.update(task, completed=done, total=planned, description=text)
            drawn.refresh()

        yield tell
