"""What every simulated driver does with its host's `simulate` settings."""

from __future__ import annotations

from collections.abc import Callable

from slipway.drivers.deadline import left
from slipway.errors import SlipwayError
from slipway.model.request import Host


class Calls:
    """The calls to one simulated host: each takes as long as the host was told, and fails where it was told to."""

    def __init__(self, host: Host, what: str, error: type[SlipwayError], sleep: Callable[[float], None]) -> None:
        self._host = host
        self._what = what
        self._error = error
        self._sleep = sleep

    def enter(self, name: str) -> None:
        """Begin the call of this name. Raises the driver's error class when the call is among those that fail."""
        if (delay := self._host.simulate.delay) > 0:
            seconds = left(delay)
            self._sleep(seconds)
            if seconds < delay:
                raise self._error(f"{self._host.name}: the simulated {self._what} did not answer within {seconds:g} s")
        if name in self._host.simulate.fail:
            raise self._error(f"{self._host.name}: the simulated {self._what} was told to fail in {name}")
