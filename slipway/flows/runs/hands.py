"""Several calls side by side, in an executor that may be busy with who waits for them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, wait
from typing import TypeVar

T = TypeVar("T")


def side_by_side(calls: Sequence[Callable[[], T]], most: int, executor: Executor | None) -> list[T]:
    """Their results in order; at most `most` are made at once. The first error leaves when all that were begun ended.

    The thread that asks makes calls itself, and those of the executor help as they are free: so that who waits here
    in one of them never waits for ever.
    """
    if executor is None or most <= 1 or len(calls) <= 1:
        return [call() for call in calls]
    results: dict[int, T] = {}
    failures: list[BaseException] = []
    rest = iter(range(len(calls)))
    lock = threading.Lock()

    def hand() -> None:
        while True:
            with lock:
                at = None if failures else next(rest, None)
            if at is None:
                return
            try:
                results[at] = calls[at]()
            except BaseException as error:  # noqa: BLE001 - it is raised again where all is waited for
                failures.append(error)

    helping = [executor.submit(hand) for _ in range(min(most, len(calls)) - 1)]
    hand()
    wait([future for future in helping if not future.cancel()])
    if failures:
        # One that lets the run go as it is counts more: it may not be taken for a failure.
        raise next((error for error in failures if not isinstance(error, Exception)), failures[0])
    return [results[at] for at in range(len(calls))]
