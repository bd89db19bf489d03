"""A run as it stands on record: one execution of a workflow."""

from datetime import datetime

from msgspec import Struct

from slipway.model.record import Fault

FAILED_STEP = "failed-step"
"""The kind of row of a ledger that says of a step that it failed and the run went on."""
STEP_ITEMS = "step-items"
"""The kind of row that has the items of a `for_each`, where another process might find them in another order."""
NOTES = (FAILED_STEP, STEP_ITEMS)
"""The kinds of rows that say something of a step, and are no effects of it."""


class RunRecord(Struct, frozen=True):
    """One execution of a workflow, by the text that it began with.

    `inputs` and `outputs` are JSON, secrets masked. A paused run goes on at `wake_at`, or when it is told to, and
    `waits_for` says to a person what for. `outcome`: what is to become of it once all is undone. `workflow` is a known
    name or the absolute path of the file that it was; `digest` names its text.
    """

    id: str
    workflow: str
    name: str
    digest: str
    project: str
    state: str
    generation: int
    attempt: int
    inputs: bytes
    created_at: datetime
    outputs: bytes | None = None
    fault: Fault | None = None
    outcome: str | None = None
    worker: str | None = None
    wake_at: datetime | None = None
    waits_for: str | None = None
    waits_at: str | None = None
    """The key of the effect that waits, where it is a step's own wait and no failure's."""
    answer: str | None = None
    """What somebody said to that."""
    parent_id: str | None = None
    parent_step: str | None = None
    idempotency_key: str | None = None
    request_digest: str | None = None
    asked_by: str = ""
    ended_at: datetime | None = None
    secrets: str | None = None
    """What of its inputs is secret, while it is not at its end."""
    instance_id: str | None = None
    """Of which instance it is the build, stop, start, reboot or delete; who works on it is said there."""
    instance: str | None = None
    """That instance's name."""
