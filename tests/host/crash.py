"""Runs a file with a fault in it: `python crash.py FAULT STATE FILE`.

In a process that began by itself: a fork of one that has used libvirt has its locks, and none of its threads.
"""

from __future__ import annotations

import sys
from pathlib import Path

from slipway.runfile import load
from slipway.testing import Fault, Faults

if __name__ == "__main__":
    fault, state, file = sys.argv[1:]
    with Faults(Fault.parse(fault)).orchestrator(Path(state)) as orchestrator:
        orchestrator.run(load(Path(file)))
