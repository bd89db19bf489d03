"""What is said of an event: who listens for a person or a program, and the words for it."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any, Self

from slipway.cli.output import seconds_text, without_owner
from slipway.cli.say import say
from slipway.model.record import Event


class Progress:
    """Listens to events of several threads, one at a time; `seen` has the names of all instances that were told of."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self._lock = threading.Lock()
        self._gone = False

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End; nothing is shown any more."""

    def __call__(self, event: Event) -> None:
        """Hear of an event. A reader that has gone ends the telling, not the work."""
        with self._lock:
            self.seen |= {event.name} - {""}
            if not self._gone:
                try:
                    self.tell(event)
                except BrokenPipeError:
                    self._gone = True

    def tell(self, event: Event) -> None:
        """Show the event."""

    def tick(self) -> None:
        """Called several times a second by the main thread."""

    def announce(self, text: str) -> None:
        """Tell the user something besides the progress."""
        say(f"slipway: {text}", err=True)


def event_json(event: Event) -> dict[str, Any]:
    """An event for programs."""
    return {
        "event": event.type,
        "at": event.at,
        "instance": event.instance_id or None,
        "name": event.name or None,
        "step": event.step or None,
        "slot": event.slot if event.step else None,
        "host": event.host,
        "vm_state": event.vm_state,
        "task_state": event.task_state,
        "attempt": event.attempt,
        "message": event.message,
    }


def warning(event: Event) -> str | None:
    """What a person should know of a host, where the event says that."""
    if event.type != "host.behind":
        return None
    where = f"host {event.host}" if event.host else "what is on record of addresses"
    return (
        f"warning: the change is on record, and {where} could not follow it: {event.message}; 'slipway audit' shows "
        "what is behind, the next change or a reboot of its instances makes up for it"
    )


BEGINNINGS = {
    "instance.create.start": "building",
    "instance.delete.start": "deleting",
    "instance.power_off.start": "stopping",
    "instance.power_on.start": "starting",
    "instance.reboot.start": "rebooting",
    "instance.pause.start": "pausing",
    "instance.unpause.start": "unpausing",
}


def beginning(event: Event) -> str:
    """What is begun with the instance; what was begun before is gone on with."""
    kind, _, word = event.type.partition(".")
    if kind == "instance" and word.endswith(".start"):
        return BEGINNINGS.get(event.type, word.removesuffix(".start").replace("_", "-"))
    return "going on"


_POWER = ("power_off", "power_on", "reboot", "pause", "unpause")
_POWER_ENDS = frozenset(f"instance.{word}.end" for word in _POWER)
_POWER_ERRORS = frozenset(f"instance.{word}.error" for word in _POWER)


def happened(event: Event) -> str | None:
    """What went wrong, or is tried next, where the event says so."""
    match event.type:
        case "step.error":
            return f"{event.step} failed: {event.message}"
        case "step.say":
            return event.message
        case "step.undo" if event.message:
            return f"{event.step} could not be undone, {without_owner(event.message, event.instance_id)}"
        case "reschedule":
            return f"trying {event.host}, attempt {event.attempt}"
    return None


def end_text(event: Event, seconds: float) -> str | None:
    """How it ended with the instance, where the event is its end: `ACTIVE on node-1 (0.4 s)`."""
    took = f"({seconds_text(seconds)})"
    match event.type:
        case "instance.create.end" if event.vm_state == "ACTIVE":
            return f"ACTIVE on {event.host} {took}"
        case "instance.create.error" | "instance.delete.error":
            return f"ERROR, {without_owner(event.message, event.instance_id)} {took}"
        case "instance.delete.end":
            return f"DELETED {took}"
        case _ if event.type in _POWER_ENDS:
            return f"{event.vm_state} {took}"
        case _ if event.type in _POWER_ERRORS:
            return f"{event.vm_state}, {event.message} {took}"
    return None
