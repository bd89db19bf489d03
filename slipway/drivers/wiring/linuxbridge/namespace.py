"""Work inside a network namespace by its name, as `ip netns` keeps them; None: the one where we are.

Only the calling thread enters, and only for the time of a `with`: what it opens or starts there stays there.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from slipway.drivers import programs
from slipway.errors import WiringError

if TYPE_CHECKING:
    from pyroute2 import IPRoute

_NAMED = "/run/netns"
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def exists(netns: str | None) -> bool:
    """Whether there is a namespace of that name. Raises `WiringError` for what cannot be a name."""
    return netns is None or os.path.lexists(_path(netns))


@contextmanager
def inside(netns: str | None) -> Iterator[None]:
    """Be in the namespace. Raises `WiringError` where it is absent or we have not the rights."""
    if netns is None:
        yield
        return
    with _and_back(lambda: _enter(netns)):
        yield


@contextmanager
def apart() -> Iterator[None]:
    """Be in a new namespace that goes with the last process in it. Raises `WiringError` where we may not."""
    with _and_back(_leave):
        yield


@contextmanager
def _and_back(go: Callable[[], None]) -> Iterator[None]:
    """Be where `go` brings the thread, and back where it was in the end."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        go()
        try:
            yield
        finally:
            _set(before)
    finally:
        os.close(before)


@contextmanager
def open_links(netns: str | None) -> Iterator[IPRoute]:
    """pyroute2's view of the namespace, where the calling thread is meanwhile. Raises `WiringError`."""
    # Costs 0.1 s, which only hosts with real wiring are to pay.
    from pyroute2 import IPRoute

    with inside(netns), IPRoute() as links:
        yield links


def run(
    netns: str | None,
    argv: Sequence[str],
    *,
    input: str | None = None,  # noqa: A002 - as subprocess.run has it
    timeout: float,
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run a program in the namespace, without a shell, and wait for its end at most `timeout` seconds.

    Raises `WiringError` with the program's own words where it cannot be run, is not done in time, or, with `check`,
    fails.
    """
    try:
        with inside(netns):
            done = programs.run(argv, timeout=timeout, input=input or "", env={**os.environ, "LC_ALL": "C"})
    except FileNotFoundError as error:
        raise WiringError(f"{argv[0]} is not installed; see docs/real-machines.md") from error
    except subprocess.TimeoutExpired as error:
        raise WiringError(f"{' '.join(argv)}: not done after {error.timeout:.3g} s") from error
    except OSError as error:
        raise WiringError(f"{' '.join(argv)}: {error}") from error
    if check and done.returncode != 0:
        words = " ".join((done.stderr or done.stdout).split()) or f"exit code {done.returncode}"
        raise WiringError(f"{' '.join(argv)}: {words}")
    return done


def _path(netns: str) -> str:
    if netns in ("", ".", "..") or "/" in netns or "\0" in netns:
        raise WiringError(f"netns: {netns!r} is not the name of a network namespace")
    return f"{_NAMED}/{netns}"


def _enter(netns: str) -> None:
    try:
        fd = os.open(_path(netns), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise WiringError(f"there is no network namespace {netns}; make it: ip netns add {netns}") from error
    try:
        _set(fd)
    except OSError as error:
        raise WiringError(f"network namespace {netns} cannot be entered: {error.strerror}") from error
    finally:
        os.close(fd)


def _leave() -> None:
    if _libc.unshare(_CLONE_NEWNET) != 0:
        raise WiringError(f"no network namespace can be made: {os.strerror(ctypes.get_errno())}")


def _set(fd: int) -> None:
    # os.setns and os.unshare came with Python 3.12.
    if _libc.setns(fd, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
