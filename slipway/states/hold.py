"""A worker's lease on what it works on: long enough for what it does, and on record before that is begun."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from msgspec.structs import replace

from slipway.states.lease import Lease


class Hold:
    """Until when the lease on record is, by the monotonic clock, and by when the calls under way are to be back."""

    def __init__(
        self,
        worker: str | None,
        *,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
        step_timeout: float,
        grace: float,
    ) -> None:
        """`worker`: the text of the lease on record. Each write covers `step_timeout` seconds, and others give it
        `grace` more: half of them are for what is between a commit and the next call."""
        self._lease = Lease.read(worker) or Lease.begun(0.0, clock=clock, monotonic=monotonic)
        self._monotonic = monotonic
        self._step_timeout = step_timeout
        self._grace = grace
        self._calls: list[float] = []
        self.until = self._lease.until - self._lease.ahead

    @property
    def text(self) -> str:
        """The text of the lease that was written last."""
        return self._lease.text()

    @contextmanager
    def call(self, seconds: float | None = None) -> Iterator[None]:
        """Have it that a call is under way, to be back after so many seconds, a step's by default."""
        until = self._monotonic() + (self._step_timeout if seconds is None else seconds)
        self._calls.append(until)
        try:
            yield
        finally:
            self._calls.remove(until)

    def longer(self, seconds: float) -> Lease | None:
        """The lease that covers the calls under way and `seconds` from now on; None where that on record does."""
        until = max([self._monotonic() + seconds, *self._calls])
        if until <= self.until + self._grace / 2:
            return None
        return replace(self._lease, until=self._lease.ahead + until)

    def written(self, lease: Lease) -> None:
        """Have it that this one is on record."""
        self._lease, self.until = lease, lease.until - lease.ahead

    def renewed(self) -> datetime:
        """Until when the lease is by what is about to be written."""
        self.until = max([self._monotonic() + self._step_timeout, *self._calls])
        return self._lease.time(self.until)
