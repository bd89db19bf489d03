"""A timeline as one HTML page that loads nothing: no script, no style and no picture from anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from importlib.resources import files

from slipway.looks.drawing import Status
from slipway.looks.timeline import STATE, STEP, UNDO, WAIT, Bar, Timeline
from slipway.texts import seconds_text

_TICKS = 5
_LEAST = 0.3
"""How wide the shortest bar is, in parts of a hundred."""
_WORDS = {STATE: "state", STEP: "step", UNDO: "undo of a step", WAIT: "nobody was at it"}


def as_page(timeline: Timeline) -> str:
    """The page. Each bar is opened, by mouse or key, to say what is known of it."""
    parts = {
        "TITLE": escape(timeline.title),
        "ABOUT": escape(f"began {timeline.began:%Y-%m-%d %H:%M:%S} UTC, {seconds_text(timeline.length)} of work"),
        "LEGEND": "".join(_legend(timeline)),
        "AXIS": "".join(_axis(timeline)),
        "ROWS": "\n".join(_row(timeline, bar) for bar in timeline.bars),
    }
    page = files("slipway.looks").joinpath("timeline.html").read_text(encoding="utf-8")
    before, *rest = page.split("@@")
    # What is put in is not looked through again: a name may look like a place for something.
    return before + "".join(parts[one] if number % 2 == 0 else one for number, one in enumerate(rest))


def _legend(timeline: Timeline) -> Iterator[str]:
    found = {bar.status for bar in timeline.bars}
    for status in Status:
        if status in found:
            count = sum(bar.status is status for bar in timeline.bars)
            yield f'<li><i class="{_class(status)}"></i>{escape(status.value)} <b>{count}</b></li>'


def _axis(timeline: Timeline) -> Iterator[str]:
    for number in range(_TICKS + 1):
        at = number / _TICKS
        text = seconds_text(timeline.length * at) if number else "0"
        yield f'<span style="left:{at * 100:.1f}%">{escape(text)}</span>'


def _row(timeline: Timeline, bar: Bar) -> str:
    end = timeline.length if bar.end is None else bar.end
    left = _part(timeline, bar.start)
    width = max(_part(timeline, end) - left, _LEAST)
    left = min(left, 100 - width)
    kind = _class(bar.status) if bar.status else bar.kind
    marks = "".join(f'<b style="left:{_part(timeline, mark.at):.2f}%"></b>' for mark in bar.marks)
    name = f"undo {bar.name}" if bar.kind == UNDO else bar.name
    place = f"left:{left:.2f}%;width:{width:.2f}%"
    status = f'<span class="status">{escape(bar.status.value if bar.status else "")}</span>'
    return (
        f'<details class="{bar.kind}"><summary><span class="name">{escape(name)}</span>'
        f'<span class="track"><i class="{kind}" style="{place}"></i>{marks}</span>'
        f'<span class="took">{escape(_took(bar))}</span>{status}</summary>'
        f"<dl>{''.join(_facts(bar))}</dl></details>"
    )


def _facts(bar: Bar) -> Iterator[str]:
    yield _fact("what", _WORDS[bar.kind])
    yield _fact("began", f"{seconds_text(bar.start)} after the beginning")
    if bar.host:
        yield _fact("host", bar.host)
    if bar.attempt and bar.attempt > 1:
        yield _fact("attempt", str(bar.attempt))
    for mark in bar.marks:
        yield _fact(f"after {seconds_text(mark.at - bar.start)}", mark.text)
    if bar.detail:
        yield _fact("said", bar.detail)


def _fact(name: str, text: str) -> str:
    return f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>"


def _took(bar: Bar) -> str:
    return "" if bar.seconds is None else seconds_text(bar.seconds)


def _part(timeline: Timeline, at: float) -> float:
    return 100 * min(at / timeline.length, 1.0) if timeline.length else 0.0


def _class(status: Status) -> str:
    return status.value.replace(" ", "-")
