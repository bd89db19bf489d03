"""Until when a worker is left alone with an instance, by a clock that it shares with whoever asks.

Processes of one boot share the monotonic clock, which nobody can set; all others have but the time of day in common. So
a lease is a time of day that goes by its worker's monotonic clock: `ahead` is how far the one was ahead of the other
when the worker took the instance, and stays so however the time of day is set meanwhile. Who is of the same boot
reckons with it; anybody else takes it for an ordinary time, and a grace is for what clocks differ by (decision 0012).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from slipway.states.worker import Worker, this_worker


class Lease(msgspec.Struct, frozen=True):
    """A worker's hold on an instance until some time, in seconds since 1970. Its text is on record as the worker."""

    worker: Worker
    ahead: float
    until: float

    @classmethod
    def begun(cls, seconds: float, *, clock: Callable[[], datetime], monotonic: Callable[[], float]) -> Lease:
        """One of this process, from now on."""
        now = clock().timestamp()
        return cls(this_worker(), now - monotonic(), now + seconds)

    @classmethod
    def read(cls, text: str | None) -> Lease | None:
        """The lease that is on record; None where there is none, or one of an older Slipway, which nobody can judge."""
        try:
            return msgspec.json.decode(text, type=cls) if text else None
        except msgspec.MsgspecError:
            return None

    def text(self) -> str:
        """What `read` reads."""
        return msgspec.json.encode(self).decode()

    def time(self, monotonic: float) -> datetime:
        """The time of day at that moment of the worker's monotonic clock."""
        return datetime.fromtimestamp(self.ahead + monotonic, UTC)

    def has_passed(
        self, last: datetime | None, grace: float, *, clock: Callable[[], datetime], monotonic: Callable[[], float]
    ) -> bool:
        """Whether the worker may be replaced; `last` is the latest time that it wrote beside the lease itself."""
        until = max(self.until, last.timestamp() if last else 0.0)
        shared = self.worker.clock == this_worker().clock
        now = self.ahead + monotonic() if shared else clock().timestamp()
        return now > until + grace
