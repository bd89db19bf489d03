"""How something is tried that may raise, die or be stopped, on a bench that goes on afterwards."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta

from slipway import errors
from slipway.drill.bench import Bench
from slipway.drill.processes import fork, wait_for
from slipway.testing import HANG_TIME
from slipway.texts import named


def attempt(bench: Bench, action: Callable[[], object]) -> None:
    """Do it; what it raises is on the trace, and no leak by itself."""
    try:
        action()
    except (Exception, SystemExit, errors.BuildInterrupted) as error:  # noqa: BLE001
        bench.trace.write("raised", named(error))
    bench.keep()


def forked(bench: Bench, action: Callable[[], object]) -> int:
    """Try it in a process of its own, nothing of the database being open here; gives the process's number."""
    bench.rest()
    child = fork(lambda: attempt(bench, action))
    bench.reseed(f"{len(bench.trace.lines)} lines later")
    return child


def killed(bench: Bench, action: Callable[[], object]) -> bool:
    """Try it in a process that is to die by SIGKILL; whether it did."""
    status = wait_for(forked(bench, action))
    bench.trace.write("drill", "the process is gone")
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


class Stopped:
    """A worker that was stopped by SIGSTOP. `status` is how it ended once it went on, None before."""

    status: int | None = None


@contextmanager
def stopped(bench: Bench, action: Callable[[], object], patience: timedelta = HANG_TIME) -> Iterator[Stopped | None]:
    """Try it in a process that is to stop itself, and have its lease pass; it goes on when this is left.

    None: it did not stop. `patience`: how long its lease may be from now on.
    """
    child = forked(bench, action)
    if not os.WIFSTOPPED(wait_for(child, os.WUNTRACED)):
        yield None
        return
    worker = Stopped()
    bench.trace.write("drill", "the worker is stopped; its lease passes, and another one takes over")
    bench.faults.clock.ahead += patience
    try:
        yield worker
    finally:
        bench.trace.write("drill", "the first worker wakes up")
        bench.rest()
        os.kill(child, signal.SIGCONT)
        worker.status = wait_for(child)


def difference(before: Mapping[str, object], after: Mapping[str, object], *, besides: str | None = None) -> str:
    """The names of what differs; `besides` is how the names of those begin that may change, but not come or go."""
    names = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    if besides is not None:
        names = [n for n in names if not (n.startswith(besides) and n in before and n in after)]
    return ", ".join(names)
