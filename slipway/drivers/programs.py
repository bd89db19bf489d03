"""Other programs, run without a shell and ended in time."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress

from slipway.drivers.deadline import left

_LAST_WORDS = 1.0
"""Seconds for a program that was killed to be gone; one that waits for a disk that does not answer never is."""


def run(
    argv: Sequence[str],
    *,
    timeout: float,
    input: str = "",  # noqa: A002 - as subprocess.run has it
    env: Mapping[str, str] | None = None,
    stderr: int = subprocess.PIPE,
) -> subprocess.CompletedProcess[str]:
    """Run a program and give what it wrote, after `timeout` seconds at most, or when the driver's call is to be back.

    Raises `OSError` where it cannot be run, and `subprocess.TimeoutExpired` with the time that it had: then it is
    killed, with all that it has started, and not waited for if it does not end. Its standard input is never ours, which
    may be a terminal; nor is it in our process group, to which a Ctrl-C goes: a step that has begun is finished.
    """
    process = subprocess.Popen(
        list(argv),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        env=env,
        process_group=0,
    )
    try:
        out, words = process.communicate(input, timeout=left(timeout))
    except BaseException:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=_LAST_WORDS)
        raise
    return subprocess.CompletedProcess(argv, process.returncode, out, words)
