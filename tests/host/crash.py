"""A build and a delete with faults, one of which kills, in a process of its own.

It is forked from one that has loaded what is needed and used nothing of it: a fork of a process that has used libvirt
has its locks, and none of its threads.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

from slipway.orchestrator import Orchestrator
from slipway.runfile import loads
from slipway.testing import Fault, Faults
from tests.waiting import PATIENCE

_DRIVERS = (
    "slipway.drivers.network.embedded.driver",
    "slipway.drivers.compute.libvirt.driver",
    "slipway.drivers.disk.qcow2.driver",
    "slipway.drivers.wiring.linuxbridge.driver",
    "pyroute2",
)
"""Loaded when first needed, which would be by each child anew."""


def _live(slipway: Orchestrator, text: str) -> None:
    slipway.run(loads(text, "drill.yaml"))
    slipway.delete("one")


def died(faults: Sequence[Fault], state: Path, text: str, doing: Callable[[Orchestrator, str], object] = _live) -> bool:
    """Build what the run file says and delete `one`, or be `doing` something else; whether the process was killed on
    the way."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", __name__, *_DRIVERS])
    process = context.Process(target=_do, args=([*map(str, faults)], str(state), text, doing))
    process.start()
    process.join(PATIENCE)
    return process.exitcode == -signal.SIGKILL


def _do(faults: Sequence[str], state: str, text: str, doing: Callable[[Orchestrator, str], object]) -> None:
    with Faults(*map(Fault.parse, faults)).orchestrator(Path(state)) as orchestrator:
        doing(orchestrator, text)
