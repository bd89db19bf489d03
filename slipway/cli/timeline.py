"""`slipway timeline`: how long each step of a build or a run took, on the terminal or as a page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from slipway.cli.completing import Names
from slipway.cli.options import Options, common_options, example, orchestrator

if TYPE_CHECKING:
    from slipway.cli.output import Cell
    from slipway.looks.timeline import Timeline
    from slipway.orchestrator import Orchestrator

_WIDTH = 40
"""How many letters wide a bar may be."""


@click.command(
    "timeline",
    epilog=example("slipway timeline web-1", "slipway timeline web-1 --html web-1.html", "slipway timeline 1c9e6679"),
)
@click.argument("name", metavar="NAME|RUN", shell_complete=Names("instance"))
@click.option("--project", metavar="PROJECT", help="The project in which NAME is looked up. [default: all]")
@click.option("--html", type=click.Path(path_type=Path), metavar="FILE", help="Write a page that loads nothing.")
@common_options()
@click.pass_obj
def command(options: Options, name: str, project: str | None, html: Path | None) -> None:
    """Show a bar for each step of the instance NAME, or of a RUN (its id or the beginning of it).

    With what was tried again, undone and stuck, each attempt, and the errors. While nobody is at it no time passes.
    """
    from slipway.cli.output import print_json

    with orchestrator(options) as slipway:
        timeline = _timeline(slipway, name, project)
    if html is not None:
        _write_page(html, timeline)
    if options.json:
        print_json(timeline)
    elif html is None:
        _write(timeline)


def _timeline(slipway: Orchestrator, name: str, project: str | None) -> Timeline:
    from slipway import errors
    from slipway.looks.timeline import timeline_of

    try:
        instance = slipway.show(name, project=project).instance
    except errors.InstanceNotFound as no_instance:
        try:
            run = slipway.runs.get(name)
        except errors.RunNotFound as no_run:
            raise errors.InstanceNotFound(f"{no_instance}, and {no_run}") from no_run
        return timeline_of(f"run {run.id} of {run.name}: {run.state}", list(slipway.events(run_id=run.id)))
    title = f"{instance.name}: {instance.vm_state}"
    return timeline_of(title, list(slipway.events(instance_id=instance.id)))


def _write_page(path: Path, timeline: Timeline) -> None:
    from slipway.looks.page import as_page

    try:
        path.write_text(as_page(timeline), encoding="utf-8")
    except OSError as error:
        raise click.UsageError(f"{path} cannot be written: {error.strerror}") from error


def _write(timeline: Timeline) -> None:
    from slipway.cli.output import coloured, table, write

    write(coloured(timeline.title, timeline.title.rpartition(": ")[2]))
    write("", table(("TIME>", "STEP", "", "TOOK>", "WHAT", "DETAIL"), _rows(timeline), folded=("DETAIL",)))


def _rows(timeline: Timeline) -> Iterator[tuple[Cell, ...]]:
    from slipway.cli.output import coloured
    from slipway.looks.timeline import STATE, UNDO, WAIT
    from slipway.texts import seconds_text

    for bar in timeline.bars:
        at_state = bar.kind in (STATE, WAIT)
        name = bar.name if at_state else f"  {'undo ' if bar.kind == UNDO else ''}{bar.name}"
        where = f"attempt {bar.attempt}" if bar.attempt and bar.attempt > 1 else ""
        said = [*(mark.text for mark in bar.marks), bar.detail]
        yield (
            f"{bar.start:.3f}",
            coloured(name, bar.name.partition("/")[0]) if at_state else name,
            coloured(_bar(timeline.length, bar.start, bar.end, thin=at_state), bar.status),
            "" if bar.seconds is None else seconds_text(bar.seconds),
            coloured(bar.status or ("nobody is at it" if bar.kind == WAIT else "")),
            "; ".join(filter(None, [where, *said])),
        )


def _bar(length: float, start: float, end: float | None, *, thin: bool) -> str:
    """A bar of letters; the shortest is one letter wide."""
    scale = (_WIDTH - 1) / length if length else 0.0
    first = int(start * scale)
    last = _WIDTH - 1 if end is None else int(end * scale)
    return " " * first + ("\u2500" if thin else "\u2588") * (last - first + 1)
