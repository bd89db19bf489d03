"""What becomes of an instance after a step failed, and which failures say nothing of its host."""

from __future__ import annotations

from enum import StrEnum

from slipway import errors

NO_FAILURE_OF_THE_HOST = (
    errors.AbortBuild,
    errors.NetworkError,
    errors.ComputeResourcesUnavailable,
    errors.GroupAffinityViolation,
    errors.PortBindingFailed,
    errors.UnsupportedHardware,
)
"""What was asked for is wrong, taken, or not for this host: that says nothing of the next build there."""


class Outcome(StrEnum):
    """What becomes of the instance after a step failed; on record before the first undo."""

    RESCHEDULE = "reschedule"
    ABORT = "abort"
    DELETE = "delete"
    RETIRE = "retire"
    """Of a change that has made all that is new: what it replaces is undone, and nothing brings it back."""
