"""What somebody did, and what became of it."""

from datetime import datetime

from msgspec import Struct

from slipway.model.record import Fault


class Deed(Struct, frozen=True):
    """One run, of an instance or of a workflow; or what an instance's domain did by itself, which is of no run.

    `what` is "build", "stop", "delete" and so on, or a workflow's name. `who` is the user and the command, or what a
    program said of itself; empty: nobody has said. `state` is the run's by now, or the instance's after what happened.
    """

    at: datetime
    who: str
    what: str
    project: str | None
    instance: str | None
    instance_id: str | None
    run_id: str | None
    state: str
    ended_at: datetime | None
    fault: Fault | None


class Pruned(Struct, frozen=True):
    """How many rows were taken off the record, or would be."""

    instances: int = 0
    runs: int = 0
    effects: int = 0
    events: int = 0
