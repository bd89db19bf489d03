"""How long each step took: bars along the time, made of the events on record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from slipway.looks.drawing import Status, fit
from slipway.model.record import RecordedEvent

STATE, STEP, UNDO, WAIT = "state", "step", "undo", "wait"
_WHOLE = 1000
"""How much is shown of why something failed."""


class Mark(Struct, frozen=True):
    """Something that happened in a step while it went on, so many seconds after the first event."""

    at: float
    text: str


class Bar(Struct, frozen=True):
    """A stretch of time, in seconds on the picture's axis; `end` is None while it goes on.

    `kind` is `state`, `step`, `undo` (a step that was taken back) or `wait`: nobody was at it for `waited` seconds,
    which are left out of the axis, or the steps before and after would be too short to be seen.
    """

    kind: str
    name: str
    start: float
    end: float | None
    status: Status | None = None
    attempt: int | None = None
    host: str | None = None
    detail: str = ""
    marks: tuple[Mark, ...] = ()
    waited: float = 0.0

    @property
    def seconds(self) -> float | None:
        """How long it lasted."""
        return self.waited or (None if self.end is None else self.end - self.start)


class Timeline(Struct, frozen=True):
    """What happened to an instance or in a run; `length` is all of it, in seconds."""

    title: str
    began: datetime
    length: float
    bars: tuple[Bar, ...]

    @property
    def states(self) -> Sequence[Bar]:
        """The states, and the waits."""
        return [bar for bar in self.bars if bar.kind in (STATE, WAIT)]

    @property
    def steps(self) -> Sequence[Bar]:
        """The steps, done and undone."""
        return [bar for bar in self.bars if bar.kind in (STEP, UNDO)]


def timeline_of(title: str, events: Sequence[RecordedEvent]) -> Timeline:
    """The bars of an instance's or a run's events, in the order in which they began. Raises `ValueError` for none."""
    if not events:
        raise ValueError("there is no event to draw")
    began = min(min(event.at, event.began_at or event.at) for event in events)
    made = _Bars(began, {event.step for event in events if event.slot})
    for event in events:
        made.hear(event)
    bars = made.all()
    length = max((at for bar in bars for at in (bar.start, bar.end or 0.0)), default=0.0)
    return Timeline(
        fit(title), began, length, tuple(sorted(bars, key=lambda bar: (bar.start, bar.kind in (STEP, UNDO))))
    )


class _Bars:
    """The bars so far."""

    def __init__(self, began: datetime, numbered: Iterable[str | None]) -> None:
        self._began = began
        self._numbered = frozenset(numbered)
        self._bars: list[Bar] = []
        self._open: dict[tuple[str | None, int | None], Bar] = {}
        self._tried: set[tuple[str | None, int | None]] = set()
        """What failed in passing, and is begun once more after a wait."""
        self._state: Bar | None = None
        self._cut = 0.0
        """Seconds in which nobody was at it."""
        self._now = 0.0

    def hear(self, event: RecordedEvent) -> None:
        """Take the next event."""
        if event.step is None:
            self._move(event)
        before, self._now = self._now, max(self._now, self._since(event.at))
        match event.type:
            case "step.intended":
                self._begin(event)
            case "step.done":
                self._end(event)
            case "step.retry":
                self._mark(event)
            case "step.error":
                self._fail(event, before)
            case "step.undone":
                self._undo(event, before, Status.UNDONE)
            case "step.stuck":
                self._undo(event, before, Status.STUCK)

    def all(self) -> list[Bar]:
        """All of them, those that go on too."""
        return [*map(_within, self._bars), *self._open.values(), *([self._state] if self._state else [])]

    def _since(self, at: datetime) -> float:
        return max((at - self._began).total_seconds() - self._cut, 0.0)

    def _move(self, event: RecordedEvent) -> None:
        at, state = self._since(event.at), event.state or ""
        if self._state is not None and self._state.kind == WAIT:
            waited, at = at - self._state.start, self._state.start
            self._cut += waited
            self._now = at
            self._bars.append(replace(self._state, end=at, waited=waited))
        elif self._state is not None:
            self._bars.append(replace(self._state, end=max(at, self._state.start)))
        kind = WAIT if state.endswith("/-") or state in _NOBODY_IS_AT else STATE
        self._state = Bar(kind, fit(state.removesuffix("/-")), at, None, detail=_said(event))

    def _bar(self, event: RecordedEvent, start: float) -> Bar:
        numbered = event.step in self._numbered and event.slot is not None
        name = f"{event.step} {event.slot}" if numbered else f"{event.step}"
        return Bar(STEP, fit(name), start, None, Status.GOING_ON, event.attempt, _host(event))

    def _begin(self, event: RecordedEvent) -> None:
        key, at = (event.step, event.slot), self._since(event.at)
        known, tried = self._open.get(key), key in self._tried
        self._tried.discard(key)
        if known is None:
            self._open[key] = self._bar(event, at)
        elif not tried:
            # A crash or a pause was between: it is done again, by its key. The event says when it was first begun.
            self._open[key] = _marked(known, self._now, "taken up again")

    def _end(self, event: RecordedEvent) -> None:
        at, host = self._since(event.at), _host(event)
        begun = self._open.pop((event.step, event.slot), None)
        bar = begun or self._bar(event, self._since(event.began_at or event.at))
        self._bars.append(replace(bar, end=max(at, bar.start), status=Status.DONE, host=host))

    def _mark(self, event: RecordedEvent) -> None:
        key, at = (event.step, event.slot), self._since(event.at)
        self._open[key] = _marked(self._open.get(key) or self._bar(event, at), at, _said(event))
        self._tried.add(key)

    def _fail(self, event: RecordedEvent, before: float) -> None:
        """An error is a step's, whichever of its items had it: those that were under way did not end."""
        at = self._since(event.at)
        of_step = [key for key in self._open if key[0] == event.step]
        bars = [self._open.pop(key) for key in of_step] or [self._bar(event, min(before, at))]
        self._bars += [replace(bar, end=at, status=Status.FAILED, detail=_said(event)) for bar in bars]

    def _undo(self, event: RecordedEvent, before: float, status: Status) -> None:
        """When an undo began is not on record: undos come one after the other."""
        known = self._open.pop((event.step, event.slot), None)
        if known is not None:
            self._bars.append(replace(known, end=before, status=Status.FAILED, detail="it did not end"))
        at = self._since(event.at)
        bar = self._bar(event, min(before, at))
        self._bars.append(replace(bar, kind=UNDO, end=at, status=status, detail=_said(event)))


_NOBODY_IS_AT = ("PAUSED", "SUCCEEDED", "FAILED", "CANCELLED", "STUCK")
"""The states of a run in which no process holds it."""


def _host(event: RecordedEvent) -> str | None:
    return None if event.host is None else fit(event.host)


def _said(event: RecordedEvent) -> str:
    """Why; effects are named by their keys, which begin with what is known here."""
    return fit(event.detail.replace(f"{event.instance_id or event.run_id}/", ""), _WHOLE)


def _within(bar: Bar) -> Bar:
    """With its marks where it is: what happened while the run was paused for another step is past its end."""
    if not bar.marks or bar.end is None:
        return bar
    return replace(bar, marks=tuple(Mark(min(max(mark.at, bar.start), bar.end), mark.text) for mark in bar.marks))


def _marked(bar: Bar, at: float, text: str) -> Bar:
    return replace(bar, marks=(*bar.marks, Mark(at, text)))
