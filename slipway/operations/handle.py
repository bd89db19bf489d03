"""A run that goes on elsewhere, as whoever began it has it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future

from slipway import errors
from slipway.model.record import RecordedEvent
from slipway.model.run import RunRecord


class RunHandle:
    """One run in an executor. It is on record, so that nothing is lost with the handle."""

    def __init__(
        self,
        run_id: str,
        future: Future[RunRecord],
        *,
        look: Callable[[], RunRecord],
        cancel: Callable[[], None],
        events: Callable[[int], Sequence[RecordedEvent]],
    ) -> None:
        """`look` gives the run as it is on record, `events` what is beyond a number; `cancel` has it undone."""
        self.id = run_id
        self._future = future
        self._look = look
        self._cancel = cancel
        self._events = events

    @property
    def status(self) -> RunRecord:
        """The run as it is now."""
        return self._look()

    def wait(self, timeout: float | None = None) -> RunRecord:
        """The run once it is at its end or waits for somebody's word.

        Raises `RunBusy` after `timeout` seconds, and `BuildInterrupted` where it was stopped before.
        """
        try:
            return self._future.result(timeout)
        except TimeoutError as error:
            raise errors.RunBusy(f"run {self.id} has not ended in {timeout:g} s") from error

    def events(self, after: int = 0) -> Sequence[RecordedEvent]:
        """Its moves and steps on record beyond the event of the number `after`, oldest first: who keeps the `seq` of
        the last one misses none."""
        return self._events(after)

    def cancel(self) -> None:
        """Have it undone from its next step on; `wait` waits for that. Raises `RunRefused` where it has ended."""
        self._cancel()
