"""Who works on a build: a process, told apart from a later one with the same number."""

from __future__ import annotations

import os
import socket
from functools import cache

import psutil


@cache
def _identify(pid: int) -> str:
    return f"{socket.gethostname()}/{pid}/{psutil.Process(pid).create_time():.2f}"


def this_worker() -> str:
    """This process as `host/pid/start time`."""
    return _identify(os.getpid())


def is_gone(worker: str | None) -> bool:
    """Whether the worker provably runs no more. One on another machine never is: nothing can be proved from here."""
    if worker is None:
        return True
    host, pid, started = worker.rsplit("/", 2)
    if host != socket.gethostname():
        return False
    try:
        process = psutil.Process(int(pid))
        return abs(process.create_time() - float(started)) > 0.02 or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
