"""How a guest is ended: asked to shut down, asked again where it may not have listened, and ended if it does not."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from slipway.errors import ComputeError, StepTimeout
from slipway.model.machine import ENDED, PowerState

_ASK_AGAIN = 10.0
"""Seconds after which a guest that still runs is asked once more: it may not have listened yet (Nova: the same)."""


class Guest(Protocol):
    """A guest as whoever ends it has it in hand, who alone knows how long and whether it may be asked."""

    def power_state(self) -> PowerState:
        """What its domain does."""

    def stop(self, *, force: bool) -> None:
        """See `ComputeDriver.stop`."""

    def resume(self) -> None:
        """See `ComputeDriver.resume`."""

    def becomes(self, wanted: Callable[[PowerState], bool], *, seconds: float | None = None) -> bool:
        """Whether its domain does what is wanted before so many seconds have passed, a step's by default."""


def end(guest: Guest, name: str, monotonic: Callable[[], float], patience: float) -> None:
    """End it; it may take so many seconds to shut down by itself, 0: it is not asked.

    Raises `ComputeError`, and `StepTimeout` where it does not even end by force.
    """
    if patience:
        _wake(guest)
        if _asked(guest, monotonic, patience):
            return
    guest.stop(force=True)
    if not guest.becomes(_has_ended):
        raise StepTimeout(f"the domain of {name} did not end in time")


def _has_ended(state: PowerState) -> bool:
    return state in ENDED


def _wake(guest: Guest) -> None:
    """Have a guest that is paused go on, for frozen it cannot be asked; one that cannot go on is ended."""
    with suppress(ComputeError):
        if guest.power_state() is PowerState.PAUSED:
            guest.resume()


def _asked(guest: Guest, monotonic: Callable[[], float], patience: float) -> bool:
    """Ask the guest to shut down, and again; whether it did in time."""
    give_up, again = monotonic() + patience, False
    while (now := monotonic()) < give_up:
        if _asked_once(guest, min(_ASK_AGAIN, give_up - now), again=again):
            return True
        again = True
    return guest.power_state() in ENDED


def _asked_once(guest: Guest, seconds: float, *, again: bool) -> bool:
    """Ask, and look whether it ends. Raises what the hypervisor answers where that is no sign of its ending."""
    try:
        guest.stop(force=False)
    except ComputeError:
        # Asked before, it may be just ending, and nobody can ask it any more.
        with suppress(ComputeError):
            if again and guest.becomes(_has_ended, seconds=seconds):
                return True
        raise
    return guest.becomes(_has_ended, seconds=seconds)
