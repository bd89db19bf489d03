"""Faults at every driver call and every commit, and real crashes: for Slipway's own tests and for its users'.

A fault point is a call's name and how often it was called before: `spawn:crash_after:0` kills the process right after
the first `spawn` had its effect. Points are found by running once with a `Faults` that has no fault, and a `Faults`
knows whether its fault fired::

    seen = Faults()
    with seen.orchestrator(fresh_directory()) as orchestrator:
        orchestrator.run(file)
    for fault in seen.possible(Mode.ERROR):
        faults = Faults(fault)
        with faults.orchestrator(fresh_directory()) as orchestrator:
            orchestrator.run(file)
            assert faults.fired and not orchestrator.audit()

What drivers and tasks of your own are tested by is in `slipway.testing.contracts`, which needs pytest.
"""

from slipway.testing.crash import crashed
from slipway.testing.faults import HANG_TIME, Call, Clock, Fault, Faults, Mode
from slipway.testing.wrapped import COMMIT, FaultyDrivers, FaultyStore

__all__ = ["COMMIT", "HANG_TIME", "Call", "Clock", "Fault", "Faults", "FaultyDrivers", "FaultyStore", "Mode", "crashed"]
