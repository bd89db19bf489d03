"""Who carries out the calls of atoms: the caller's thread, one at a time, or the threads of an executor."""

from __future__ import annotations

import queue
from collections.abc import Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from typing import Any, Protocol

from slipway.flows.engine.atoms import Call
from slipway.flows.engine.graph import Kind

_THREADS = ("thread", "threads", "threaded")


class Workers(Protocol):
    """Carries out calls. A `with` around it: nothing that it began is left at work afterwards."""

    at_once: bool
    """Whether more than one call is carried out at a time."""

    @property
    def busy(self) -> int:
        """How many calls have been begun whose results nobody has taken yet."""

    @property
    def at_work(self) -> bool:
        """Whether a call is being carried out: after a run, only where the wait for it was interrupted."""

    def begin(self, call: Call) -> None:
        """Carry out a call."""

    def ended(self, timeout: float | None) -> list[tuple[Call, Any]]:
        """Calls that have ended, with what came of them; waits `timeout` seconds for one, None: as long as it takes.

        Raises what is no `Exception` where a call was left by that. A call that was cancelled is not among them.
        """

    def cancel(self) -> None:
        """Have nothing done that is not begun yet."""

    def __enter__(self) -> Workers: ...
    def __exit__(self, *_error: object) -> None: ...


class Caller:
    """Carries out a call while it is begun, in the thread that begins it."""

    at_once = False
    at_work = False

    def __init__(self) -> None:
        self._ended: list[tuple[Call, Any]] = []

    @property
    def busy(self) -> int:
        """How many have ended unseen."""
        return len(self._ended)

    def begin(self, call: Call) -> None:
        """Carry it out."""
        self._ended.append((call, call.run()))

    def ended(self, _timeout: float | None) -> list[tuple[Call, Any]]:
        """What was begun."""
        ended, self._ended = self._ended, []
        return ended

    def cancel(self) -> None:
        """Nothing is left to be begun."""

    def __enter__(self) -> Caller:
        self._ended.clear()
        return self

    def __exit__(self, *_error: object) -> None: ...


class Pool:
    """Carries out tasks in an executor, and retry controllers in the thread that begins them, as TaskFlow does."""

    at_once = True

    def __init__(self, executor: Executor | None, most: int | None) -> None:
        """`executor` None: one of its own for each run, with at most `most` threads."""
        self._given = executor
        self._most = most
        self._executor = executor
        self._calls: dict[Future[Any], Call] = {}
        self._ended: queue.SimpleQueue[Future[Any]] = queue.SimpleQueue()

    @property
    def busy(self) -> int:
        """How many are at work, wait to be, or have ended unseen."""
        return len(self._calls)

    @property
    def at_work(self) -> bool:
        """Whether any of them is not done."""
        return any(not future.done() for future in self._calls)

    def begin(self, call: Call) -> None:
        """Have it carried out."""
        assert self._executor is not None
        if call.node.kind is Kind.RETRY:
            future: Future[Any] = Future()
            future.set_result(call.run())
        else:
            future = self._executor.submit(call.run)
        self._calls[future] = call
        future.add_done_callback(self._ended.put)

    def ended(self, timeout: float | None) -> list[tuple[Call, Any]]:
        """All that have ended since the last time."""
        futures: list[Future[Any]] = []
        try:
            futures.append(self._ended.get(timeout=timeout))
            while True:
                futures.append(self._ended.get_nowait())
        except queue.Empty:
            return [(call, future.result()) for future in futures if (call := self._seen(future)) is not None]

    def _seen(self, future: Future[Any]) -> Call | None:
        call = self._calls.pop(future)
        return None if future.cancelled() else call

    def cancel(self) -> None:
        """Those that wait for a thread are not begun."""
        for future in list(self._calls):
            future.cancel()

    def __enter__(self) -> Pool:
        if self._given is None:
            self._executor = ThreadPoolExecutor(self._most, thread_name_prefix="slipway-engine")
        return self

    def __exit__(self, *_error: object) -> None:
        self.cancel()
        wait(self._calls)
        self._calls.clear()
        self._ended = queue.SimpleQueue()
        if self._given is None and self._executor is not None:
            self._executor.shutdown()
            self._executor = None


def workers_for(options: Mapping[str, Any]) -> Workers:
    """Who carries out the calls, by an engine's options `executor` and `max_workers`.

    Without an executor it is the caller. Raises `ValueError` and `TypeError` where the executor is none to be used.
    """
    executor = options.get("executor")
    if executor is None:
        return Caller()
    if isinstance(executor, str) and executor.lower() in _THREADS:
        most = options.get("max_workers")
        return Pool(None, None if most is None else int(most))
    if isinstance(executor, Executor) and _runs_threads(executor):
        return Pool(executor, None)
    error = ValueError if isinstance(executor, str) else TypeError
    raise error(f"unknown executor {executor!r}: expected one that runs threads, or one of {', '.join(_THREADS)}")


def _runs_threads(executor: Executor) -> bool:
    # With its class comes all of multiprocessing.
    from concurrent.futures import ProcessPoolExecutor

    return not isinstance(executor, ProcessPoolExecutor)
