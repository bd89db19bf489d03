"""Who works on an instance: a process, told apart from every other one that there is, was or will be."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Callable
from contextvars import ContextVar
from functools import cache
from pathlib import Path

import msgspec


class Worker(msgspec.Struct, frozen=True):
    """A process by what tells it apart; `host` is for people alone.

    The namespaces are their inodes' numbers; a process that the mounted /proc does not show has 0 for that of its ids.
    `ticks` is when it was started, by the machine's own count since it booted: no step of the clock changes it.
    `mark` is drawn by one that has no id of its own to show, as in a container: all of those are number 1.
    """

    machine: str
    boot: str
    pid_namespace: int
    time_namespace: int
    pid: int
    ticks: int
    host: str
    mark: str = ""

    def __str__(self) -> str:
        """`HOST/PID`."""
        return f"{self.host}/{self.pid}"

    @property
    def clock(self) -> tuple[str, str, int]:
        """The monotonic clock that it goes by: the same for all processes for which this is the same."""
        return self.machine, self.boot, self.time_namespace


class Played(msgspec.Struct, frozen=True):
    """A worker that is a thread of a simulation, and what tells which of the others of its machine run no more."""

    worker: Worker
    is_gone: Callable[[Worker], bool]


played: ContextVar[Played | None] = ContextVar("slipway_played", default=None)
"""Who the thread stands for; None: for its process."""


def this_worker() -> Worker:
    """This process."""
    simulated = played.get()
    return simulated.worker if simulated else this_process()


@cache
def this_process() -> Worker:
    """The same, whomever the thread stands for."""
    pid = os.getpid()
    found = _stat(pid) if _proc_is_ours() else None
    return Worker(
        machine=_read("/etc/machine-id"),
        # Where nothing says which boot this is no other process is of the same one.
        boot=_read("/proc/sys/kernel/random/boot_id") or str(uuid.uuid4()),
        pid_namespace=_namespace("pid") if found else 0,
        time_namespace=_namespace("time"),
        pid=pid,
        ticks=found[1] if found else 0,
        host=socket.gethostname(),
        mark="" if found else uuid.uuid4().hex,
    )


os.register_at_fork(after_in_child=this_process.cache_clear)


def is_gone(worker: Worker) -> bool:
    """Whether the worker provably runs no more; a zombie does not.

    Nothing can be proved of one of another machine, boot or PID namespace, or where /proc does not show our own.
    """
    if simulated := played.get():
        return simulated.is_gone(worker)
    us = this_process()
    if us.pid_namespace == 0 or (worker.clock, worker.pid_namespace) != (us.clock, us.pid_namespace):
        return False
    try:
        # The kernel knows, also where /proc hides the processes of others.
        os.kill(worker.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    found = _stat(worker.pid)
    return found is not None and (found[0] in "ZX" or found[1] != worker.ticks)


def _stat(pid: int) -> tuple[str, int] | None:
    """The state of a process, and the tick at which it was started; None where /proc does not say."""
    try:
        # The name stands in brackets and may have any character in it.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    return fields[0].decode(), int(fields[19])


def _proc_is_ours() -> bool:
    """Whether /proc is of our PID namespace: otherwise it names us, and all others, by the ids of an outer one."""
    ids = [line.split()[1:] for line in _read("/proc/self/status").splitlines() if line.startswith("NSpid:")]
    return ids == [[str(os.getpid())]]


def _namespace(kind: str) -> int:
    try:
        return os.stat(f"/proc/self/ns/{kind}").st_ino
    except OSError:
        return 0


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
